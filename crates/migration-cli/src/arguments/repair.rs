//! The arguments of `repair`.

use std::time::Duration;

use clap::Args;
use migration_kit::{MigrationId, MigrationName};

use super::run::{WAIT, duration};

/// What `repair` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct RepairArguments {
    /// Services to look at; all if none is named
    #[arg(value_name = "SERVICE", conflicts_with_all = ["Decisions", "dry_run"])]
    pub(crate) services: Vec<String>,
    #[command(flatten)]
    pub(crate) decisions: Decisions,
    /// Show what the decision would change; change nothing
    #[arg(long, requires = "Decisions")]
    pub(crate) dry_run: bool,
    /// How long to wait for another run's migration lock
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
}

/// What can be decided, one thing at a time.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
pub(crate) struct Decisions {
    /// Drop the invalid indexes of this service, while reading and writing continue
    #[arg(long, value_name = "SERVICE")]
    pub(crate) drop_invalid_indexes: Option<String>,
    /// Rename the row of a migration in the version table: it is called NEW in every build now
    #[arg(long, value_name = "SERVICE:OLD=NEW", value_parser = renaming)]
    pub(crate) renamed: Option<(MigrationId, MigrationName)>,
    /// Record that an applied migration may differ from what was applied: databases made from now on differ from this one as far as
    /// its result does
    #[arg(long, value_name = "SERVICE:MIGRATION", value_parser = migration)]
    pub(crate) accept_edit: Option<MigrationId>,
    /// Delete the row of a migration that no build has any more; what it made stays
    #[arg(long, value_name = "SERVICE:MIGRATION", value_parser = migration)]
    pub(crate) forget: Option<MigrationId>,
    /// Record that this migration is applied, in place of those that it replaces
    #[arg(long, value_name = "SERVICE:MIGRATION", value_parser = migration)]
    pub(crate) squashed: Option<MigrationId>,
    /// Make the lost rows of this service's version table again, from its journal
    #[arg(long, value_name = "SERVICE")]
    pub(crate) restore_rows: Option<String>,
    /// Write the lost journal of this service anew, from its version table, where its schema is as the applied migrations make it
    #[arg(long, value_name = "SERVICE")]
    pub(crate) rewrite_journal: Option<String>,
}

fn migration(text: &str) -> Result<MigrationId, String> {
    text.replacen('@', ":", 1)
        .parse()
        .map_err(|error| format!("{error}; write a service and a migration: `SERVICE:MIGRATION`"))
}

fn renaming(text: &str) -> Result<(MigrationId, MigrationName), String> {
    let (id, now) =
        text.rsplit_once('=').ok_or("write both names of the migration: `SERVICE:OLD=NEW`".to_owned())?;
    let now = now.parse().map_err(|error: migration_plan::NameError| error.to_string())?;
    Ok((migration(id)?, now))
}
