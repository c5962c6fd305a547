//! The schema: up from empty, down again, each migration by itself, resumed after an interruption, under plain sea-orm.

use chat_migration::{Migrator, migrations, service};
use migration_testing::Scratch;
use sea_orm_migration::{MigrationTrait, MigratorTrait, SchemaManager};

const BASE: &str = "base";

fn names() -> Vec<String> {
    migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// Runs one migration's `up` again, outside the coordinator: what a resumed run does.
async fn run_again(scratch: &Scratch, migration: &dyn MigrationTrait) {
    migration.up(&SchemaManager::new(scratch.db())).await.unwrap();
}

#[test]
fn migrations_are_in_the_order_of_their_names() {
    assert!(names().is_sorted());
}

#[tokio::test]
async fn up_from_empty_verifies() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.verify().await;
}

#[tokio::test]
async fn up_down_up_gives_the_same_schema() {
    let scratch = Scratch::new(service()).await;
    let empty = scratch.dump_schema().await;
    scratch.up().await;
    let head = scratch.dump_schema().await;
    scratch.down_to(BASE).await;
    assert_eq!(scratch.dump_schema().await, empty);
    scratch.up().await;
    assert_eq!(scratch.dump_schema().await, head);
    scratch.up().await;
    assert_eq!(scratch.dump_schema().await, head, "a second `up` changes nothing");
}

#[tokio::test]
async fn each_migration_takes_back_what_it_did() {
    let scratch = Scratch::new(service()).await;
    let mut before = (BASE.to_owned(), scratch.dump_schema().await);
    for name in names() {
        scratch.up_to(&name).await;
        let after = scratch.dump_schema().await;
        assert_ne!(after, before.1, "{name} changes the schema");
        scratch.verify().await;
        scratch.down_to(&before.0).await;
        assert_eq!(scratch.dump_schema().await, before.1, "{name} is taken back");
        scratch.up_to(&name).await;
        assert_eq!(scratch.dump_schema().await, after, "{name} can be applied again");
        before = (name, after);
    }
}

#[tokio::test]
async fn migrations_outside_a_transaction_can_run_twice() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let head = scratch.dump_schema().await;
    for migration in migrations().iter().filter(|migration| migration.use_transaction() == Some(false)) {
        run_again(&scratch, &**migration).await;
    }
    assert_eq!(scratch.dump_schema().await, head);
    scratch.verify().await;
}

#[tokio::test]
async fn an_index_that_an_interrupted_build_left_behind_is_built_again() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let head = scratch.dump_schema().await;
    let state = "SELECT indexrelid::regclass, indisvalid FROM pg_index \
                 WHERE indexrelid IN ('idx_messages_source'::regclass, 'idx_messages_history'::regclass) ORDER BY indexrelid::regclass::text";
    // What a killed `CREATE INDEX CONCURRENTLY` leaves.
    scratch
        .execute(
            "UPDATE pg_index SET indisvalid = false, indisready = false \
             WHERE indexrelid IN ('idx_messages_source'::regclass, 'idx_messages_history'::regclass)",
        )
        .await;
    assert_eq!(scratch.rows(state).await, ["idx_messages_history|f", "idx_messages_source|f"]);
    for migration in migrations().iter().filter(|migration| migration.use_transaction() == Some(false)) {
        run_again(&scratch, &**migration).await;
    }
    assert_eq!(scratch.rows(state).await, ["idx_messages_history|t", "idx_messages_source|t"]);
    assert_eq!(scratch.dump_schema().await, head);
}

#[tokio::test]
async fn plain_sea_orm_applies_and_reverts_the_same_migrations() {
    let scratch = Scratch::new(service()).await;
    Migrator::up(scratch.db(), None).await.unwrap();
    assert_eq!(scratch.rows("SELECT version FROM seaql_migrations_chat ORDER BY version").await, names());
    let by_sea_orm = scratch.dump_schema().await;
    Migrator::down(scratch.db(), None).await.unwrap();
    assert_eq!(scratch.rows("SELECT to_regclass('messages')").await, ["∅"]);

    let by_coordinator = Scratch::new(service()).await;
    by_coordinator.up().await;
    assert_eq!(by_sea_orm, by_coordinator.dump_schema().await);
}
