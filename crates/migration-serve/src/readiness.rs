//! Whether an application of this build can serve: what its services lack, and what is not known of them.
//!
//! Held-back contract steps, migrations that are newer than this build, and a run that is under way are no reason to refuse
//! requests: all of them are ordinary while replicas are replaced. Unknown is never ready.

use migration_plan::ServiceState;
use migration_report::ServiceReport;
use serde::Serialize;

use crate::look::{Look, is_diverged, n_pending};

/// Whether one service can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ready {
    /// All that this build needs is applied, or being applied over what is in use.
    Ready,
    /// Something that this build needs is not applied.
    Behind,
    /// What is applied is not what this build knows.
    Diverged,
    /// It could not be read.
    Unknown,
}

/// The answer of `/readyz`.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    /// Whether all services are ready.
    pub ready: bool,
    /// Why not, a sentence for each service that is not.
    pub reasons: Vec<String>,
}

impl Ready {
    /// Of one service.
    #[must_use]
    pub fn of(service: &ServiceReport) -> Self {
        match service.state {
            ServiceState::Forbidden
            | ServiceState::Unreadable
            | ServiceState::Damaged
            | ServiceState::Unreachable => Self::Unknown,
            _ if is_diverged(service) => Self::Diverged,
            // Its journal, for one: what was edited or is half done is not known without it.
            _ if service.error.is_some() => Self::Unknown,
            // A run over what is in use: the application that was there before serves meanwhile.
            ServiceState::Running if service.applied != Some(0) => Self::Ready,
            _ if n_pending(service) == Some(0) => Self::Ready,
            _ => Self::Behind,
        }
    }
}

impl Readiness {
    /// Of all services that were looked at.
    #[must_use]
    pub fn of(look: &Look) -> Self {
        let reasons: Vec<String> = look.status.services.iter().filter_map(reason).collect();
        Self { ready: reasons.is_empty(), reasons }
    }
}

/// Why a service is not ready, if so.
fn reason(service: &ServiceReport) -> Option<String> {
    let name = &service.name;
    match Ready::of(service) {
        Ready::Ready => None,
        Ready::Behind => Some(format!("`{name}` is behind: {} pending", n_pending(service).unwrap_or(0))),
        Ready::Diverged => {
            Some(format!("`{name}` has diverged: what is applied is not what this build knows"))
        }
        Ready::Unknown => Some(match &service.error {
            Some(error) => format!("`{name}` is not known: {}", error.message),
            None => format!("`{name}` is not known: it is {}", service.state),
        }),
    }
}
