//! What the migrations of every service have to pass, whatever they do: one call in a service's tests.

use migration_kit::{Listed, MigrationName, Service, quote_identifier};
use migration_plan::{ContractSteps, Direction};
use migration_rehearsal::{Finding, Ground, Outcome, RehearsalError, round_trips};
use postgres_schema::Schema;
use sea_orm_migration::MigratorTrait;

use crate::interruption::Interrupter;
use crate::{Scratch, ScratchError, fail, query, reason};

/// The target before the first migration.
const BASE: &str = "base";

/// Runs the migrations of a service in a database of its own, forwards and back, and compares schemas object by object:
///
/// - conventional names are in the order of the list;
/// - each migration is applied, and its promises hold; each is reverted, down to the schema of before;
/// - each migration that does not run in a transaction is interrupted after what it commits, in both directions, and resumed, with
///   the same schemas; of things of one kind, such as indexes, after the first; and in the end it does its work twice;
/// - all of them are applied again in one run, with the same schema.
///
/// A migration that is declared irreversible is not reverted; those before it are, before it is applied.
///
/// The command `check` does the same without the interruptions.
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
    let mut interrupted = Interrupted { scratch: &scratch, interrupter: Interrupter::new(&scratch) };
    let findings = round_trips(&mut interrupted).await.unwrap_or_else(|error| fail(&error));
    let line = |Finding { migration, message, .. }: &Finding| match migration {
        Some(migration) => format!("`{migration}`: {message}"),
        None => message.clone(),
    };
    assert!(findings.is_empty(), "{}", findings.iter().map(line).collect::<Vec<_>>().join("\n"));
}

/// A scratch database in which migrations in steps are interrupted.
struct Interrupted<'s> {
    scratch: &'s Scratch,
    interrupter: Interrupter<'s>,
}

impl Ground for Interrupted<'_> {
    fn service(&self) -> &Service {
        self.scratch.service()
    }

    async fn apply(&mut self, migration: &Listed) -> Outcome {
        let name = migration.name().as_str();
        if migration.is_transactional() {
            outcome(self.scratch.try_up_to(name).await)
        } else {
            self.interrupter.interrupt(migration, Direction::Apply, name).await
        }
    }

    async fn revert(&mut self, migration: &Listed, before: Option<&MigrationName>) -> Outcome {
        let before = before.map_or(BASE, MigrationName::as_str);
        if migration.is_transactional() {
            outcome(self.scratch.try_down_to(before).await)
        } else {
            self.interrupter.interrupt(migration, Direction::Revert, before).await
        }
    }

    /// The last interruption is at the end.
    async fn again(
        &mut self,
        _: &Listed,
        _: Direction,
        _: Option<&MigrationName>,
    ) -> Result<Option<Outcome>, RehearsalError> {
        Ok(None)
    }

    async fn apply_up_to(&mut self, migration: &MigrationName) -> Outcome {
        outcome(self.scratch.apply(Some(migration.as_str()), ContractSteps::Apply).await)
    }

    async fn broken(&mut self) -> Vec<String> {
        let failed = self.scratch.run_checks().await.err();
        failed.map(|error| reason(&error)).into_iter().collect()
    }

    async fn schema(&mut self) -> Result<Schema, RehearsalError> {
        Ok(self.scratch.schema().await)
    }
}

fn outcome(result: Result<(), ScratchError>) -> Outcome {
    result.map_err(|error| reason(&error))
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
