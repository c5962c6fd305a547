//! `/health/migrations`: what operators and dashboards ask, per service and overall.

use migration_plan::ServiceState;
use migration_report::{HeldReport, ServiceReport, timestamp};
use serde::Serialize;

use crate::look::{Look, is_diverged};

/// For how long migrations that are newer than this build are ordinary: replicas are replaced meanwhile, in seconds.
const REPLACING: i64 = 3600;

/// How something is, in one word. The order is by how bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Nothing is to be done.
    Healthy,
    /// It needs attention.
    Warning,
    /// It is wrong, or not known.
    Error,
}

/// The health of all services. What is not known is `null`.
#[derive(Debug, Clone, Serialize)]
pub struct Health {
    schema: &'static str,
    /// The worst of all services.
    pub status: Verdict,
    /// Why, in a sentence.
    pub message: String,
    /// The last migration that is applied, where there is one service only.
    pub current_revision: Option<String>,
    /// The last of its list, where there is one service only.
    pub latest_revision: Option<String>,
    /// What is pending, as `service:migration`.
    pub pending_migrations: Option<Vec<String>>,
    /// Whether nothing is pending.
    pub is_up_to_date: Option<bool>,
    /// When the servers were asked, by their clock.
    pub asked_at: Option<String>,
    /// Each service.
    pub services: Vec<ServiceHealth>,
}

/// The health of one service.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceHealth {
    /// The service.
    pub name: String,
    /// Where it is, as `status` has it.
    pub state: &'static str,
    /// How it is.
    pub status: Verdict,
    /// Why, in a sentence.
    pub message: String,
    /// The last migration of its list that is applied.
    pub current_revision: Option<String>,
    /// The last migration of its list.
    pub latest_revision: Option<String>,
    /// What is pending.
    pub pending_migrations: Option<Vec<String>>,
    /// Whether nothing is pending.
    pub is_up_to_date: Option<bool>,
    /// What is held back, and until when.
    pub held_back: Option<Vec<HeldReport>>,
    /// When a migration was applied last.
    pub last_applied_at: Option<String>,
}

impl Health {
    /// Nothing was found, for this reason.
    pub(crate) fn unknown(reason: &str) -> Self {
        Self {
            schema: "migrate/v1",
            status: Verdict::Error,
            message: reason.to_owned(),
            current_revision: None,
            latest_revision: None,
            pending_migrations: None,
            is_up_to_date: None,
            asked_at: None,
            services: Vec::new(),
        }
    }

    /// What was found, judged.
    #[must_use]
    pub fn of(look: &Look) -> Self {
        let services: Vec<ServiceHealth> =
            look.status.services.iter().map(|service| ServiceHealth::of(service, look)).collect();
        let status = services.iter().map(|service| service.status).max().unwrap_or(Verdict::Healthy);
        let odd: Vec<String> = services
            .iter()
            .filter(|service| service.status != Verdict::Healthy)
            .map(|service| format!("{}: {}", service.name, service.message))
            .collect();
        let message = match (&odd[..], &services[..]) {
            ([], [only]) => only.message.clone(),
            ([], _) => "all services are up to date".to_owned(),
            (odd, _) => odd.join("; "),
        };
        let pending = services.iter().map(|service| {
            let names = service.pending_migrations.as_ref()?;
            Some(names.iter().map(|name| format!("{}:{name}", service.name)).collect::<Vec<_>>())
        });
        let pending: Option<Vec<Vec<String>>> = pending.collect();
        let only = match &services[..] {
            [only] => Some(only),
            _ => None,
        };
        Self {
            schema: "migrate/v1",
            status,
            message,
            current_revision: only.and_then(|service| service.current_revision.clone()),
            latest_revision: only.and_then(|service| service.latest_revision.clone()),
            is_up_to_date: pending.as_ref().map(|pending| pending.iter().all(Vec::is_empty)),
            pending_migrations: pending.map(|pending| pending.concat()),
            asked_at: (look.now > 0).then(|| timestamp(look.now)),
            services,
        }
    }
}

impl ServiceHealth {
    fn of(service: &ServiceReport, look: &Look) -> Self {
        let (status, message) = judged(service, look);
        let last = look.last_applied.get(&service.name).copied().flatten();
        Self {
            name: service.name.clone(),
            state: service.state.as_str(),
            status,
            message,
            current_revision: service.current.clone(),
            latest_revision: service.head.clone(),
            pending_migrations: service.pending.clone(),
            is_up_to_date: service.pending.as_ref().map(Vec::is_empty),
            held_back: service.held_back.clone(),
            last_applied_at: last.map(timestamp),
        }
    }
}

/// How a service is, and why.
pub(crate) fn judged(service: &ServiceReport, look: &Look) -> (Verdict, String) {
    if let Some(error) = &service.error {
        return (Verdict::Error, error.message.clone());
    }
    let n = |names: Option<usize>| names.unwrap_or(0);
    if is_diverged(service) {
        let n_odd = n(service.missing.as_ref().map(Vec::len))
            + n(service.edited.as_ref().map(Vec::len))
            + n(service.renamed.as_ref().map(Vec::len));
        return (Verdict::Error, format!("diverged: {n_odd} not as in this build"));
    }
    if let Some(holder) = &service.lock {
        return (Verdict::Healthy, format!("a run is under way: {}, pid {}", holder.application, holder.pid));
    }
    if service.state == ServiceState::Dirty {
        return (Verdict::Error, "a migration stopped midway, and no run is continuing it".to_owned());
    }
    let pending = n(service.pending.as_ref().map(Vec::len));
    if pending > 0 {
        return (Verdict::Warning, format!("Pending migrations: {pending}"));
    }
    if let Some(since) = look.ahead_since.get(&service.name) {
        let n_newer = n(service.ahead.as_ref().map(Vec::len));
        let message = format!("ahead: {n_newer} newer than this build, since {}", timestamp(*since));
        let verdict = if look.now - since > REPLACING { Verdict::Warning } else { Verdict::Healthy };
        return (verdict, message);
    }
    (Verdict::Healthy, "up to date".to_owned())
}
