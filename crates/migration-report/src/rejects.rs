//! Rows and values that migrations could not carry over.

use migration_kit::ServiceName;
use migration_kit::rejects::{Reject, RejectCount, RejectCounts};
use serde::Serialize;

/// What a service's migrations have rejected.
#[derive(Debug, Clone, Serialize)]
pub struct Rejects {
    /// The service.
    pub service: String,
    /// How many entries there are.
    pub n_rejects: u64,
    /// How many further entries are about rows that have been deleted since.
    pub n_deleted: u64,
    /// How many there are per reason: losses first, rare ones before frequent ones.
    pub counts: Vec<RejectCount>,
    /// The first of them in the same order; none where they are only counted.
    pub rejects: Vec<Reject>,
}

impl Rejects {
    /// What was read of a service's reject table.
    #[must_use]
    pub fn of(service: &ServiceName, counts: RejectCounts, rejects: Vec<Reject>) -> Self {
        let RejectCounts { counts, n_deleted } = counts;
        let n_rejects = counts.iter().map(|count| count.n_rejects).sum();
        Self { service: service.to_string(), n_rejects, n_deleted, counts, rejects }
    }
}
