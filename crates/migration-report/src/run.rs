//! What a run did.

use std::time::Duration;

use migration_coordinator::{AcceptedDifference, Report, RunError, StepError};
use migration_plan::{Direction, few_words};
use serde::Serialize;

use crate::{DatabaseReport, Diagnostic, Found, HeldBackReport, Roomy, Words, each_once, text};

/// What a run did.
#[derive(Debug, Clone, Serialize)]
pub struct RunReport {
    /// The first database.
    pub database: Option<DatabaseReport>,
    /// Migrations in the order in which they were done.
    pub done: Vec<DoneReport>,
    /// What was accepted to differ from what migrations make.
    pub accepted: Vec<AcceptedReport>,
    /// After contract steps: tables that take much more space than their rows need.
    pub roomy: Vec<Roomy>,
    /// Pending migrations that were left out.
    pub held_back: Vec<HeldBackReport>,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
}

/// Something that was accepted to differ.
#[derive(Debug, Clone, Serialize)]
pub struct AcceptedReport {
    /// The service.
    pub service: String,
    /// The object: `table.column`, `table.constraint`, an index or a type.
    pub object: String,
    /// How it differs.
    pub difference: String,
}

/// A migration that was applied or reverted.
#[derive(Debug, Clone, Serialize)]
pub struct DoneReport {
    /// The service.
    pub service: String,
    /// The migration.
    pub migration: String,
    /// Apply or revert.
    #[serde(serialize_with = "text::shown")]
    pub direction: Direction,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// Whether another tool had done it meanwhile.
    pub already: bool,
}

impl RunReport {
    /// What a run did in these databases, the first of which is named.
    #[must_use]
    pub fn of(
        database: Option<DatabaseReport>,
        report: &Report,
        roomy: Vec<Roomy>,
        words: &dyn Words,
    ) -> Found<Self> {
        let done = report.done.iter().map(|done| DoneReport {
            service: done.id.service.to_string(),
            migration: done.id.name.to_string(),
            direction: done.direction,
            elapsed_ms: milliseconds(done.elapsed),
            already: done.already,
        });
        let body = Self {
            database,
            done: done.collect(),
            accepted: report.accepted.iter().map(AcceptedReport::of).collect(),
            roomy,
            held_back: HeldBackReport::all(&report.held_back, words),
            elapsed_ms: milliseconds(report.elapsed),
        };
        let failures = report.failures.iter().map(|failure| Diagnostic::of(failure, words));
        Found::despite(each_once(failures), body)
    }
}

impl AcceptedReport {
    fn of(accepted: &AcceptedDifference) -> Self {
        Self {
            service: accepted.acceptance.service.to_string(),
            object: accepted.acceptance.object.clone(),
            difference: accepted.difference.clone(),
        }
    }
}

impl Diagnostic {
    /// What went wrong in a run, for people: an interruption once, however many services it stopped.
    #[must_use]
    pub fn of_failures(failures: &[RunError], words: &dyn Words) -> Vec<Self> {
        const SHOWN: usize = 5;
        let is_interruption = |failure: &&RunError| {
            matches!(failure, RunError::Interrupted | RunError::Step(StepError::Interrupted { .. }))
        };
        let (interruptions, others): (Vec<&RunError>, Vec<&RunError>) =
            failures.iter().partition(is_interruption);
        let mut all = each_once(others.into_iter().map(|failure| Self::of(failure, words)));
        let stopped: Vec<String> = interruptions
            .iter()
            .filter_map(|failure| match failure {
                RunError::Step(StepError::Interrupted { id, .. }) => Some(format!("`{id}`")),
                _ => None,
            })
            .collect();
        match (&interruptions[..], stopped.len()) {
            ([], _) => {}
            ([only], 1) => all.push(Self::of(*only, words)),
            (_, n) => {
                let mut diagnostic = Self::of(&RunError::Interrupted, words);
                if n > 0 {
                    let stopped = few_words(stopped, SHOWN);
                    diagnostic.message = format!("{}; stopped: {stopped}", diagnostic.message);
                }
                all.push(diagnostic);
            }
        }
        all
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
