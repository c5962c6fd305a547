//! Why there is no plan. What to do next is in `hints`.

use crate::few::{counted, few_sentences, few_words};
use crate::{HoldReason, IntegrityError, MigrationId, MigrationName, ServiceName, TargetPoint};

/// Why a plan was refused. Nothing was done and nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlanError {
    /// A selection names a service that the program does not know.
    #[error("service `{service}` is not known")]
    UnknownService {
        /// The name as given.
        service: ServiceName,
        /// A known service of a similar name.
        nearest: Option<ServiceName>,
    },
    /// A service is selected more than once.
    #[error("service `{service}` is selected twice")]
    SelectedTwice {
        /// The service.
        service: ServiceName,
    },
    /// A revert or redo without any selection.
    #[error("nothing is selected")]
    NothingSelected,
    /// A revert of a service without saying how far.
    #[error("reverting `{service}` needs a target")]
    NoTarget {
        /// The service.
        service: ServiceName,
    },
    /// No migration of the service has this name or prefix.
    #[error("no migration of `{service}` is or begins with `{text}`")]
    UnknownTarget {
        /// The service.
        service: ServiceName,
        /// The target as given.
        text: String,
        /// A migration of a similar name.
        nearest: Option<MigrationName>,
    },
    /// Several migrations of the service have this prefix.
    #[error("several migrations of `{service}` begin with `{text}`: {}", some_of(.candidates))]
    AmbiguousTarget {
        /// The service.
        service: ServiceName,
        /// The target as given.
        text: String,
        /// All migrations that it could mean, in the order of the list.
        candidates: Vec<MigrationName>,
    },
    /// `base` or `-N` where something should be applied.
    #[error("`{service}@{target}` goes back, and applying only goes forward")]
    ApplyBackward {
        /// The service.
        service: ServiceName,
        /// The target.
        target: TargetPoint,
    },
    /// `head` or `+N` where something should be reverted.
    #[error("`{service}@{target}` goes forward, and reverting only goes back")]
    RevertForward {
        /// The service.
        service: ServiceName,
        /// The target.
        target: TargetPoint,
    },
    /// The target of an apply is applied already, and so are later migrations.
    #[error("`{id}` is behind `{current}`, which is applied")]
    TargetBehind {
        /// The target.
        id: MigrationId,
        /// The last migration of the service that is applied after it.
        current: MigrationName,
    },
    /// Something beyond the target of an apply was begun and not finished.
    #[error("`{id}` was begun and not finished, and lies beyond the target")]
    BegunBeyondTarget {
        /// What was begun.
        id: MigrationId,
    },
    /// The target of an apply is held back.
    #[error("`{id}` is held back: {reason}")]
    TargetHeldBack {
        /// The target.
        id: MigrationId,
        /// Why it is held back.
        reason: HoldReason,
    },
    /// A step needs a migration that lies beyond the target given for that migration's service.
    #[error("`{id}` requires `{requirement}`, which lies beyond the target of `{}`", .requirement.service)]
    BeyondTarget {
        /// The step.
        id: MigrationId,
        /// What it requires.
        requirement: MigrationId,
    },
    /// The target of a revert, the migration to stay at, is not applied.
    #[error("`{id}` is not applied, so there is no reverting to it")]
    TargetNotApplied {
        /// The target.
        id: MigrationId,
    },
    /// `+N` with more steps than can be applied.
    #[error("`{service}` has fewer than {} to apply: {n_pending}", counted(*n_asked, "migration", "migrations"))]
    TooFewPending {
        /// The service.
        service: ServiceName,
        /// How many were to be applied.
        n_asked: u32,
        /// How many can be applied.
        n_pending: usize,
    },
    /// `-N` with more steps than are applied.
    #[error("`{service}` has fewer than {n_asked} applied migrations: {n_applied}")]
    TooFewApplied {
        /// The service.
        service: ServiceName,
        /// How many were to be reverted.
        n_asked: u32,
        /// How many are applied.
        n_applied: usize,
    },
    /// What a service's version table holds is needed and not known.
    #[error("the history of `{service}` was not read")]
    HistoryNotRead {
        /// The service.
        service: ServiceName,
    },
    /// A migration requires one of a service that this program does not know and whose history was not read.
    #[error("`{id}` requires `{requirement}`, and neither this program nor the history knows `{}`", .requirement.service)]
    RequirementOutside {
        /// The migration that has the requirement.
        id: MigrationId,
        /// The requirement.
        requirement: MigrationId,
    },
    /// A migration requires one of a service that this program does not know and whose history lacks it.
    #[error("`{id}` requires `{requirement}`, which is not applied and which this program cannot apply")]
    RequirementNotApplied {
        /// The migration that has the requirement.
        id: MigrationId,
        /// The requirement.
        requirement: MigrationId,
    },
    /// The version tables of the services that the plan would touch do not fit the program.
    #[error("{}", joined(.errors))]
    Integrity {
        /// All of them; at least one.
        errors: Vec<IntegrityError>,
    },
    /// A service to be reverted has applied migrations that are not known here, and so is how to revert them.
    #[error("`{service}` has applied migrations that this build cannot revert: {}", some_of(.unknown))]
    RevertUnknown {
        /// The service.
        service: ServiceName,
        /// The migrations that are not known, by time of application.
        unknown: Vec<MigrationName>,
    },
    /// A migration to be reverted cannot be.
    #[error("`{id}` cannot be reverted: {reason}")]
    Irreversible {
        /// The migration.
        id: MigrationId,
        /// Why not, in the words of its author.
        reason: String,
    },
    /// Applied migrations require one that is to be reverted, and stay.
    #[error("`{id}` is still needed by {}", some_of(.by))]
    StillNeeded {
        /// The migration to be reverted.
        id: MigrationId,
        /// Those that require it, service by service.
        by: Vec<MigrationId>,
    },
}

/// Names for one line: a handful, and how many more there are.
fn some_of<T: std::fmt::Display>(names: &[T]) -> String {
    few_words(names.iter().map(|name| format!("`{name}`")), 5)
}

/// What is wrong, on one line: the first ten, and how many more there are.
fn joined(errors: &[IntegrityError]) -> String {
    few_sentences(errors, 10)
}
