//! The steps in a migration that plain sea-orm runs, over an ordinary pool.

use migration_kit::Online;
use sea_orm::{ConnectOptions, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

use crate::support::Scratch;

struct Fill;

impl MigrationName for Fill {
    fn name(&self) -> &str {
        "m20260126_000002_backfill_runs"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Fill {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, "shop", self.name()).await?;
        let orphans = online.move_to_rejects("run", "source.id % 10 = 0", "an orphan");
        orphans.run().await?;
        let fill = "UPDATE run AS source SET n = 1 WHERE {batch} AND source.n IS NULL";
        online.backfill("run").vacuum_times(4).statement(fill).run().await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, "shop", self.name()).await?;
        online.restore_rejects("run").await?;
        online.forget_rejects().await?;
        Ok(())
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Fill)]
    }
}

#[tokio::test]
async fn plain_sea_orm_applies_and_reverts_it() {
    let scratch = Scratch::new().await;
    scratch.execute("CREATE TABLE run (id integer PRIMARY KEY, n integer)").await;
    scratch.execute("INSERT INTO run SELECT i FROM generate_series(1, 200) AS i").await;
    let mut options = ConnectOptions::new(scratch.url());
    options.max_connections(4).set_schema_search_path("shop").sqlx_logging(false);
    let db = sea_orm::Database::connect(options).await.unwrap();

    Migrator::up(&db, None).await.unwrap();
    assert_eq!(scratch.text("SELECT row(count(*), sum(n)) FROM run").await, "(180,180)");

    Migrator::down(&db, None).await.unwrap();
    assert_eq!(scratch.text("SELECT row(count(*), sum(n)) FROM run").await, "(200,180)");
}
