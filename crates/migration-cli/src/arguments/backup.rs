//! The arguments of `backup`, `restore` and `reset`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::run::{WAIT, duration};

/// What `backup` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct BackupArguments {
    /// Directory to write to; `MIGRATE_BACKUP_DIR`, else `backups`, if none is named
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) to: Option<PathBuf>,
    /// Command of the shell that keeps each archive and then its manifest: it reads them, and finds the name in `MIGRATE_BACKUP_NAME`
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["to", "jobs", "verify", "keep", "keep_days"])]
    pub(crate) to_command: Option<String>,
    /// Dump with `pg_dump`, also where `MIGRATE_BACKUP_COMMAND` names a command that makes backups in its place
    #[arg(long)]
    pub(crate) archive: bool,
    /// Dump so many tables of a service side by side, into a directory instead of a file; each takes a connection
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: Option<u16>,
    /// Restore each archive on trial, however large it is; without, up to 1 GB
    #[arg(long)]
    pub(crate) verify: bool,
    /// Do not restore them on trial
    #[arg(long, conflicts_with = "verify")]
    pub(crate) no_verify: bool,
    /// How long to wait for another run's migration lock, and for a table that another transaction locks
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
    /// Afterwards, remove older backups of these services, but for the newest so many
    #[arg(long, value_name = "N")]
    pub(crate) keep: Option<usize>,
    /// Afterwards, remove backups of these services that are older than so many days; the newest one stays
    #[arg(long, value_name = "N")]
    pub(crate) keep_days: Option<u32>,
}

/// What `restore` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct RestoreArguments {
    /// The archive, as `backups` names it; its manifest is beside it
    #[arg(value_name = "FILE", required_unless_present = "drop_old")]
    pub(crate) file: Option<PathBuf>,
    /// Command of the shell that prints the archive, or its manifest, whose name it finds in `MIGRATE_BACKUP_NAME`; FILE is a name then
    #[arg(long, value_name = "COMMAND", requires = "file", conflicts_with = "drop_old")]
    pub(crate) from_command: Option<String>,
    /// Show what would be replaced, table by table; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Allow replacing rows that are there; with `--drop-old`, dropping them for good
    #[arg(long)]
    pub(crate) allow_data_loss: bool,
    /// Allow a backup of another database
    #[arg(long)]
    pub(crate) from_elsewhere: bool,
    /// Leave out owners and rights: everything is the role's that restores
    #[arg(long)]
    pub(crate) no_owner: bool,
    /// Instead of restoring, drop what was set aside when this service was restored
    #[arg(long, value_name = "SERVICE", conflicts_with_all = ["file", "from_elsewhere", "no_owner"])]
    pub(crate) drop_old: Option<String>,
    /// How long to wait for another run's migration lock, and for tables that other transactions lock
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
}

/// What `reset` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct ResetArguments {
    /// The service
    pub(crate) service: String,
    /// Show what would be dropped, with the number of rows, and what uses it; change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Allow dropping tables that have rows
    #[arg(long)]
    pub(crate) allow_data_loss: bool,
    /// How long to wait for another run's migration lock, and for tables that other transactions lock
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
}
