//! What a run did. Plain data; how it looks is the command line's part.

use std::time::{Duration, Instant};

use migration_kit::MigrationId;
use migration_plan::{Direction, HeldBack, Step};

use super::RunError;
use super::accept::AcceptedDifference;
use crate::step::Done;

/// A migration that a run applied or reverted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneStep {
    /// The migration.
    pub id: MigrationId,
    /// Apply or revert.
    pub direction: Direction,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether another tool had done it meanwhile.
    pub already: bool,
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// Migrations in the order in which they were done.
    pub done: Vec<DoneStep>,
    /// What was accepted to differ, for the first time.
    pub accepted: Vec<AcceptedDifference>,
    /// Pending migrations that were left out, and why.
    pub held_back: Vec<HeldBack>,
    /// Why it ended early, if it did; several services may have failed at once.
    pub failures: Vec<RunError>,
    /// How long it took.
    pub elapsed: Duration,
}

impl DoneStep {
    pub(super) fn new(step: &Step, begun: Instant, how: Done) -> Self {
        Self {
            id: step.id.clone(),
            direction: step.direction,
            elapsed: begun.elapsed(),
            already: how == Done::Already,
        }
    }
}
