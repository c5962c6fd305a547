//! The arguments of `generate`.

use std::path::PathBuf;

use clap::Args;
use migration_plan::MigrationId;

/// What `generate` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct GenerateOptions {
    /// Directory that has a directory of each service's name
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Outside of a transaction, in steps that can be repeated: for tables that are in use
    #[arg(long)]
    pub(crate) steps: bool,
    /// Write its statements into SQL files beside the module
    #[arg(long, conflicts_with = "steps")]
    pub(crate) sql: bool,
    /// It removes what old code may still read, and is held back until then
    #[arg(long)]
    pub(crate) contract: bool,
    /// A migration of another service that must be applied before; may be given several times
    #[arg(long, value_name = "SERVICE:MIGRATION")]
    pub(crate) requires: Vec<MigrationId>,
}
