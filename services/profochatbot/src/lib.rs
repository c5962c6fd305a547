//! The profochatbot service: a course bot for one tenant that becomes a service for many.
//!
//! Responsible for the schema `profochatbot`: its migrations in order, its tables as the application sees them
//! ([`entity`]). What each migration locks, and what it cannot give back, stands in the crate's README. Deliberately
//! not here: when and in which order migrations run, which is the coordinator's part.

migration_kit::migrations! {
    m20240101_000001_create_profochatbot,
}

pub mod entity;

use migration_kit::Service;
use sea_orm_migration::prelude::{DynIden, IntoIden, MigrationTrait, MigratorTrait};

/// Name of the service, and of its schema unless its user says otherwise.
pub const NAME: &str = "profochatbot";

/// The service as the coordinator takes it.
///
/// # Panics
/// Never: the names are literals, and a test makes the service.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations()).expect("the names are literals, and a test makes the service")
}

/// The service's migrations for plain sea-orm tools. It takes no lock: prefer the command line where it can be had.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migration_kit::plain(migrations())
    }

    fn migration_table_name() -> DynIden {
        migration_kit::version_table(NAME).into_iden()
    }
}
