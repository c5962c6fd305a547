//! Why a migration was not applied or reverted, and what to do next.
//!
//! It is long because every way to fail is here, each with its next step.

use std::collections::BTreeSet;

use migration_kit::table_lock::TableLockError;
use migration_kit::{MigrationId, POLICY_HINT, driver_error, is_cut_by_policy, is_missing_table, sqlstate};
use migration_plan::{Direction, Hint, Offer, Step, few_sentences};
use sea_orm::DbErr;

use crate::bookkeeping::{Outcome, is_creation_race, is_undefined};
use crate::check_result::CheckResult;
use crate::isolation::Violation;
use crate::session::in_plain_words as plain;

/// Why a migration was not applied or reverted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// The database refused something, and nothing of the migration remains.
    #[error("migration `{id}` failed while {}", gerund(*direction))]
    RolledBack {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// What the database says.
        #[source]
        source: DbErr,
        /// The statement that failed, if it is known.
        statement: Option<Box<FailedStatement>>,
    },
    /// The database refused something midway; what was done before is kept.
    #[error("migration `{id}` stopped midway while {}", gerund(*direction))]
    Partial {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// What the database says.
        #[source]
        source: DbErr,
        /// The statement that failed, if it is known.
        statement: Option<Box<FailedStatement>>,
    },
    /// It ended the transaction that it ran in, so that what it did until then is kept.
    #[error("migration `{id}` ended its own transaction while {}", gerund(*direction))]
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
    #[error("migration `{id}` touched what is not its own and was rolled back: {}", sorted(violations))]
    Isolation {
        /// The migration.
        id: MigrationId,
        /// What it touched, and whose that is.
        violations: Vec<Violation>,
        /// The database's event triggers, which run for its statements too.
        event_triggers: Vec<String>,
    },
    /// What it promised does not hold.
    #[error("migration `{id}` does not keep what it promises: {}", list(failed))]
    Verify {
        /// The migration.
        id: MigrationId,
        /// The checks that do not hold.
        failed: Vec<CheckResult>,
        /// What remains of it.
        remains: Remains,
    },
    /// What must hold before it does not hold.
    #[error("migration `{id}` is refused: {}", list(failed))]
    Guard {
        /// The migration.
        id: MigrationId,
        /// The guards that do not hold.
        failed: Vec<CheckResult>,
    },
    /// It loses data for good, and rows were written since the service's first install began.
    #[error("migration `{id}` loses data for good: {what}; `{table}` has rows by now")]
    DataLoss {
        /// The migration.
        id: MigrationId,
        /// What is lost.
        what: String,
        /// A table of the service that has rows.
        table: String,
    },
    /// A table lock could not be acquired.
    #[error("migration `{id}` was not {}, and nothing was changed", participle(*direction))]
    TableLock {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// The session that blocked it.
        #[source]
        source: TableLockError,
    },
    /// A step could not acquire a table lock, and nothing was done before it.
    #[error("migration `{id}` was not {}, and nothing was changed", participle(*direction))]
    Blocked {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
        /// What blocked it.
        #[source]
        source: DbErr,
    },
    /// The connection was lost while the migration was committed, and whether it was could not be found out.
    #[error("it is not known whether migration `{id}` was committed while {}", gerund(*direction))]
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
    #[error("migration `{id}` was interrupted while {}", gerund(*direction))]
    Interrupted {
        /// The migration.
        id: MigrationId,
        /// Apply or revert.
        direction: Direction,
    },
    /// The run was stopped, and the server did not answer.
    #[error(
        "migration `{id}` was interrupted while {}, and the server does not answer: its process {pid} may still be running",
        gerund(*direction)
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

/// What remains of a migration that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// Nothing: it was rolled back.
    Nothing,
    /// All that it did: it ran outside a transaction.
    Everything,
}

/// A statement of a migration that failed.
#[derive(Debug)]
pub struct FailedStatement {
    /// An excerpt of it on one line, without the values in it; `→` marks the place.
    pub excerpt: String,
}

impl StepError {
    pub(crate) fn rolled_back(step: &Step, source: DbErr) -> Self {
        Self::RolledBack {
            id: step.id.clone(),
            direction: step.direction,
            source: plain(source),
            statement: None,
        }
    }

    pub(super) fn partial(step: &Step, source: DbErr) -> Self {
        Self::Partial {
            id: step.id.clone(),
            direction: step.direction,
            source: plain(source),
            statement: None,
        }
    }

    /// The same of a migration whose earlier steps are kept.
    pub(super) fn into_partial(self) -> Self {
        match self {
            Self::RolledBack { id, direction, source, statement } => {
                Self::Partial { id, direction, source, statement }
            }
            Self::TableLock { id, direction, source } => {
                Self::Partial { id, direction, source: DbErr::Custom(chain(&source)), statement: None }
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

    /// The error, about this statement.
    pub(super) fn at(mut self, excerpt: Option<String>) -> Self {
        if let Self::RolledBack { statement, .. } | Self::Partial { statement, .. } = &mut self {
            *statement = excerpt.map(|excerpt| Box::new(FailedStatement { excerpt }));
        }
        self
    }

    /// An excerpt of the statement that failed, without the values in it; `→` marks the place.
    #[must_use]
    pub fn statement(&self) -> Option<&str> {
        match self {
            Self::RolledBack { statement, .. } | Self::Partial { statement, .. } => {
                statement.as_ref().map(|statement| statement.excerpt.as_str())
            }
            _ => None,
        }
    }

    pub(super) fn blocked(step: &Step, source: DbErr) -> Self {
        Self::Blocked { id: step.id.clone(), direction: step.direction, source: plain(source) }
    }

    pub(super) fn interrupted(step: &Step) -> Self {
        Self::Interrupted { id: step.id.clone(), direction: step.direction }
    }

    /// Whether another session made the same extension, schema or type at the same moment. `IF NOT EXISTS` does not
    /// prevent that; once the other session has committed, it sees what is there.
    pub(crate) fn is_creation_race(&self) -> bool {
        matches!(self, Self::RolledBack { source, .. } if is_creation_race(source))
    }

    /// Whether something was not found that an extension may have, which another session made meanwhile.
    pub(crate) fn is_undefined(&self) -> bool {
        matches!(self, Self::RolledBack { source, .. } if is_undefined(source))
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
    pub fn hint(&self) -> Hint {
        match self {
            Self::RolledBack { id, direction, source, .. } if is_cut(source) => {
                Hint::from(format!("nothing was changed; {POLICY_HINT}, and run "))
                    + again(id, *direction)
                    + " again"
            }
            Self::Partial { id, direction, source, .. } if is_cut(source) => {
                Hint::from(format!("what was done is kept; {POLICY_HINT}, and run "))
                    + again(id, *direction)
                    + " again, which resumes"
            }
            Self::RolledBack { id, direction: Direction::Apply, source, .. } if is_there_already(source) => {
                Hint::from("nothing was changed; ") + there_already(id)
            }
            Self::Partial { id, direction: Direction::Apply, source, .. } if is_there_already(source) => {
                Hint::from("what was done is kept; ") + there_already(id)
            }
            Self::RolledBack { id, direction: Direction::Revert, source, .. } if is_gone(source) => {
                Hint::from("nothing was changed; ") + made_again(id)
            }
            Self::Partial { id, direction: Direction::Revert, source, .. } if is_gone(source) => {
                Hint::from("what was done is kept; ") + made_again(id)
            }
            Self::RolledBack { id, direction, .. } => {
                Hint::from("nothing was changed; fix it and run ") + again(id, *direction) + " again"
            }
            Self::Partial { id, direction, .. } => {
                Hint::from("what was done is kept and can be done again: fix the cause and run ")
                    + again(id, *direction)
                    + " again, which resumes"
            }
            Self::EndedItsTransaction { id, direction, .. } => {
                Hint::from(
                    "what it did before is kept, and it counts as begun and not finished: take its `COMMIT` out, undo by hand \
                     what cannot be done again, and run ",
                ) + again(id, *direction)
                    + " again"
            }
            Self::Isolation { event_triggers, .. } => {
                let hint = Hint::from(
                    "nothing was changed; leave it out, or declare it with `Details::touches` if its owner agrees",
                );
                if event_triggers.is_empty() {
                    return hint;
                }
                let names: Vec<String> = event_triggers.iter().map(|name| format!("`{name}`")).collect();
                hint + format!(
                    "; if an event trigger of the database did it ({}), allow the object with ",
                    names.join(", ")
                ) + Offer::AllowedObjects
            }
            Self::Verify { id, remains: Remains::Nothing, .. } => {
                Hint::from("nothing was changed; fix the migration or the data and run ")
                    + Offer::apply(&id.service)
                    + " again"
            }
            Self::Verify { id, .. } => {
                Hint::from("the migration counts as pending; fix the cause and run ")
                    + Offer::apply(&id.service)
                    + " again"
            }
            Self::Guard { id, .. } => {
                Hint::from("nothing was changed; see ")
                    + Offer::Rejects(id.service.clone())
                    + " and "
                    + Offer::status(&id.service)
            }
            Self::DataLoss { .. } => Hint::from("make a backup, then say ") + Offer::AllowDataLoss,
            Self::TableLock { id, direction, .. } | Self::Blocked { id, direction, .. } => {
                Hint::from("try again when the blocker is gone: ") + again(id, *direction)
            }
            Self::Interrupted { id, direction } => {
                Hint::from("run ") + again(id, *direction) + " again to continue"
            }
            Self::CommitUnknown { id, direction, .. } => {
                Hint::from("see ")
                    + Offer::status(&id.service)
                    + " once the server answers, and run "
                    + again(id, *direction)
                    + " again if it was not"
            }
            Self::Unanswered { id, direction, .. } => {
                Hint::from("once the server answers, see ")
                    + Offer::Locks
                    + " and "
                    + Offer::status(&id.service)
                    + ", then run "
                    + again(id, *direction)
                    + " again to continue"
            }
        }
    }
}

/// What to do about something that exists under the name of what was to be made.
fn there_already(id: &MigrationId) -> Hint {
    Hint::from("if an earlier system made what exists already, ")
        + Offer::Adopt(id.service.clone())
        + " compares it with what the migrations make and records them as applied; if it is something else, put the service into \
           another schema with "
        + Offer::Schema(id.service.clone())
}

/// What to do where something is gone that was to be reverted.
fn made_again(id: &MigrationId) -> Hint {
    Hint::from("somebody dropped what it reverts: ")
        + Offer::RepairSchema(id.service.clone())
        + " prints the statements that make it again, empty; run them, and then "
        + again(id, Direction::Revert)
}

/// Whether a table, column, function, type, index or constraint is gone, as the server or the kit says.
fn is_gone(source: &DbErr) -> bool {
    let states = ["42P01", "42703", "42883", "42704"];
    sqlstate(source).is_some_and(|state| states.contains(&state.as_str())) || is_missing_table(source)
}

/// Whether the server refused a query of which a policy would have hidden rows.
fn is_cut(source: &DbErr) -> bool {
    driver_error(source).is_some_and(is_cut_by_policy)
}

/// Whether something exists already under the name of what was to be made.
fn is_there_already(source: &DbErr) -> bool {
    // Schema, table or index, column, function, type or constraint.
    let states = ["42P06", "42P07", "42701", "42723", "42710"];
    sqlstate(source).is_some_and(|state| states.contains(&state.as_str()))
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

/// What does this step next, and no other that was not asked for before.
fn again(id: &MigrationId, direction: Direction) -> Offer {
    match direction {
        Direction::Apply => Offer::apply(&id.service),
        Direction::Revert => Offer::revert_last(&id.service),
    }
}

fn list<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// The first ten in the order of the alphabet, each once, and how many more there are.
fn sorted(violations: &[Violation]) -> String {
    const SHOWN: usize = 10;
    let violations: BTreeSet<String> = violations.iter().map(ToString::to_string).collect();
    few_sentences(violations, SHOWN)
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
