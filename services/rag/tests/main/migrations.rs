//! The schema: up from empty, down again, each migration by itself, resumed after an interruption, under plain sea-orm.

use migration_testing::Scratch;
use rag_migration::{Migrator, migrations, service};
use sea_orm_migration::{MigratorTrait, SchemaManager};

const BASE: &str = "base";

fn names() -> Vec<String> {
    migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

#[test]
fn migrations_are_in_the_order_of_their_names() {
    let service = service();
    assert_eq!(service.migrations().count(), 2);
    assert!(names().is_sorted());
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

#[tokio::test]
async fn plain_sea_orm_applies_and_reverts_the_same_migrations() {
    let scratch = Scratch::new(service()).await;
    Migrator::up(scratch.db(), None).await.unwrap();
    assert_eq!(scratch.rows("SELECT version FROM seaql_migrations_rag ORDER BY version").await, names());
    let by_sea_orm = scratch.dump_schema().await;
    Migrator::down(scratch.db(), None).await.unwrap();
    assert_eq!(scratch.rows("SELECT to_regclass('user_knowledge')").await, ["∅"]);

    let by_coordinator = Scratch::new(service()).await;
    by_coordinator.up().await;
    assert_eq!(by_sea_orm, by_coordinator.dump_schema().await);
}
