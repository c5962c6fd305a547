//! Why a rehearsal has no result.

use std::io;
use std::path::PathBuf;

use migration_coordinator::{ConnectError, DeploymentError, RunError};
use migration_kit::sql::SqlError;
use migration_kit::{MigrationId, ServiceName};
use postgres_sandbox::SandboxError;
use postgres_schema::SchemaError;

use crate::hazards::{self, Hazard};

/// Why migrations could not be rehearsed, or their files not be compared or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RehearsalError {
    /// There is no server to rehearse on, or one of its programs failed.
    #[error("the migrations could not be rehearsed")]
    Server(#[from] SandboxError),
    /// The services do not fit together.
    #[error("the services could not be rehearsed")]
    Services(#[from] DeploymentError),
    /// A migration failed, or none began.
    #[error("the rehearsal failed")]
    Run(#[from] RunError),
    /// A migration stayed pending.
    #[error("`{id}` could not be rehearsed: it is held back")]
    HeldBack {
        /// The migration.
        id: MigrationId,
    },
    /// The server's log is not what this version of PostgreSQL is expected to write.
    #[error("line {line} of the server's log is not understood: {text}")]
    Log {
        /// Number of the line, from 1.
        line: usize,
        /// What was read.
        text: String,
    },
    /// The server did not finish its log.
    #[error("the server did not finish writing its log")]
    LogUnfinished,
    /// A migration was applied, and the server's log does not show it.
    #[error("`{id}` left no trace in the server's log")]
    NoTrace {
        /// The migration.
        id: MigrationId,
    },
    /// An SQL file cannot be read as statements.
    #[error("the SQL files cannot be checked")]
    Sql(#[from] SqlError),
    /// The server refused an SQL file, or the schema that such files are applied to.
    #[error("`{path}`, line {line}, could not be applied: {says}")]
    Refused {
        /// The file.
        path: String,
        /// Line from 1 of the statement: of its beginning, or in a schema of its end.
        line: usize,
        /// Why, in the server's words.
        says: String,
        /// Whether it is the schema that files are applied to.
        is_base: bool,
    },
    /// `pg_dump` could not write the schema of a live database.
    #[error("the schema of {database} could not be read: {says}")]
    Dump {
        /// The database, without its password.
        database: String,
        /// What `pg_dump` says.
        says: String,
    },
    /// A database could not be reached.
    #[error("the live schema could not be read")]
    Connect(#[from] ConnectError),
    /// The catalogs of the live database or of the rehearsal's own could not be read.
    #[error("the schema of `{service}` could not be read")]
    Schema {
        /// The service.
        service: ServiceName,
        /// Why.
        source: SchemaError,
    },
    /// The server does not make what an entity describes.
    #[error("the entity of `{service}` for `{table}` builds no table")]
    Entity {
        /// The service.
        service: ServiceName,
        /// The entity's table.
        table: String,
        /// What the server says.
        source: SandboxError,
    },
    /// Something was chosen about a column that is not as the choice says.
    #[error("`{column}` {why}")]
    Choice {
        /// The column.
        column: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file could not be read or written.
    #[error("could not {action} `{}`", path.display())]
    File {
        /// What was done with it: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl RehearsalError {
    /// What a migration failed for, if that is what a rule is against, with its service.
    #[must_use]
    pub fn hazards(&self) -> Vec<(ServiceName, Hazard)> {
        match self {
            Self::Run(RunError::Step(error)) => hazards::refused(error),
            _ => Vec::new(),
        }
    }

    pub(crate) fn reading(path: &std::path::Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action: "read", path, source }
    }
}
