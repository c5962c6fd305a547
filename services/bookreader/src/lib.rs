//! The bookreader service: users, books, reading positions, preferences and the pictures made from books.
//!
//! It is responsible for its migrations in their order, for the tables as the application sees them ([`entity`]), and
//! for staying a plain sea-orm [`Migrator`]. It deliberately neither connects nor decides what runs when.

use migration_kit::Service;
use sea_orm::ConnectOptions;
use sea_orm_migration::prelude::*;

pub mod entity;
mod reader_settings;

migration_kit::migrations! {
    m20250823_000001_create_bookreader,
    m20250824_143000_add_book_rating,
    m20250824_154500_create_user_preferences,
    m20250824_154501_backfill_user_preferences,
    m20250824_154502_drop_reader_settings,
    m20250824_162000_optimize_queries,
    m20251019_234800_add_reading_location_cfi,
    m20251020_232800_add_scroll_offset_percent,
    m20261120_000001_add_id_defaults,
}

/// Name of the service, of its schema and, as a suffix, of its version table.
pub const NAME: &str = "bookreader";

/// The service's tables.
const TABLES: [&str; 8] = [
    "users",
    "books",
    "subscriptions",
    "chapters",
    "reading_progress",
    "descriptions",
    "generated_images",
    "user_preferences",
];

/// The service with its migrations.
///
/// # Panics
/// If the migrations are no service, which a test and every command report.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations())
        .unwrap_or_else(|error| panic!("{error}"))
        .with_tables(TABLES)
        .with_functions(reader_settings::FUNCTIONS.map(|function| function.dropped_as()))
        .with_types(m20250823_000001_create_bookreader::TYPES.map(|(name, _)| name))
        .with_entities(entity::all())
        .with_lock_file(include_str!("../migrations.lock"))
}

/// Options for the application's connections, by which the entities are found in the service's schema. Where the service
/// was placed in another one, say so with sea-orm's `set_schema_search_path`.
pub fn connect_options(url: impl Into<String>) -> ConnectOptions {
    migration_kit::connect_options(url, NAME)
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
