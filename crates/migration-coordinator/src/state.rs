//! Where a service stands, in one word: what the version table tells, and what the server tells beside it.
//!
//! Pure: it decides from what was read, and reads nothing.

use migration_kit::{MigrationName, Service};
use migration_plan::{Direction, ServiceState, ServiceStatus};

use crate::survey::{Access, ServiceFacts};

/// The state of a service, from what its server says and from what planning makes of its history.
#[must_use]
pub fn service_state(service: &Service, facts: &ServiceFacts, status: &ServiceStatus) -> ServiceState {
    match facts.access {
        Access::Unreachable => ServiceState::Unreachable,
        Access::Forbidden => ServiceState::Forbidden,
        Access::Unreadable => ServiceState::Unreadable,
        Access::Lost => ServiceState::Damaged,
        Access::Absent | Access::Read if facts.holder.is_some() => ServiceState::Running,
        Access::Absent | Access::Read if !stopped_midway(service, facts).is_empty() => ServiceState::Dirty,
        Access::Absent | Access::Read => status.state,
    }
}

/// Migrations outside a transaction that were begun and neither ended well nor were brought to an end by another tool:
/// what they did until then stands.
#[must_use]
pub fn stopped_midway<'s>(service: &'s Service, facts: &ServiceFacts) -> Vec<&'s MigrationName> {
    let midway = |name: &MigrationName| {
        let is_applied = facts.applied.iter().any(|applied| applied.name == *name);
        let begun = facts.journal.get(name).filter(|journal| journal.begun);
        begun.is_some_and(|journal| is_applied == (journal.direction == Direction::Revert.as_str()))
    };
    service.migrations().map(|(name, _)| name).filter(|name| midway(name)).collect()
}
