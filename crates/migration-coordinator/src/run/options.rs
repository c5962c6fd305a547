//! How a run is to be done. Plain data; nothing is decided here.

use std::time::Duration;

use migration_kit::table_lock::Policy;

use super::accept::Acceptance;
use super::own_run::OwnRun;
use crate::caller::Caller;
use crate::cancel::Cancellation;

/// How it is to be done.
#[derive(Clone)]
#[non_exhaustive]
pub struct RunOptions {
    /// Who runs.
    pub caller: Caller,
    /// How long to wait for another run's migration lock.
    pub wait: Duration,
    /// How table locks are waited for.
    pub table_locks: Policy,
    /// Maximum number of services to migrate at once.
    pub jobs: usize,
    /// Everything in one transaction, or nothing.
    pub atomic: bool,
    /// Whether data that a migration declares as lost may be lost.
    pub allow_data_loss: bool,
    /// Whether empty services are made although tables of their names, or another tool's version table, have rows
    /// elsewhere in the database.
    pub new_beside: bool,
    /// What may differ from what migrations make.
    pub accept: Vec<Acceptance>,
    /// Whether nothing is done if the plan is another one once the locks are held; otherwise what another run has done
    /// meanwhile is left out.
    pub exactly: bool,
    /// The work of which this run is a part. What it reverts is only what that has applied: services that others have changed
    /// meanwhile are refused.
    pub own: Option<OwnRun>,
    /// Stops the run.
    pub cancellation: Cancellation,
}

impl RunOptions {
    /// A careful run: it waits a minute for another run's migration lock and ten for a table lock, works on eight services
    /// at once, loses no data, and nothing stops it.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self {
            caller,
            wait: Duration::from_secs(60),
            table_locks: Policy::default(),
            jobs: 8,
            atomic: false,
            allow_data_loss: false,
            new_beside: false,
            accept: Vec::new(),
            exactly: false,
            own: None,
            cancellation: Cancellation::default(),
        }
    }

    /// Waits this long for another run's migration lock.
    #[must_use]
    pub fn with_wait(self, wait: Duration) -> Self {
        Self { wait, ..self }
    }

    /// Waits for table locks as this policy says.
    #[must_use]
    pub fn with_table_locks(self, table_locks: Policy) -> Self {
        Self { table_locks, ..self }
    }

    /// Works on this many services at once, at least one.
    #[must_use]
    pub fn with_jobs(self, jobs: usize) -> Self {
        Self { jobs, ..self }
    }

    /// Does everything in one transaction, or nothing.
    #[must_use]
    pub fn atomic(self) -> Self {
        Self { atomic: true, ..self }
    }

    /// Lets migrations lose what they declare as lost, or what reverting them loses.
    #[must_use]
    pub fn with_data_loss(self) -> Self {
        Self { allow_data_loss: true, ..self }
    }

    /// Makes empty services although an earlier system has left such tables elsewhere in the database.
    #[must_use]
    pub fn with_new_beside(self) -> Self {
        Self { new_beside: true, ..self }
    }

    /// Accepts that these are not as migrations make them, and records it.
    #[must_use]
    pub fn with_accepted(self, accept: Vec<Acceptance>) -> Self {
        Self { accept, ..self }
    }

    /// Does exactly what was planned, or nothing.
    #[must_use]
    pub fn exactly(self) -> Self {
        Self { exactly: true, ..self }
    }

    /// Is a part of this work, and reverts nothing that others have changed since it began.
    #[must_use]
    pub fn within(self, own: OwnRun) -> Self {
        Self { own: Some(own), ..self }
    }

    /// Ends early when it is cancelled.
    #[must_use]
    pub fn with_cancellation(self, cancellation: Cancellation) -> Self {
        Self { cancellation, ..self }
    }
}
