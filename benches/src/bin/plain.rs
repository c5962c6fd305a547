//! The services of small migrations as plain sea-orm-migration applies them: one migrator after another, each in its schema.
//!
//! No lock, no journal, no plan and no output: what is left is the library that all of it is built on.

use std::env;

use anyhow::Context as _;
use benches::Size;
use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{ConnectOptions, Database};

/// The migrations of any one service: all have the same.
struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Size::S5M20.plain_migrations()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let (_, url) = env::vars().find(|(name, _)| name == "DATABASE_URL").context("DATABASE_URL is not set")?;
    for service in Size::S5M20.names() {
        let mut options = ConnectOptions::new(&url);
        options.max_connections(1).set_schema_search_path(&service);
        let connection = Database::connect(options).await?;
        connection.execute_unprepared(&format!("CREATE SCHEMA IF NOT EXISTS {service}")).await?;
        Migrator::up(&connection, None).await?;
        connection.close().await?;
    }
    Ok(())
}
