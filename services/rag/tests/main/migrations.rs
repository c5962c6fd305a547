//! The schema: what every service's migrations have to pass, and an index whose build or removal was interrupted.

use migration_testing::{Scratch, conformance, conformance_under_sea_orm};
use rag_migration::{Migrator, migrations, service};
use sea_orm_migration::SchemaManager;

#[tokio::test]
async fn they_conform() {
    conformance(service()).await;
}

#[tokio::test]
async fn they_conform_under_plain_sea_orm() {
    conformance_under_sea_orm::<Migrator>(service()).await;
}

#[test]
fn tables_of_others_are_declared() {
    let service = service();
    let external: Vec<String> = service
        .externals()
        .iter()
        .map(|external| format!("{}.{}", external.schema, external.table))
        .collect();
    assert_eq!(
        external,
        [
            "public.embeddings",
            "public.message_embeddings",
            "public.users",
            "public.topics",
            "public.messages"
        ]
    );
}

#[tokio::test]
async fn both_directions_of_the_index_can_be_resumed() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    let without = scratch.dump_schema().await;
    let migrations = migrations();
    let drop_index = migrations.last().unwrap();
    let manager = SchemaManager::new(scratch.db());
    drop_index.up(&manager).await.unwrap();
    assert_eq!(scratch.dump_schema().await, without);

    drop_index.down(&manager).await.unwrap();
    let with = scratch.dump_schema().await;
    // What a killed `CREATE INDEX CONCURRENTLY` leaves.
    let invalidate = "UPDATE pg_index SET indisvalid = false, indisready = false \
                      WHERE indexrelid = 'ix_user_knowledge_user_id'::regclass";
    let valid = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('ix_user_knowledge_user_id')";
    scratch.execute(invalidate).await;
    drop_index.down(&manager).await.unwrap();
    assert_eq!(scratch.rows(valid).await, ["t"]);
    assert_eq!(scratch.dump_schema().await, with);

    // What a killed `DROP INDEX CONCURRENTLY` leaves is the same.
    scratch.execute(invalidate).await;
    drop_index.up(&manager).await.unwrap();
    assert_eq!(scratch.dump_schema().await, without);
}
