//! The arguments of `backup`.

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
