//! One look at all services: what a survey found, as documents.

use std::collections::HashMap;

use migration_coordinator::{DatabaseUrl, Deployment, Survey};
#[cfg(feature = "http")]
use migration_coordinator::{Holder, Progress, progress};
use migration_plan::{ServiceState, statuses};
use migration_report::{DatabaseReport, Diagnostic, ServiceReport, Status, Words};

/// What a survey found at one moment.
#[derive(Debug, Clone)]
pub struct Look {
    /// Where each service is.
    pub status: Status,
    /// When the latest applied migration of each service was applied, in seconds since 1970; `None` where nothing is applied
    /// or the history is not known.
    pub(crate) last_applied: HashMap<String, Option<i64>>,
    /// When the latest migration was applied that is newer than this build.
    pub(crate) ahead_since: HashMap<String, i64>,
    /// The clock of the servers, in seconds since 1970; 0 if none answered.
    #[cfg_attr(not(feature = "http"), expect(dead_code, reason = "judged and shown by the routes alone"))]
    pub(crate) now: i64,
    /// What was found.
    #[cfg(feature = "http")]
    pub(crate) survey: Survey,
    /// How far the runs have come that are under way.
    #[cfg(feature = "http")]
    pub(crate) progress: Vec<Progress>,
}

impl Look {
    /// Asks all databases once, in `READ ONLY` transactions; `embedded` says which are private servers of the program.
    pub async fn take(
        deployment: &Deployment,
        embedded: impl Fn(&DatabaseUrl) -> bool,
        words: &(dyn Words + Sync),
    ) -> Self {
        Self::of(deployment, &Survey::take(deployment).await, embedded, words)
    }

    /// The same, with the progress of what runs.
    #[cfg(feature = "http")]
    pub(crate) async fn take_with_progress(deployment: &Deployment, words: &(dyn Words + Sync)) -> Self {
        let survey = Survey::take(deployment).await;
        let progress = progress(deployment, &survey).await;
        Self { progress, ..Self::of(deployment, &survey, |_| false, words) }
    }

    fn of(
        deployment: &Deployment,
        survey: &Survey,
        embedded: impl Fn(&DatabaseUrl) -> bool,
        words: &dyn Words,
    ) -> Self {
        let databases = DatabaseReport::all(deployment, survey, embedded, words);
        let services = ServiceReport::all(deployment, survey, &[], words);
        let mut look = Self {
            status: Status::of(databases, services),
            last_applied: HashMap::new(),
            ahead_since: HashMap::new(),
            now: survey.now(),
            #[cfg(feature = "http")]
            progress: Vec::new(),
            #[cfg(feature = "http")]
            survey: survey.clone(),
        };
        for status in statuses(deployment.catalog(), &survey.history(), survey.now()) {
            let Some(facts) = survey.service(&status.service) else { continue };
            let name = status.service.to_string();
            let last = facts.applied.iter().map(|applied| applied.applied_at).max();
            let newer = facts.applied.iter().filter(|applied| status.ahead.contains(&applied.name));
            if let Some(since) = newer.map(|applied| applied.applied_at).min() {
                look.ahead_since.insert(name.clone(), since);
            }
            look.last_applied.insert(name, last);
        }
        look
    }

    /// The same of some services only, all of which are known; of all, if none are named.
    #[must_use]
    pub fn narrowed(mut self, names: &[String]) -> Self {
        if !names.is_empty() {
            let services = self.status.services.into_iter().filter(|service| names.contains(&service.name));
            self.status = Status::of(self.status.databases, services.collect());
        }
        self
    }

    /// What could not be read, each once.
    #[must_use]
    pub fn errors(&self) -> Vec<Diagnostic> {
        migration_report::each_once(self.status.services.iter().filter_map(|service| service.error.clone()))
    }
}

/// Whether what is applied is not what this build knows.
pub(crate) fn is_diverged(service: &ServiceReport) -> bool {
    let is_any = |names: Option<usize>| names.is_some_and(|n| n > 0);
    service.state == ServiceState::Diverged
        || is_any(service.edited.as_ref().map(Vec::len))
        || is_any(service.missing.as_ref().map(Vec::len))
        || is_any(service.renamed.as_ref().map(Vec::len))
}

/// How many migrations are pending, where that is known.
pub(crate) fn n_pending(service: &ServiceReport) -> Option<usize> {
    service.pending.as_ref().map(Vec::len)
}

#[cfg(feature = "http")]
/// For how long a session has been connected that holds a migration lock, in seconds.
pub(crate) fn running_seconds(holder: &Holder, now: i64) -> i64 {
    (now - holder.since).max(0)
}
