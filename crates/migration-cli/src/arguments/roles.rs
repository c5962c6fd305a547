//! The arguments of `roles`.

use std::time::Duration;

use clap::Args;

use super::run::{WAIT, duration};

/// What `roles` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct RolesArguments {
    /// Services whose roles are made; all if none is named
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<String>,
    /// Print the statements that are missing; change nothing
    #[arg(long, visible_alias = "sql")]
    pub(crate) dry_run: bool,
    /// Precedes the names of roles, `SERVICE_owner` and `SERVICE_app`, which all databases of a server share
    #[arg(long, value_name = "PREFIX", default_value = "")]
    pub(crate) prefix: String,
    /// A role that runs migrations beside the one that is connected: it may become the owner; repeatable
    #[arg(long, value_name = "ROLE")]
    pub(crate) migrator: Vec<String>,
    /// The role with which an application logs in: it may read and write rows, and alter nothing; repeatable
    #[arg(long, value_name = "ROLE")]
    pub(crate) application: Vec<String>,
    /// How long to wait for another run's migration lock, and for tables that other transactions lock
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
}
