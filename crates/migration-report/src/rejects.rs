//! Rows and values that migrations could not carry over.

use migration_kit::ServiceName;
use migration_kit::rejects::{Reject, RejectCount};
use serde::Serialize;

/// What a service's migrations have rejected.
#[derive(Debug, Clone, Serialize)]
pub struct Rejects {
    /// The service.
    pub service: String,
    /// How many entries there are.
    pub n_rejects: u64,
    /// How many there are per reason.
    pub counts: Vec<RejectCount>,
    /// The first of them, oldest first; none where they are only counted.
    pub rejects: Vec<Reject>,
}

impl Rejects {
    /// What was read of a service's reject table.
    #[must_use]
    pub fn of(service: &ServiceName, counts: Vec<RejectCount>, rejects: Vec<Reject>) -> Self {
        let n_rejects = counts.iter().map(|count| count.n_rejects).sum();
        Self { service: service.to_string(), n_rejects, counts, rejects }
    }
}
