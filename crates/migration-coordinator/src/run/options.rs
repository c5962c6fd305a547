//! How a run is to be done, and by whom. Plain data; nothing is decided here.

use std::time::Duration;

use migration_kit::table_lock::Policy;

use crate::cancel::Cancellation;

/// Who runs, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the machine.
    pub host: String,
    /// Name and version of the tool.
    pub tool: String,
}

/// How it is to be done.
#[derive(Clone)]
pub struct RunOptions {
    /// Who runs.
    pub caller: Caller,
    /// How long to wait for another run's migration lock.
    pub wait: Duration,
    /// How table locks are waited for.
    pub table_locks: Policy,
    /// Most services that are worked on at once.
    pub jobs: usize,
    /// Everything in one transaction, or nothing.
    pub atomic: bool,
    /// Whether data that a migration declares as lost may be lost.
    pub allow_data_loss: bool,
    /// Whether empty services are made although tables of their names, or another tool's version table, have rows
    /// elsewhere in the database.
    pub new_beside: bool,
    /// Stops the run.
    pub cancellation: Cancellation,
}
