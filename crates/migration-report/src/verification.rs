//! Whether what applied migrations promised still holds.

use migration_coordinator::{CheckResult, Holder, ServiceVerification};
use serde::Serialize;

use crate::{Class, Diagnostic, Found, Words, each_once, text};

/// What verifying some services found.
#[derive(Debug, Clone, Serialize)]
pub struct Verifications {
    /// One entry per service.
    pub services: Vec<ServiceChecks>,
}

/// What verifying one service found.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceChecks {
    /// The service.
    pub service: String,
    /// What was asked, and what the server answered.
    pub checks: Vec<CheckResult>,
    /// Applied migrations that are not known here: what they promised was not asked.
    pub unknown: Vec<String>,
    /// Applied migrations that were edited since: they were asked for what they promise now.
    pub edited: Vec<String>,
    /// Migrations that were begun and not finished.
    pub begun: Vec<String>,
    /// Whether a run is under way.
    pub running: bool,
    /// Why it is not known what was begun or edited, where the journal has lost lines.
    pub lost_journal: Option<Diagnostic>,
    /// Why the service could not be asked.
    pub error: Option<Diagnostic>,
    /// How many applied migrations were looked at.
    #[serde(skip)]
    pub n_migrations: usize,
    /// The session that is at work on the service.
    #[serde(skip)]
    pub holder: Option<Holder>,
}

impl Verifications {
    /// What the services' servers answered.
    #[must_use]
    pub fn of(verifications: Vec<ServiceVerification>, words: &dyn Words) -> Found<Self> {
        let services = verifications.into_iter().map(|verification| ServiceChecks::of(verification, words));
        let services: Vec<ServiceChecks> = services.collect();
        let class = Class::worst(services.iter().map(ServiceChecks::class));
        let errors = services.iter().flat_map(|service| service.error.iter().chain(&service.lost_journal));
        let errors = each_once(errors.cloned());
        Found { class, errors, body: Self { services } }
    }
}

impl ServiceChecks {
    fn of(verification: ServiceVerification, words: &dyn Words) -> Self {
        Self {
            service: verification.service.to_string(),
            unknown: text::texts(&verification.unknown),
            edited: text::texts(&verification.edited),
            begun: text::texts(&verification.begun),
            running: verification.holder.is_some(),
            lost_journal: verification
                .lost_journal
                .as_ref()
                .map(|error| Diagnostic::of(error.as_ref(), words)),
            error: verification.results.as_ref().err().map(|error| Diagnostic::of(error.as_ref(), words)),
            checks: verification.results.unwrap_or_default(),
            n_migrations: verification.n_migrations,
            holder: verification.holder,
        }
    }

    /// What it comes to.
    fn class(&self) -> Class {
        let of_journal = self.lost_journal.as_ref().map_or(Class::Done, |error| error.class);
        Class::worst([of_journal, self.class_of_answers()])
    }

    fn class_of_answers(&self) -> Class {
        match &self.error {
            Some(error) => error.class,
            None if self.checks.iter().any(|check| !check.answered && !check.locked) => Class::Connection,
            None if !self.unknown.is_empty() || !self.edited.is_empty() => Class::Integrity,
            None if self.checks.iter().any(|check| !check.holds && !check.locked) => Class::Integrity,
            None if self.checks.iter().any(|check| check.locked) => Class::Busy,
            // What runs now has not stopped.
            None if !self.begun.is_empty() && !self.running => Class::Partial,
            None => Class::Done,
        }
    }
}
