//! The chat service: Telegram dialogue history, as migrations and as sea-orm entities.
//!
//! Responsible for the table `messages`, its indexes and checks, and for the queries that they serve. It opens no
//! connection and decides nothing about when a migration runs: that is the coordinator's part, or plain sea-orm's, for
//! which [`Migrator`] offers the same migrations.

use migration_kit::{EntityTable, Service};
use sea_orm::ConnectOptions;
use sea_orm_migration::prelude::{DynIden, IntoIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

pub mod entity;

migration_kit::migrations! {
    m20251016_000001_create_messages,
    m20251017_000001_add_message_source,
    m20261120_000001_index_message_history,
    m20261120_000002_check_messages,
}

/// Name of the service.
pub const NAME: &str = "chat";

/// The service as the coordinator sees it.
///
/// # Panics
/// If the migrations are no service, which a test and every command report.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations())
        .unwrap_or_else(|error| panic!("{error}"))
        .with_tables(["messages"])
        .with_entities([EntityTable::of(entity::messages::Entity)])
        .with_lock_file(include_str!("../migrations.lock"))
}

/// Options for the application's connections, by which the entities are found in the service's schema. Where the service
/// was placed in another one, say so with sea-orm's `set_schema_search_path`.
pub fn connect_options(url: impl Into<String>) -> ConnectOptions {
    migration_kit::connect_options(url, NAME)
}

/// The same migrations for plain sea-orm, with a version table of the service's own.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migration_kit::plain(migrations())
    }

    fn migration_table_name() -> DynIden {
        migration_kit::version_table(NAME).into_iden()
    }
}
