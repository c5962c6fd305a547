//! Each migration and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use migration_coordinator::{Deployment, JournalLine, Journals, Outcome, ServiceFacts, Survey, SurveyError};
use migration_kit::ServiceName;
use migration_plan::{HeldBack, Phase, ServiceStatus, statuses};
use serde::Serialize;

use crate::{Diagnostic, Found, Words, each_once, text, timestamp};

/// What became of the migrations of some services.
#[derive(Debug, Clone, Serialize)]
pub struct Histories {
    /// One entry per migration, service by service.
    pub migrations: Vec<MigrationReport>,
    /// Every line of the journals, oldest first, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<Vec<JournalLine>>,
    /// How many services' journals were read.
    #[serde(skip)]
    pub n_journals: usize,
}

/// One migration and what became of it.
#[derive(Debug, Clone, Serialize)]
pub struct MigrationReport {
    /// The service.
    pub service: String,
    /// The migration.
    pub migration: String,
    /// Expand or contract; not known of a migration that is not in this build.
    #[serde(serialize_with = "text::phase")]
    pub phase: Option<Phase>,
    /// What became of it.
    #[serde(serialize_with = "text::shown")]
    pub state: MigrationState,
    /// When it was applied.
    pub applied_at: Option<String>,
    /// Predecessors in an earlier tool that it replaces.
    pub replaces: Vec<String>,
    /// What it does, in a sentence, if the service's lock file says so.
    pub description: Option<String>,
}

/// What became of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MigrationState {
    /// It is applied.
    Applied,
    /// It is not applied.
    Pending,
    /// It is not applied, and would be left out.
    HeldBack,
    /// It was begun and not finished.
    StoppedMidway,
    /// It is applied, and missing in this build.
    Missing,
    /// It is applied, and newer than this build.
    Ahead,
    /// It is applied, and has another name in this build.
    Renamed,
    /// The history could not be read.
    Unknown,
}

impl fmt::Display for MigrationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Applied => "applied",
            Self::Pending => "pending",
            Self::HeldBack => "held back",
            Self::StoppedMidway => "stopped midway",
            Self::Missing => "missing",
            Self::Ahead => "ahead",
            Self::Renamed => "renamed",
            Self::Unknown => "unknown",
        })
    }
}

impl Histories {
    /// The histories of these services (all, if none are named), and their journals where those were read.
    #[must_use]
    pub fn of(
        deployment: &Deployment,
        survey: &Survey,
        journals: Option<Journals>,
        chosen: &[ServiceName],
        words: &dyn Words,
    ) -> Found<Self> {
        let is_chosen = |name: &ServiceName| chosen.is_empty() || chosen.contains(name);
        let statuses = statuses(deployment.catalog(), &survey.history(), survey.now());
        let of_service = |status: &ServiceStatus| {
            let is_known = survey.service(&status.service).is_some_and(ServiceFacts::is_history_known);
            of_service(deployment, status, is_known)
        };
        let migrations = statuses.iter().filter(|status| is_chosen(&status.service)).flat_map(of_service);
        let unread: Vec<Arc<SurveyError>> = match &journals {
            Some(journals) => journals.unread.clone(),
            None => {
                let facts = survey.services.iter().filter(|facts| is_chosen(&facts.service));
                let unread = facts.filter(|facts| !facts.is_history_known());
                unread.filter_map(|facts| facts.unread.clone()).collect()
            }
        };
        let errors = each_once(unread.iter().map(|error| Diagnostic::of(error.as_ref(), words)));
        let body = Self {
            migrations: migrations.collect(),
            n_journals: journals.as_ref().map_or(0, |journals| journals.n_services),
            journal: journals.map(|journals| journals.lines),
        };
        Found::despite(errors, body)
    }
}

/// Lines without those that say `running` of what the same run ended later: the journal is only ever appended to.
#[must_use]
pub fn settled(lines: &[JournalLine]) -> Vec<&JournalLine> {
    let key = |line: &JournalLine| {
        (line.run.clone(), line.service.clone(), line.migration.clone(), line.direction.as_str())
    };
    let ended: BTreeSet<_> = lines.iter().filter(|line| line.outcome != Outcome::Running).map(key).collect();
    lines.iter().filter(|line| line.outcome != Outcome::Running || !ended.contains(&key(line))).collect()
}

fn of_service(deployment: &Deployment, status: &ServiceStatus, is_known: bool) -> Vec<MigrationReport> {
    let applied: BTreeMap<_, _> = status.applied.iter().map(|a| (&a.name, a.applied_at)).collect();
    let held: BTreeSet<_> = status.held_back.iter().map(|HeldBack { id, .. }| &id.name).collect();
    let begun: BTreeSet<_> = status.begun.iter().map(|(name, _)| name).collect();
    let Some((service, _, _)) = deployment.service(&status.service) else { return Vec::new() };
    let known = service.migrations().map(|listed| {
        let (name, details) = (listed.name(), listed.details());
        MigrationReport {
            service: status.service.to_string(),
            migration: name.to_string(),
            phase: Some(details.phase),
            state: match applied.get(name) {
                _ if !is_known => MigrationState::Unknown,
                Some(_) => MigrationState::Applied,
                None if begun.contains(name) => MigrationState::StoppedMidway,
                None if held.contains(name) => MigrationState::HeldBack,
                None => MigrationState::Pending,
            },
            applied_at: applied.get(name).map(|at| timestamp(*at)),
            replaces: details.replaces.clone(),
            description: service.description(name).map(str::to_owned),
        }
    });
    let unknown = status.missing.iter().map(|name| (name, MigrationState::Missing));
    let unknown = unknown.chain(status.ahead.iter().map(|name| (name, MigrationState::Ahead)));
    let unknown = unknown.chain(status.renamed.iter().map(|(name, _)| (name, MigrationState::Renamed)));
    let unknown = unknown.map(|(name, state)| MigrationReport {
        service: status.service.to_string(),
        migration: name.to_string(),
        phase: None,
        state,
        applied_at: None,
        replaces: Vec::new(),
        description: None,
    });
    known.chain(unknown).collect()
}
