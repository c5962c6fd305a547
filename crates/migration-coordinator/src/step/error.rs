//! Why a migration was not applied or reverted, and what to do next.

use std::collections::BTreeSet;

use migration_kit::table_lock::TableLockError;
use migration_kit::{MigrationId, POLICY_HINT, driver_error, is_cut_by_policy};
use migration_plan::{Direction, Step};
use sea_orm::DbErr;

use crate::bookkeeping::{Outcome, is_creation_race};
use crate::isolation::Violation;
use crate::session::in_plain_words as plain;
use crate::verify::CheckResult;

/// Why a migration was not applied or reverted.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The database refused something, and nothing of the migration remains.
    #[error("`{}`: migration `{}` failed while {}", id.service, id.name, gerund(*direction))]
    RolledBack {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// The database refused something midway; what was done before stands.
    #[error("`{}`: migration `{}` stopped midway while {}", id.service, id.name, gerund(*direction))]
    Partial {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// It ended the transaction that it ran in, so that what it did until then stands.
    #[error("`{}`: migration `{}` ended its own transaction while {}", id.service, id.name, gerund(*direction))]
    EndedItsTransaction {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// What happened then.
        #[source]
        source: DbErr,
    },
    /// It touched what is not its service's, and was rolled back.
    #[error("`{}`: migration `{}` touched what is not its own and was rolled back: {}", id.service, id.name, sorted(violations))]
    Isolation {
        /// The migration.
        id: MigrationId,
        /// What it touched, and whose that is.
        violations: Vec<Violation>,
        /// The database's event triggers, which run for its statements too.
        event_triggers: Vec<String>,
    },
    /// What it promised does not hold.
    #[error("`{}`: migration `{}` does not keep what it promises: {}", id.service, id.name, list(failed))]
    Verify {
        /// The migration.
        id: MigrationId,
        /// The checks that do not hold.
        failed: Vec<CheckResult>,
        /// Whether the migration was rolled back.
        rolled_back: bool,
    },
    /// What must hold before it does not hold.
    #[error("`{}`: migration `{}` is refused: {}", id.service, id.name, list(failed))]
    Guard {
        /// The migration.
        id: MigrationId,
        /// The guards that do not hold.
        failed: Vec<CheckResult>,
    },
    /// It loses data for good, and rows were written since the service's first install began.
    #[error("`{}`: migration `{}` loses data for good: {what}; `{table}` has rows by now", id.service, id.name)]
    DataLoss {
        /// The migration.
        id: MigrationId,
        /// What is lost.
        what: String,
        /// A table of the service that has rows.
        table: String,
    },
    /// A table lock was not to be had.
    #[error("`{}`: migration `{}` was not {}, and nothing was changed", id.service, id.name, participle(*direction))]
    TableLock {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// Who was in the way.
        #[source]
        source: TableLockError,
    },
    /// The connection was lost while the migration was committed, and whether it was could not be found out.
    #[error("`{}`: it is not known whether migration `{}` was committed while {}", id.service, id.name, gerund(*direction))]
    CommitUnknown {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// How the connection was lost.
        #[source]
        source: DbErr,
    },
    /// The run was stopped.
    #[error("`{}`: migration `{}` was interrupted while {}", id.service, id.name, gerund(*direction))]
    Interrupted {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
    },
    /// The run was stopped, and the server did not answer.
    #[error(
        "`{}`: migration `{}` was interrupted while {}, and the server does not answer: its process {pid} may still be at work",
        id.service, id.name, gerund(*direction)
    )]
    Unanswered {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// The server process that ran it.
        pid: i32,
    },
}

impl StepError {
    pub(crate) fn rolled_back(step: &Step, source: DbErr) -> Self {
        Self::RolledBack { id: step.id.clone(), direction: step.direction, source: plain(source) }
    }

    pub(super) fn partial(step: &Step, source: DbErr) -> Self {
        Self::Partial { id: step.id.clone(), direction: step.direction, source: plain(source) }
    }

    /// The same of a migration whose earlier steps stand.
    pub(super) fn into_partial(self) -> Self {
        match self {
            Self::RolledBack { id, direction, source } => Self::Partial { id, direction, source },
            Self::TableLock { id, direction, source } => {
                Self::Partial { id, direction, source: DbErr::Custom(chain(&source)) }
            }
            other => other,
        }
    }

    pub(super) fn commit_unknown(step: &Step, source: DbErr) -> Self {
        Self::CommitUnknown { id: step.id.clone(), direction: step.direction, source: plain(source) }
    }

    pub(super) fn unanswered(step: &Step, pid: i32) -> Self {
        Self::Unanswered { id: step.id.clone(), direction: step.direction, pid }
    }

    /// For a transactional migration of which a part was committed before its end.
    pub(super) fn ended_its_transaction(step: &Step, source: DbErr) -> Self {
        Self::EndedItsTransaction { id: step.id.clone(), direction: step.direction, source }
    }

    pub(super) fn interrupted(step: &Step) -> Self {
        Self::Interrupted { id: step.id.clone(), direction: step.direction }
    }

    /// Whether another session made the same extension, schema or type at the same moment. `IF NOT EXISTS` does not
    /// prevent that; once the other session has committed, it sees what is there.
    pub(crate) fn is_creation_race(&self) -> bool {
        matches!(self, Self::RolledBack { source, .. } if is_creation_race(source))
    }

    /// How the journal calls it.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Interrupted { .. } | Self::Unanswered { .. } => Outcome::Interrupted,
            _ => Outcome::Failed,
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::RolledBack { id, direction, source } if is_cut(source) => {
                format!("nothing was changed; {POLICY_HINT}, and run `{}` again", command(id, *direction))
            }
            Self::Partial { id, direction, source } if is_cut(source) => {
                format!(
                    "what was done stands; {POLICY_HINT}, and run `{}` again, which resumes",
                    command(id, *direction)
                )
            }
            Self::RolledBack { id, direction, .. } => {
                format!("nothing was changed; fix it and run `{}` again", command(id, *direction))
            }
            Self::Partial { id, direction, .. } => format!(
                "what was done stands and can be done again: fix the cause and run `{}` again, which resumes",
                command(id, *direction)
            ),
            Self::EndedItsTransaction { id, direction, .. } => format!(
                "what it did before stands, and it counts as begun and not finished: take its `COMMIT` out, undo by hand what \
                 cannot be done again, and run `{}` again",
                command(id, *direction)
            ),
            Self::Isolation { event_triggers, .. } => {
                let mut hint =
                    "nothing was changed; leave it out, or declare it with `Details::touches` if its owner agrees"
                        .to_owned();
                if !event_triggers.is_empty() {
                    let names: Vec<String> = event_triggers.iter().map(|name| format!("`{name}`")).collect();
                    hint.push_str("; if an event trigger of the database did it (");
                    hint.push_str(&names.join(", "));
                    hint.push_str("), allow the object with `MIGRATE_ALLOWED_OBJECTS`");
                }
                hint
            }
            Self::Verify { id, rolled_back: true, .. } => {
                format!(
                    "nothing was changed; fix the migration or the data and run `up {}` again",
                    id.service
                )
            }
            Self::Verify { id, .. } => {
                format!("the migration counts as pending; fix the cause and run `up {}` again", id.service)
            }
            Self::Guard { id, .. } => {
                format!("nothing was changed; see `rejects {}` and `status {}`", id.service, id.service)
            }
            Self::DataLoss { .. } => "make a backup, then say `--allow-data-loss`".to_owned(),
            Self::TableLock { id, direction, .. } => {
                format!("try again when the blocker is gone: `{}`", command(id, *direction))
            }
            Self::Interrupted { id, direction } => {
                format!("run `{}` again to go on", command(id, *direction))
            }
            Self::CommitUnknown { id, direction, .. } => format!(
                "see `status {}` once the server answers, and run `{}` again if it was not",
                id.service,
                command(id, *direction)
            ),
            Self::Unanswered { id, direction, .. } => format!(
                "once the server answers, see `locks` and `status {}`, then run `{}` again to go on",
                id.service,
                command(id, *direction)
            ),
        }
    }
}

/// Whether the server refused a query of which a policy would have hidden rows.
fn is_cut(source: &DbErr) -> bool {
    driver_error(source).is_some_and(is_cut_by_policy)
}

fn gerund(direction: Direction) -> &'static str {
    match direction {
        Direction::Apply => "applying",
        Direction::Revert => "reverting",
    }
}

fn participle(direction: Direction) -> &'static str {
    match direction {
        Direction::Apply => "applied",
        Direction::Revert => "reverted",
    }
}

/// The command that does this step next, and no other that was not asked for before.
fn command(id: &MigrationId, direction: Direction) -> String {
    match direction {
        Direction::Apply => format!("up {}", id.service),
        Direction::Revert => format!("down {}@-1", id.service),
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The first ten in the order of the alphabet, each once, and how many more there are.
fn sorted(violations: &[Violation]) -> String {
    const SHOWN: usize = 10;
    let violations: BTreeSet<String> = violations.iter().map(ToString::to_string).collect();
    let shown: Vec<&str> = violations.iter().take(SHOWN).map(String::as_str).collect();
    let more = match violations.len().saturating_sub(SHOWN) {
        0 => String::new(),
        n_more => format!("; and {n_more} more"),
    };
    format!("{}{more}", shown.join("; "))
}

/// An error with its causes, each once, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}
