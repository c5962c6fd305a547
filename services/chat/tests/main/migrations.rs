//! The schema: what every service's migrations have to pass, and an index whose build was interrupted.

use chat_migration::{Migrator, migrations, service};
use migration_testing::{Scratch, conformance, conformance_under_sea_orm};
use sea_orm_migration::{MigrationTrait, SchemaManager};

#[tokio::test]
async fn they_conform() {
    conformance(service()).await;
}

#[tokio::test]
async fn they_conform_under_plain_sea_orm() {
    conformance_under_sea_orm::<Migrator>(service()).await;
}

/// Runs one migration's `up` again, outside the coordinator: what a resumed run does.
async fn run_again(scratch: &Scratch, migration: &dyn MigrationTrait) {
    migration.up(&SchemaManager::new(scratch.db())).await.unwrap();
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
