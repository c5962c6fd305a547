//! The arguments of `citus`.

use std::time::Duration;

use clap::Subcommand;

use super::run::{LOCK_PATIENCE, WAIT, duration};

/// What can be done with the nodes of Citus.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CitusCommand {
    /// Show the nodes, and on which of them each service is; changes nothing
    Status {
        /// Services to show; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
    },
    /// Show what it takes to put a service's tables on a node of their own, or with `--by` their rows on all nodes; with `--yes`, do it: nobody
    /// writes to them meanwhile
    Distribute {
        /// The service
        service: String,
        /// Spread the rows over all nodes by this column: those with equal values are together
        #[arg(long, value_name = "COLUMN")]
        by: Option<String>,
        /// Tables that every node has whole: small ones to which others refer
        #[arg(long, value_name = "TABLES", value_delimiter = ',', requires = "by")]
        whole: Vec<String>,
        /// Put them there; without, only show what that takes
        #[arg(long)]
        yes: bool,
        /// How long to wait for another run's migration lock
        #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
        wait: Duration,
        /// How long to keep trying for table locks that other transactions block
        #[arg(long, value_name = "DURATION", default_value = LOCK_PATIENCE, value_parser = duration)]
        lock_patience: Duration,
    },
    /// Show what it takes to move a service's tables to another node; with `--yes`, do it, while they are read and written
    Move {
        /// The service
        service: String,
        /// The node, as `citus status` names it
        #[arg(value_name = "HOST:PORT")]
        node: String,
        /// Move them; without, only show what that takes
        #[arg(long)]
        yes: bool,
        /// How long to wait for another run's migration lock
        #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
        wait: Duration,
    },
}
