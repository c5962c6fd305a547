//! The profochatbot service: a course bot for one tenant that becomes a service for many.
//!
//! Responsible for the schema `profochatbot`: its migrations in order, its tables as the application sees them
//! ([`entity`]). What each migration locks, and what it cannot give back, stands in the crate's README. Deliberately
//! not here: when and in which order migrations run, which is the coordinator's part.

migration_kit::migrations! {
    m20240101_000001_create_profochatbot,
    m20260105_000001_create_account,
    m20260105_000002_add_account_id,
    m20260106_000001_create_tenant_tables,
    m20260107_000001_add_course_columns,
    m20260108_000001_add_link_columns,
    m20260108_000002_create_link_functions,
    m20260108_000003_backfill_courses,
    m20260108_000004_backfill_runs,
    m20260108_000005_index_runs,
    m20260108_000006_backfill_waiting_elements,
    m20260108_000007_backfill_bans_and_settings,
    m20260109_000001_index_tenants,
    m20260109_000002_index_courses,
    m20260109_000003_index_chats,
    m20260110_000001_check_one_active_run,
    m20260111_000001_add_foreign_keys,
    m20260201_000001_normalize_courses,
    m20260201_000002_normalize_participants,
    m20260201_000003_check_run_links,
    m20260201_000004_drop_default_account,
    m20260301_000001_create_name_triggers,
    m20260401_000001_normalize_settings,
    m20260401_000002_drop_names_from_keys,
}

#[cfg(feature = "cli")]
pub mod commands;
pub mod entity;
pub mod task;

mod check;
mod links;
mod lists;

use migration_kit::Service;
use sea_orm::ConnectOptions;
use sea_orm_migration::prelude::{DynIden, IntoIden, MigrationTrait, MigratorTrait};

/// Name of the service, and of its schema unless its user says otherwise.
pub const NAME: &str = "profochatbot";

/// The tables of the single-tenant application: each of their rows gets an account.
pub(crate) const TENANT_TABLES: [&str; 8] = [
    "conversation",
    "run",
    "waiting_element",
    "course",
    "course_element",
    "courseparticipants",
    "bannedparticipants",
    "gen_settings",
];

/// How many days old and new application code run beside each other, at least.
pub(crate) const SOAK_DAYS: u64 = 7;

/// The service as the coordinator takes it.
///
/// # Panics
/// If the migrations are no service, which a test and every command report.
#[must_use]
pub fn service() -> Service {
    Service::new(NAME, migrations())
        .unwrap_or_else(|error| panic!("{error}"))
        .with_tables(TENANT_TABLES)
        .with_tables(["account", "account_member", "bot", "course_deployment", "enrollment_token"])
        .with_entities(entity::all())
        .with_lock_file(include_str!("../migrations.lock"))
}

/// Options for the application's connections, by which the entities are found in the service's schema. Where the service
/// was placed in another one, say so with sea-orm's `set_schema_search_path`.
pub fn connect_options(url: impl Into<String>) -> ConnectOptions {
    migration_kit::connect_options(url, NAME)
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
