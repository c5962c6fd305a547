//! Why a backup was not made or not restored. It is long because all reasons are in one enum.

use std::io;
use std::path::{Path, PathBuf};

use migration_coordinator::{ConnectError, RunError, UpkeepError};
use migration_kit::table_lock::TableLockError;
use migration_kit::{LOCK_NOT_AVAILABLE, ServiceName};
use migration_plan::counted;
use postgres_sandbox::{NotFound, SandboxError};
use postgres_schema::SchemaError;

use crate::TableRows;

/// Why a backup was not made or not restored, or a service not moved. What was begun is taken back: no half-written file is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The service's lock or its database could not be had.
    #[error(transparent)]
    Upkeep(#[from] UpkeepError),
    /// The service's history could not be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The role may not have as many connections at once as it takes.
    #[error(
        "`{service}`: {} at once may be had to `{database}`, and this takes {needed}",
        counted(*limit, "connection", "connections")
    )]
    Connections {
        /// The first service.
        service: ServiceName,
        /// The database, without its password.
        database: String,
        /// How many there may be.
        limit: i32,
        /// How many it takes.
        needed: i32,
        /// The statement that allows them.
        change: String,
    },
    /// There is no `pg_dump` that can read a server of this version.
    #[error("there is no `pg_dump` of PostgreSQL {major} or later, and an older one refuses the server")]
    NoClients {
        /// The server's major version.
        major: u32,
        /// What was looked at.
        #[source]
        missing: Box<NotFound>,
    },
    /// The service does not say what is its own in a schema that it shares.
    #[error("`{service}`: what is its own in the schema `{schema}` is not known: it names no tables")]
    NotApart {
        /// The service.
        service: ServiceName,
        /// The schema.
        schema: String,
    },
    /// A partition of a service's table is not its own, so that a dump has the table without these rows.
    #[error(
        "`{service}`: partition `{partition}` of `{table}` is {}, so that its rows are not in the backup",
        if moves.is_some() { "in another schema" } else { "not known to be its own" }
    )]
    Partition {
        /// The service.
        service: ServiceName,
        /// The partition, with its schema.
        partition: String,
        /// The table, with its schema.
        table: String,
        /// The statement that moves it to the schema of its table, if it is in another.
        moves: Option<String>,
    },
    /// A service's table is a partition of a table of others, or inherits from it: what is set aside would stay attached to that, beside
    /// what takes its place.
    #[error(
        "`{service}` cannot be restored: its table `{table}` {} `{parent}`, which is not its own",
        if *is_partition { "is a partition of" } else { "inherits from" }
    )]
    AttachedToOther {
        /// The service.
        service: ServiceName,
        /// Its table, with its schema.
        table: String,
        /// The table of others, with its schema.
        parent: String,
        /// Whether it is a partition of that.
        is_partition: bool,
        /// The statement that parts them.
        parts: String,
    },
    /// The database refused a question.
    #[error("`{service}`: the database could not be read")]
    Read {
        /// The service.
        service: ServiceName,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be read.
    #[error("`{service}`: its schema could not be read")]
    Schema {
        /// The service.
        service: ServiceName,
        /// Why.
        #[source]
        source: SchemaError,
    },
    /// Another transaction holds a lock on a table.
    #[error("`{service}`: a table is locked by another transaction")]
    Locked {
        /// The service.
        service: ServiceName,
        /// What `pg_dump` says.
        says: String,
    },
    /// The server went away.
    #[error("`{service}`: the connection to the server was lost")]
    Lost {
        /// The service.
        service: ServiceName,
    },
    /// The connection broke while a restore was committed.
    #[error(
        "`{service}`: it is not known whether it was restored: the connection was lost while that was committed"
    )]
    Unknown {
        /// The service.
        service: ServiceName,
        /// The schema in which that is kept which was there before, if it was restored and something was there.
        kept_in: Option<String>,
    },
    /// A node of Citus does not let a dump in, which locks its tables on all of them, wherever their rows are.
    #[error(
        "`{service}`: there is no connection to node {node} of Citus, which a dump needs of every node: {says}"
    )]
    Node {
        /// The service.
        service: ServiceName,
        /// The node, as `HOST:PORT`.
        node: String,
        /// Why not.
        says: String,
    },
    /// The role may not read something.
    #[error("`{service}`: not permitted: {says}")]
    Forbidden {
        /// The service.
        service: ServiceName,
        /// What `pg_dump` says.
        says: String,
    },
    /// A program failed.
    #[error("`{service}`: `{program}` failed: {says}")]
    Program {
        /// The service.
        service: ServiceName,
        /// Name of the program.
        program: &'static str,
        /// Its last words.
        says: String,
    },
    /// A command that keeps, gives or makes backups failed.
    #[error("the command did not {does} `{name}`: {says}")]
    Command {
        /// What it was to do: `keep`, `give`, `make`.
        does: &'static str,
        /// Name of the file or of the backup.
        name: String,
        /// Its last words.
        says: String,
    },
    /// Migrations were applied or reverted while a command made a backup, so that it is not known which it has.
    #[error("`{service}`: migrations were applied or reverted while the command made `{name}`")]
    Moved {
        /// The service.
        service: ServiceName,
        /// Name of the backup.
        name: String,
    },
    /// The backup is another tool's.
    #[error("`{}` cannot be restored: it names the backup `{name}`, whose files only the tool that made it has", file.display())]
    External {
        /// The manifest.
        file: PathBuf,
        /// Name of the backup.
        name: String,
    },
    /// A file could not be read or written.
    #[error("could not {action} `{}`", path.display())]
    File {
        /// What was done with it: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A trial restore did not give what was backed up.
    #[error("`{service}`: the backup cannot be restored as it was: {why}")]
    NotRestorable {
        /// The service.
        service: ServiceName,
        /// What is wrong.
        why: String,
    },
    /// A trial restore was asked for, and the service uses what is in no backup of it.
    #[error("`{service}`: the backup cannot be restored on trial: {why}")]
    NotTried {
        /// The service.
        service: ServiceName,
        /// What it uses, in words.
        why: String,
    },
    /// The database refused what was restored: nothing was changed.
    #[error("`{service}`: the backup could not be restored, and nothing was changed")]
    Write {
        /// The service.
        service: ServiceName,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// There is no backup where one is named, or it may not be read.
    #[error("`{}` cannot be restored: {why}", file.display())]
    Unreadable {
        /// What was named.
        file: PathBuf,
        /// Why it cannot be read.
        why: String,
    },
    /// The backup is not what it was when it was made.
    #[error("`{}` cannot be restored: {what}", file.display())]
    Damaged {
        /// The archive.
        file: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The backup does not fit the database or the program.
    #[error("`{service}` cannot be restored: {why}")]
    Unfit {
        /// The service.
        service: String,
        /// What does not fit.
        why: String,
    },
    /// The backup is of another database than the one with rows of the service.
    #[error(
        "`{service}` has rows here, and the backup is of another database: `{database}` of server {server}"
    )]
    Elsewhere {
        /// The service.
        service: ServiceName,
        /// The database that it is of.
        database: String,
        /// The number of its server.
        server: String,
    },
    /// Rows would be replaced, and there is no consent to that.
    #[error("`{service}` has {}, which the restored ones would replace", counted(*n_rows, "row", "rows"))]
    WouldReplace {
        /// The service.
        service: ServiceName,
        /// How many.
        n_rows: i64,
    },
    /// What was set aside would be dropped, and there is no consent to that.
    #[error("`{service}`: what it had before it was restored is in `{}`", schemas.join("`, `"))]
    WouldDrop {
        /// The service.
        service: ServiceName,
        /// Where it is.
        schemas: Vec<String>,
    },
    /// Others use what a reset would drop.
    #[error("`{service}` cannot be reset: {}", by.iter().map(|by| format!("`{by}` uses what is its own")).collect::<Vec<_>>().join("; "))]
    StillUsed {
        /// The service.
        service: ServiceName,
        /// What uses it, in words; at least one.
        by: Vec<String>,
    },
    /// Rows would be dropped, and there is no consent to that.
    #[error("a reset of `{service}` loses for good: {}", tables.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    WouldLose {
        /// The service.
        service: ServiceName,
        /// The tables that have rows; at least one.
        tables: Vec<TableRows>,
    },
    /// Something is in the service's schema that is dropped by hand only.
    #[error("`{service}` cannot be reset: there would be left in its schema: `{}`", what.join("`, `"))]
    Remains {
        /// The service.
        service: ServiceName,
        /// What it is, in words.
        what: Vec<String>,
    },
    /// The database refused to drop something: nothing was changed.
    #[error("`{service}` could not be reset, and nothing was changed")]
    NotReset {
        /// The service.
        service: ServiceName,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// The service cannot be moved as it is, or not to that place.
    #[error("`{service}` cannot be moved: {why}")]
    NotMovable {
        /// The service.
        service: ServiceName,
        /// Why not.
        why: String,
        /// What to do about it.
        hint: Option<&'static str>,
    },
    /// A server refuses what a move would do: nothing was changed.
    #[error("`{service}` cannot be moved: the server {place} refuses what that takes")]
    NotAccepted {
        /// The service.
        service: ServiceName,
        /// Which server: `here`, `there`.
        place: &'static str,
        /// Whether owners and rights were left out already.
        no_owner: bool,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
    /// Roles of the service are missing where it should go.
    #[error("`{service}` cannot be {done}: there are no roles `{}` there", roles.join("`, `"))]
    NoRoles {
        /// The service.
        service: ServiceName,
        /// What cannot be done: `moved`.
        done: &'static str,
        /// The roles; at least one.
        roles: Vec<String>,
    },
    /// What is there is not as its applied migrations promise.
    #[error("`{service}` cannot be moved: a check does not hold: {says}")]
    NotKept {
        /// The service.
        service: ServiceName,
        /// The first such check, and what was found.
        says: String,
    },
    /// Writing could not be stopped.
    #[error("`{service}`: writing to its tables could not be stopped")]
    NotFenced {
        /// The service.
        service: ServiceName,
        /// The lock that could not be acquired, and what blocks it.
        #[source]
        source: TableLockError,
    },
    /// What came there is not what was here: nothing was changed in either place.
    #[error("`{service}` was not moved: what came there is not what was here: {what}")]
    Different {
        /// The service.
        service: ServiceName,
        /// What differs.
        what: String,
    },
    /// A move ended between its two commits, or may have.
    #[error("`{service}`: it is not known whether it was moved: {what}")]
    MoveUnknown {
        /// The service.
        service: ServiceName,
        /// What happened.
        what: &'static str,
    },
    /// A connection of a move broke before anything was done for good.
    #[error("`{service}` was not moved: the connection to `{database}` was lost")]
    MoveLost {
        /// The service.
        service: ServiceName,
        /// The database, without a password.
        database: String,
    },
    /// There is no private server to verify on.
    #[error("`{service}`: the backup could not be verified")]
    Server {
        /// The service.
        service: ServiceName,
        /// Why.
        #[source]
        source: SandboxError,
    },
}

impl BackupError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoClients { missing, .. } => Some(missing.hint()),
            Self::Connections { change, .. } => {
                Some(format!("nothing was changed; `{change};` allows them, beside those of others"))
            }
            Self::NotApart { .. } => Some(
                "name its tables with `Service::with_tables`, or move it to a schema of its own".to_owned(),
            ),
            Self::Partition { moves: Some(moves), .. } => {
                Some(format!("`{moves};` puts it beside its table"))
            }
            Self::AttachedToOther { parts, .. } => Some(format!(
                "nothing was changed; `{parts};` parts them; what a backup has attached is attached again when it is restored"
            )),
            Self::Partition { moves: None, .. } => Some("name it with `Service::with_tables`".to_owned()),
            Self::Unknown { kept_in: Some(schema), .. } => {
                Some(format!("it was if there is a schema `{schema}`; if there is none, nothing was changed"))
            }
            Self::Unknown { kept_in: None, .. } => {
                Some("it was if the service's tables are there; otherwise nothing was changed".to_owned())
            }
            Self::Locked { .. } => Some("try again when that transaction is over".to_owned()),
            Self::StillUsed { .. } => Some("drop or revert that first; nothing was changed".to_owned()),
            Self::Remains { .. } => Some("drop it first; nothing was changed".to_owned()),
            Self::NotMovable { hint, .. } => hint.map(str::to_owned),
            Self::MoveLost { .. } => Some(
                "it is where it was, and nothing was changed; run the same again once that server answers"
                    .to_owned(),
            ),
            Self::MoveUnknown { .. } => Some(
                "run the same again: it looks at both places, and ends the move or begins it anew".to_owned(),
            ),
            Self::Server { source, .. } => source.hint(),
            Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("make room, or name another directory".to_owned())
            }
            _ => None,
        }
    }

    /// Whether the server says that the role lacks a right.
    #[must_use]
    pub fn is_not_permitted(&self) -> bool {
        let (Self::NotAccepted { source, .. } | Self::Write { source, .. }) = self else { return false };
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        code.as_deref() == Some("42501")
    }

    pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action: "write", path, source }
    }

    pub(crate) fn reading(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action: "read", path, source }
    }
}

/// What the server says of a change, as an error of this crate.
pub(crate) fn written(service: &ServiceName) -> impl Fn(sqlx::Error) -> BackupError {
    let service = service.clone();
    move |source| match is_lost(&source) {
        true => BackupError::Lost { service: service.clone() },
        false => BackupError::Write { service: service.clone(), source },
    }
}

/// Whether the server has gone away, or the way to it.
fn is_lost(source: &sqlx::Error) -> bool {
    let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
    matches!(
        (code.as_deref(), source),
        (Some("57P01" | "57P02" | "57P03"), _) | (None, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed)
    )
}

/// What the server says of a question, as an error of this crate.
pub(crate) fn read(service: &ServiceName) -> impl Fn(sqlx::Error) -> BackupError {
    let service = service.clone();
    move |source| {
        let code = source.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some(LOCK_NOT_AVAILABLE) => {
                BackupError::Locked { service: service.clone(), says: source.to_string() }
            }
            _ if is_lost(&source) => BackupError::Lost { service: service.clone() },
            _ => BackupError::Read { service: service.clone(), source },
        }
    }
}
