//! The rag service: what is known of each user, beside tables of other teams.
//!
//! Responsible for the table `user_knowledge` alone, as migrations and as a sea-orm entity. The tables of the forum and
//! of the AI manager are declared as external: their presence is reported, and a migration that changes one is
//! refused. The service may live in a schema of its own (the default) or, adopted, in the shared `public`.

use migration_kit::{EntityTable, Service};
use sea_orm::ConnectOptions;
use sea_orm_migration::prelude::{DynIden, IntoIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

pub mod entity;

migration_kit::migrations! {
    m20250727_000001_create_user_knowledge,
    m20261120_000001_drop_redundant_user_id_index,
}

/// Name of the service.
pub const NAME: &str = "rag";

/// The service as the coordinator sees it.
///
/// # Panics
/// If the migrations are no service, which a test and every command report.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations())
        .unwrap_or_else(|error| panic!("{error}"))
        .with_tables(["user_knowledge"])
        .with_entities([EntityTable::of(entity::user_knowledge::Entity)])
        .with_lock_file(include_str!("../migrations.lock"))
        .with_external("public", "embeddings", "the AI manager")
        .with_external("public", "message_embeddings", "the AI manager")
        .with_external("public", "users", "the forum")
        .with_external("public", "topics", "the forum")
        .with_external("public", "messages", "the forum")
}

/// Options for the application's connections, by which the entities are found in the service's schema. Where the service
/// was placed in another one, say so with sea-orm's `set_schema_search_path`.
pub fn connect_options(url: impl Into<String>) -> ConnectOptions {
    migration_kit::connect_options(url, NAME)
}

/// The same migrations for plain sea-orm, with a version table of the service's own: the forum's is another.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migration_kit::plain(migrations())
    }

    fn migration_table_name() -> DynIden {
        migration_kit::version_table(NAME).into_iden()
    }
}
