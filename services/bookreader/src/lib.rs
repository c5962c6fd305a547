//! The bookreader service: users, books, reading positions, preferences and the pictures made from books.
//!
//! It is responsible for its migrations in their order, for the tables as the application sees them ([`entity`]), and
//! for staying a plain sea-orm [`Migrator`]. It deliberately neither connects nor decides what runs when.

use migration_kit::Service;
use sea_orm_migration::prelude::*;

pub mod entity;

migration_kit::migrations! {
    m20250823_000001_create_bookreader,
}

/// Name of the service, of its schema and, as a suffix, of its version table.
pub const NAME: &str = "bookreader";

/// The service with its migrations.
///
/// # Panics
/// Never: the names are literals, and a test makes the service.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations()).expect("the names are literals, and a test makes the service")
}

/// The same migrations for plain sea-orm tools: no lock, no phases, no verify.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migration_kit::plain(migrations())
    }

    fn migration_table_name() -> DynIden {
        migration_kit::version_table(NAME).into_iden()
    }
}
