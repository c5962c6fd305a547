//! The arguments of `move`.

use std::time::Duration;

use clap::Args;

use super::run::{LOCK_PATIENCE, WAIT, duration};

/// What `move` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct MoveArguments {
    /// The service
    pub(crate) service: String,
    /// Where it goes: a variable of the environment or of `.env` that holds the address, or an address without a password
    #[arg(long, value_name = "VARIABLE|URL")]
    pub(crate) to: String,
    /// Move it; without, only show what would be moved and what stops it
    #[arg(long)]
    pub(crate) yes: bool,
    /// Leave out owners and rights: everything is the role's that connects there
    #[arg(long)]
    pub(crate) no_owner: bool,
    /// How long to wait for another run's migration lock, here and there
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
    /// How long to keep trying to stop writing, while transactions that have written are not over
    #[arg(long, value_name = "DURATION", default_value = LOCK_PATIENCE, value_parser = duration)]
    pub(crate) lock_patience: Duration,
}
