//! What the migrations of every service have to pass, whatever they do: one call in a service's tests.

use migration_kit::{Listed, Service, literal, quote_identifier};
use postgres_schema::Schema;
use sea_orm::ConnectionTrait;
use sea_orm_migration::MigratorTrait;

use crate::{Scratch, query};

/// The target before the first migration.
const BASE: &str = "base";

/// Runs the migrations of a service in a database of its own, forwards and back, and compares schemas object by object:
///
/// - conventional names are in the order of the list;
/// - each migration is applied, its promises hold, `down` restores the schema of before, and `up` reaches the same schema again;
/// - each migration that does not run in a transaction does its work twice in both directions, as after a kill at its very end;
/// - all of them are reverted and applied again, with the same schema, and a further run changes nothing.
///
/// A migration that is declared irreversible is not reverted, nor is what is before it.
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

    // What can be reverted to, and the schema there.
    let mut floor = (BASE, scratch.schema().await);
    let mut before = floor.clone();
    for listed in scratch.service().migrations() {
        let after = step(&scratch, listed, &before).await;
        before = (listed.name().as_str(), after);
        if listed.details().irreversible.is_some() {
            floor = before.clone();
        }
    }
    let head = before.1;
    scratch.down_to(floor.0).await;
    same(&floor.1, &scratch.schema().await, "after everything was reverted");
    scratch.up_contract().await;
    same(&head, &scratch.schema().await, "after everything was applied again");
    scratch.up_contract().await;
    same(&head, &scratch.schema().await, "after a run with nothing pending");
    scratch.verify().await;
}

/// One migration, on top of those before it; the schema after it.
async fn step(scratch: &Scratch, listed: &Listed, (before, schema_before): &(&str, Schema)) -> Schema {
    let name = listed.name().as_str();
    let applied_twice = format!("after `{name}` was applied once more from its start");
    scratch.up_to(name).await;
    scratch.verify().await;
    let after = scratch.schema().await;
    if !listed.is_transactional() {
        set_applied(scratch, name, false).await;
        scratch.up_to(name).await;
        same(&after, &scratch.schema().await, &applied_twice);
    }
    if listed.details().irreversible.is_some() {
        return after;
    }
    scratch.down_to(before).await;
    same(schema_before, &scratch.schema().await, &format!("after `{name}` was reverted"));
    if !listed.is_transactional() {
        set_applied(scratch, name, true).await;
        scratch.down_to(before).await;
        same(schema_before, &scratch.schema().await, &format!("after `{name}` was reverted once more"));
    }
    scratch.up_to(name).await;
    same(&after, &scratch.schema().await, &format!("after `{name}` was applied again"));
    after
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
    // Where there are extensions, the application's path leads to them too; in a new database they are in `public`.
    let path: &[&str] = if service.extensions().is_empty() { &[] } else { &["public"] };
    let path = [&[service.default_schema()], path].concat();
    let db = query::connect(scratch.url(), &path, None).await;
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

/// Sets whether the version table lists a migration: as if its run had been killed just before it changed that.
async fn set_applied(scratch: &Scratch, name: &str, is_applied: bool) {
    let table = quote_identifier(scratch.service().version_table());
    let sql = if is_applied {
        format!("INSERT INTO {table} VALUES ({}, extract(epoch FROM now()))", literal(name))
    } else {
        format!("DELETE FROM {table} WHERE version = {}", literal(name))
    };
    let set = scratch.db().execute_unprepared(&sql).await;
    set.unwrap_or_else(|error| panic!("`{sql}` failed: {error}"));
}

#[track_caller]
fn same(expected: &Schema, found: &Schema, when: &str) {
    let differences: Vec<String> = expected.differences(found).iter().map(ToString::to_string).collect();
    assert!(differences.is_empty(), "the schema is another {when}:\n{}", differences.join("\n"));
}
