//! The schema that the migrations make: step by step, forth and back, and at head.

use bookreader_migration::{Migrator, migrations, service};
use migration_testing::Scratch;
use sea_orm_migration::MigratorTrait;

use crate::BASE;

#[tokio::test]
async fn plain_sea_orm_reaches_head() {
    let scratch = Scratch::new(service()).await;
    Migrator::up(scratch.db(), None).await.unwrap();
    assert!(Migrator::get_pending_migrations(scratch.db()).await.unwrap().is_empty());
    scratch.verify().await;
    Migrator::down(scratch.db(), None).await.unwrap();
    assert_eq!(scratch.dump_schema().await, Scratch::new(service()).await.dump_schema().await);
}

#[tokio::test]
async fn every_migration_goes_forth_and_back_and_forth() {
    let scratch = Scratch::new(service()).await;
    let mut before = "base".to_owned();
    for migration in migrations() {
        let name = migration.name();
        let schema_before = columns_sorted(&scratch.dump_schema().await);
        scratch.up_to(name).await;
        let schema = scratch.dump_schema().await;
        scratch.down_to(&before).await;
        assert_eq!(columns_sorted(&scratch.dump_schema().await), schema_before, "`{name}` reverted");
        scratch.verify().await;
        scratch.up_to(name).await;
        assert_eq!(scratch.dump_schema().await, schema, "`{name}` applied again");
        before = name.to_owned();
    }
}

#[tokio::test]
async fn all_of_it_goes_forth_and_back_and_forth() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let head = scratch.dump_schema().await;
    scratch.down_to(BASE).await;
    scratch.up_contract().await;
    assert_eq!(scratch.dump_schema().await, head);
}

#[tokio::test]
async fn a_contract_step_that_is_held_back_holds_nothing_else_back() {
    let early = Scratch::new(service()).await;
    early.up_contract().await;
    let late = Scratch::new(service()).await;
    late.up().await;
    assert_eq!(late.rows("SELECT count(reader_settings) FROM users").await, ["0"]);
    late.up_contract().await;
    assert_eq!(late.dump_schema().await, early.dump_schema().await);
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let schema = scratch.dump_schema().await;
    scratch.up_contract().await;
    assert_eq!(scratch.dump_schema().await, schema);
}

/// A migration outside a transaction that is stopped before its version row was written runs once more from its start.
#[tokio::test]
async fn what_was_stopped_at_its_very_end_runs_again() {
    let scratch = Scratch::new(service()).await;
    let mut before = "base".to_owned();
    for migration in migrations() {
        let name = migration.name();
        scratch.up_to(name).await;
        if migration.use_transaction() == Some(false) {
            let schema = scratch.dump_schema().await;
            scratch
                .execute(&format!("DELETE FROM seaql_migrations_bookreader WHERE version = '{name}'"))
                .await;
            scratch.up_to(name).await;
            assert_eq!(scratch.dump_schema().await, schema, "`{name}` applied again");
            scratch.down_to(&before).await;
            let reverted = scratch.dump_schema().await;
            scratch
                .execute(&format!(
                    "INSERT INTO seaql_migrations_bookreader VALUES ('{name}', extract(epoch FROM now()))"
                ))
                .await;
            scratch.down_to(&before).await;
            assert_eq!(scratch.dump_schema().await, reverted, "`{name}` reverted again");
            scratch.up_to(name).await;
        }
        before = name.to_owned();
    }
}

/// A dump in which the columns of a table stand in alphabetical order: a column that comes back stands last.
fn columns_sorted(dump: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    let mut first_column = 0;
    for line in dump.lines() {
        lines.push(line.trim_end_matches(','));
        if !line.starts_with("    ") {
            let end = lines.len() - 1;
            lines[first_column..end].sort_unstable();
            first_column = lines.len();
        }
    }
    lines.join("\n")
}
