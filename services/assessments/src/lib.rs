//! The assessments service: skill assessments, their questions and the answers given.
//!
//! Responsible for the schema `assessments` and for how it got there. It deliberately knows no other service, reads no
//! environment and prints nothing; the command line and the coordinator run what stands here.

pub mod entity;
mod evaluation;

use migration_kit::Service;
use sea_orm::ConnectOptions;
use sea_orm::{DynIden, sea_query::IntoIden};
use sea_orm_migration::{MigrationTrait, MigratorTrait};

migration_kit::migrations! {
    m20260116_000001_create_assessments,
    m20260122_000001_create_questions,
    m20260126_000001_add_evaluation_columns,
    m20260126_000002_backfill_evaluations,
    m20260126_000003_index_evaluations,
    m20260126_000004_drop_raw_answers,
}

/// Name of the service, of its schema, and the end of the names of its bookkeeping tables.
pub const NAME: &str = "assessments";

/// The service as the coordinator sees it.
///
/// # Panics
/// If the migrations are no service, which a test and every command report.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations())
        .unwrap_or_else(|error| panic!("{error}"))
        .with_entities(entity::all())
        .with_lock_file(include_str!("../migrations.lock"))
        .with_functions(evaluation::FUNCTIONS.map(|function| function.dropped_as()))
        .with_tables([
            "assessments",
            "competencies",
            "competency_assessments",
            "direction_competencies",
            "direction_technologies",
            "directions",
            "question_history",
            "questions",
            "roles",
            "technologies",
            "technology_competencies",
            "user_roles",
            "users",
        ])
}

/// Options for the application's connections, by which the entities are found in the service's schema. Where the service
/// was placed in another one, say so with sea-orm's `set_schema_search_path`.
pub fn connect_options(url: impl Into<String>) -> ConnectOptions {
    migration_kit::connect_options(url, NAME)
}

/// The same migrations for plain sea-orm tools. They take no lock and check nothing: give the connection a
/// `search_path` of the service's schema alone.
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        migration_kit::plain(migrations())
    }

    fn migration_table_name() -> DynIden {
        migration_kit::version_table(NAME).into_iden()
    }
}
