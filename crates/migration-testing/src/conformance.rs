//! What the migrations of every service have to pass, whatever they do: one call in a service's tests.

use migration_kit::{Listed, Service, quote_identifier};
use migration_plan::ContractSteps;
use postgres_schema::Schema;
use sea_orm_migration::MigratorTrait;

use crate::interruption::Interrupter;
use crate::{Scratch, fail, query};

/// The target before the first migration.
const BASE: &str = "base";

/// Runs the migrations of a service in a database of its own, forwards and back, and compares schemas object by object:
///
/// - conventional names are in the order of the list;
/// - each migration is applied, and its promises hold; each is reverted, down to the schema of before, and applied again;
/// - each migration that does not run in a transaction is interrupted after what it commits, in both directions, and resumed, with
///   the same schemas; of things of one kind, such as indexes, after the first; and in the end it does its work twice;
/// - all of them are reverted and applied again in one run, with the same schema, and a further run changes nothing.
///
/// A migration that is declared irreversible is not reverted; those before it are, before it is applied.
///
/// # Panics
/// With the migration and the difference, if one does not hold.
pub async fn conformance(service: Service) {
    let scratch = Scratch::new(service).await;
    let names: Vec<&str> = scratch.service().migrations().map(|listed| listed.name().as_str()).collect();
    let is_conventional = scratch.service().migrations().all(|listed| listed.name().is_conventional());
    assert!(
        !is_conventional || names.is_sorted(),
        "the migrations are not in the order of their names: {names:?}"
    );

    let mut interrupter = Interrupter::new(&scratch);
    let mut section = Section { floor: BASE, schemas: vec![scratch.schema().await], steps: Vec::new() };
    for listed in scratch.service().migrations() {
        let name = listed.name().as_str();
        let is_irreversible = listed.details().irreversible.is_some();
        if is_irreversible {
            section.there_and_back(&scratch, &mut interrupter).await;
        }
        if listed.is_transactional() {
            scratch.up_to(name).await;
        } else {
            interrupter.up_to(listed).await;
        }
        scratch.verify().await;
        let after = scratch.schema().await;
        if is_irreversible {
            section = Section { floor: name, schemas: vec![after], steps: Vec::new() };
        } else {
            section.steps.push(listed);
            section.schemas.push(after);
        }
    }
    section.there_and_back(&scratch, &mut interrupter).await;
    scratch.down_to(section.floor).await;
    same(&section.schemas[0], &scratch.schema().await, "after everything was reverted");
    // It ends with a run that has nothing to do.
    scratch.up_contract().await;
    same(section.head(), &scratch.schema().await, "after everything was applied again");
    scratch.verify().await;
}

/// Migrations after one another that can all be reverted.
struct Section<'s> {
    /// What they are reverted to.
    floor: &'s str,
    steps: Vec<&'s Listed>,
    // Invariant: the schema at the floor, and the one after each step.
    schemas: Vec<Schema>,
}

impl Section<'_> {
    fn head(&self) -> &Schema {
        self.schemas.last().expect("there is the schema at the floor")
    }

    /// Reverts the steps one by one, and applies them again in one run, without interruption.
    async fn there_and_back(&self, scratch: &Scratch, interrupter: &mut Interrupter<'_>) {
        let names: Vec<&str> = self.steps.iter().map(|listed| listed.name().as_str()).collect();
        let Some(last) = names.last() else { return };
        for (number, listed) in self.steps.iter().enumerate().rev() {
            let name = names[number];
            let before = if number == 0 { self.floor } else { names[number - 1] };
            if listed.is_transactional() {
                scratch.down_to(before).await;
            } else {
                interrupter.down(listed, before).await;
            }
            let reverted = format!("after `{name}` was reverted");
            same(&self.schemas[number], &scratch.schema().await, &reverted);
        }
        let applied = scratch.apply(Some(last), ContractSteps::Apply).await;
        applied.unwrap_or_else(|error| fail(&error));
        same(self.head(), &scratch.schema().await, "after what was reverted step by step was applied again");
    }
}

/// Applies and reverts the same migrations with plain sea-orm, and compares the schemas with those of the coordinator.
///
/// # Panics
/// With the difference, or if the migrator fails or has other migrations or another version table.
pub async fn conformance_under_sea_orm<M: MigratorTrait>(service: Service) {
    let scratch = Scratch::new(service).await;
    let empty = scratch.schema().await;
    scratch.up_contract().await;
    let head = scratch.schema().await;

    let service = scratch.service();
    for schema in service.further_schemas().iter().map(String::as_str).chain([service.default_schema()]) {
        scratch.execute(&format!("DROP SCHEMA IF EXISTS {} CASCADE", quote_identifier(schema))).await;
    }
    scratch.execute(&format!("CREATE SCHEMA {}", quote_identifier(service.default_schema()))).await;
    let db = query::connect_as_plain(scratch.url(), service).await;
    let db = db.unwrap_or_else(|error| panic!("the database does not answer: {error}"));
    M::up(&db, None).await.unwrap_or_else(|error| panic!("plain sea-orm: `up` failed: {error}"));
    same(&head, &scratch.schema().await, "after plain sea-orm applied everything");
    let names: Vec<&str> = service.migrations().map(|listed| listed.name().as_str()).collect();
    let sql = format!("SELECT version FROM {}", quote_identifier(service.version_table()));
    let mut applied = scratch.rows(&sql).await;
    applied.sort_by_key(|applied| names.iter().position(|name| name == applied));
    assert_eq!(applied, names, "plain sea-orm records other migrations");

    let n_reversible = service.migrations().collect::<Vec<_>>().into_iter().rev();
    let n_reversible = n_reversible.take_while(|listed| listed.details().irreversible.is_none()).count();
    if n_reversible > 0 {
        let steps = u32::try_from(n_reversible).expect("a service has fewer migrations");
        M::down(&db, Some(steps))
            .await
            .unwrap_or_else(|error| panic!("plain sea-orm: `down` failed: {error}"));
    }
    if n_reversible == names.len() {
        same(&empty, &scratch.schema().await, "after plain sea-orm reverted everything");
    }
}

#[track_caller]
fn same(expected: &Schema, found: &Schema, when: &str) {
    let differences: Vec<String> = expected.differences(found).iter().map(ToString::to_string).collect();
    assert!(differences.is_empty(), "the schema is another {when}:\n{}", differences.join("\n"));
}
