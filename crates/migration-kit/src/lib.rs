//! What a migration may use, and what a service is: its name, its schema and its migrations, as data.
//!
//! A service stays a plain sea-orm `MigratorTrait` too: [`ServiceMigration`] adds to sea-orm's `MigrationTrait` what
//! planning and verifying need, and nothing that plain sea-orm tools would miss.
//!
//! The kit is neutral about the async runtime: it neither spawns tasks nor uses a runtime's timer. It does not decide
//! what runs when, takes no migration lock and prints nothing; that is the coordinator's and the command line's part.

mod application;
mod check;
mod data;
mod details;
mod entity;
mod event;
mod lock_file;
mod makes;
mod marker;
mod missing;
pub mod nodes;
mod online;
mod quote;
mod service;
mod session;
pub mod settings;
mod shape;
pub mod sql;
mod table;
pub mod table_lock;

pub use application::connect_options;
pub use check::{Check, CheckKind};
pub use data::{Backfill, BackfillReport, MoveToRejects, rejects, space};
pub use details::{Details, LostRows, Preview};
pub use entity::{EntityColumn, EntityDefinition, EntityForeignKey, EntityTable};
pub use event::Origin;
pub use lock_file::{LockEntry, LockFile, LockFileError, RecordedLock, RecordedPhase};
pub use makes::Made;
pub use marker::BOOKKEEPING;
pub use migration_plan::{MigrationId, MigrationName, NameError, Phase, ServiceName};
pub use missing::is_missing_table;
pub use online::{
    AddCheck, AddColumn, AddForeignKey, Brief, Column, CreateIndex, CreateTrigger, ForeignKey, Function,
    Index, OnDelete, Online, OnlineMigration, Trigger,
};
pub use quote::{literal, qualified, quote_identifier};
pub use service::{
    External, Listed, Service, ServiceError, ServiceMigration, StandIn, panic_message, plain, version_table,
};
pub use session::{LOCK_NOT_AVAILABLE, POLICY_HINT, driver_error, is_cut_by_policy, sqlstate};
pub use shape::{Existing, TOLERATED_SETTING, current_schema, existing_table};
pub use table_lock::LockMode;

#[doc(hidden)]
pub use {include_dir, sea_orm, sea_orm_migration, sea_orm_migration::async_trait};

/// The SQL files of a folder, compiled into the program, for [`Service::from_sql_files`] and [`sql::from_files`].
///
/// The path begins with `$CARGO_MANIFEST_DIR`. Cargo notices changed files by itself, and new ones if the crate's build
/// script prints `cargo::rerun-if-changed=` with the folder's name.
///
/// ```
/// use migration_kit::{Service, sql_files};
///
/// let files = sql_files!("$CARGO_MANIFEST_DIR/tests/foreign/sql");
/// let service = Service::from_sql_files("ledger", files)?;
/// assert_eq!(service.migrations().count(), 3);
/// # Ok::<(), migration_kit::ServiceError>(())
/// ```
#[macro_export]
macro_rules! sql_files {
    ($folder:tt) => {{
        use $crate::include_dir;
        static FOLDER: include_dir::Dir<'static> = include_dir::include_dir!($folder);
        $crate::sql::embedded(&FOLDER)
    }};
}

/// Declares the migrations of a service: one module per line, in the order in which they are applied.
///
/// Expands to `mod …;` for each and to `fn migrations() -> Vec<Box<dyn ServiceMigration>>`. It is a macro because a
/// function cannot declare a module: with it, a new migration is one new file and one line, and two branches that both
/// add one conflict here instead of silently changing each other's order. Every module has a `pub struct Migration`.
///
/// ```text
/// migration_kit::migrations! {
///     m20251016_000001_create_messages,
///     m20251017_000001_add_message_source,
/// }
/// ```
#[macro_export]
macro_rules! migrations {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*

        /// The service's migrations in the order in which they are applied.
        #[must_use]
        pub fn migrations() -> Vec<Box<dyn $crate::ServiceMigration>> {
            vec![$(Box::new($module::Migration)),*]
        }
    };
}

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
