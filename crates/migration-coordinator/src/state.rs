//! Where a service stands, in one word: what the version table tells, and what the server tells beside it.
//!
//! Pure: it decides from what was read, and reads nothing.

use migration_plan::{ServiceState, ServiceStatus};

use crate::survey::{Access, ServiceFacts};

/// The state of a service, from what its server says and from what planning makes of its history.
#[must_use]
pub fn service_state(facts: &ServiceFacts, status: &ServiceStatus) -> ServiceState {
    match facts.access {
        Access::Unreachable => ServiceState::Unreachable,
        Access::Forbidden => ServiceState::Forbidden,
        Access::Unreadable => ServiceState::Unreadable,
        Access::Lost => ServiceState::Damaged,
        Access::Absent | Access::Read if facts.has_lost_its_journal() => ServiceState::Damaged,
        Access::Absent | Access::Read if facts.holder.is_some() => ServiceState::Running,
        Access::Absent | Access::Read => status.state,
    }
}
