//! How something ended, in one word: the one place where an error becomes a class. What a program makes of a class, such as
//! an exit code, is its own part.

use std::error::Error;

use migration_coordinator::{
    ConnectError, DeploymentError, LockError, RunError, StepError, SurveyError, UpkeepError,
};
use migration_kit::table_lock::{is_given_up, is_retryable};
use migration_plan::{PlanError, SelectionError};
use serde::{Deserialize, Serialize};

use crate::Words;

/// How something ended. The order is by how much it says: of several, the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Done.
    Done,
    /// Something is pending.
    Pending,
    /// Wrong usage or configuration.
    Usage,
    /// A lock is busy.
    Busy,
    /// Refused by a guard.
    Refused,
    /// Edited, missing, drifted, or not what was promised.
    Integrity,
    /// Cannot connect, or not permitted.
    Connection,
    /// Failed, and rolled back.
    Failed,
    /// A migration outside a transaction stopped midway.
    Partial,
    /// Stopped from outside.
    Interrupted,
}

impl Class {
    /// The class of the first error in a chain that has one; [`Class::Failed`] if none has.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static), words: &dyn Words) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            if let Some(class) = of_one(cause).or_else(|| words.own(cause).map(|own| own.class)) {
                return class;
            }
            next = cause.source();
        }
        Self::Failed
    }

    /// The class that says most; [`Class::Done`] of none.
    #[must_use]
    pub fn worst(classes: impl IntoIterator<Item = Self>) -> Self {
        classes.into_iter().max().unwrap_or(Self::Done)
    }

    /// Whether all went well.
    #[must_use]
    pub fn is_ok(self) -> bool {
        self == Self::Done
    }
}

fn of_one(error: &(dyn Error + 'static)) -> Option<Class> {
    if let Some(error) = error.downcast_ref::<RunError>() {
        Some(of_run(error))
    } else if let Some(error) = error.downcast_ref::<PlanError>() {
        Some(of_plan(error))
    } else if let Some(error) = error.downcast_ref::<UpkeepError>() {
        Some(of_upkeep(error))
    } else if let Some(error) = error.downcast_ref::<DeploymentError>() {
        Some(of_deployment(error))
    } else if let Some(error) = error.downcast_ref::<SurveyError>() {
        Some(of_survey(error))
    } else if error.is::<ConnectError>() {
        Some(Class::Connection)
    } else if error.is::<SelectionError>() {
        Some(Class::Usage)
    } else {
        None
    }
}

fn of_run(error: &RunError) -> Class {
    match error {
        RunError::Survey(error) => of_survey(error),
        RunError::Connect(_)
        | RunError::Rights { .. }
        | RunError::ReadOnly { .. }
        | RunError::Extension { .. }
        | RunError::NoExtension { .. } => Class::Connection,
        RunError::Plan(error) => of_plan(error),
        RunError::Lock(error) => of_lock(error),
        RunError::TableLocked { .. } => Class::Busy,
        RunError::Step(error) => of_step(error),
        RunError::Edited { .. } => Class::Integrity,
        RunError::DataLoss { .. }
        | RunError::RevertLoss { .. }
        | RunError::Twins { .. }
        | RunError::OneNode { .. }
        | RunError::Collisions { .. }
        | RunError::Attached { .. }
        | RunError::Encoding { .. }
        | RunError::Base { .. }
        | RunError::NotAcceptable { .. }
        | RunError::Atomic { .. }
        | RunError::DoneByOthers { .. }
        | RunError::Moved => Class::Refused,
        RunError::UnknownObject { .. } | RunError::NothingToAccept { .. } | RunError::Addresses { .. } => {
            Class::Usage
        }
        RunError::Interrupted => Class::Interrupted,
        _ => Class::Failed,
    }
}

fn of_deployment(error: &DeploymentError) -> Class {
    match error {
        DeploymentError::SchemaName { .. }
        | DeploymentError::SharedVersionTable { .. }
        | DeploymentError::ClaimedSchema { .. }
        | DeploymentError::SharedName { .. }
        | DeploymentError::NoTables { .. } => Class::Usage,
        _ => Class::Integrity,
    }
}

fn of_survey(error: &SurveyError) -> Class {
    if error.is_locked() {
        Class::Busy
    } else if error.is_damage() {
        Class::Integrity
    } else if error.is_elsewhere() {
        Class::Refused
    } else {
        Class::Connection
    }
}

fn of_upkeep(error: &UpkeepError) -> Class {
    match error {
        UpkeepError::UnknownService { .. }
        | UpkeepError::NothingToMend { .. }
        | UpkeepError::NotCitus { .. }
        | UpkeepError::Roles { .. } => Class::Usage,
        UpkeepError::Unread(error) => of_survey(error),
        UpkeepError::Read { source, .. } if is_retryable(source) => Class::Busy,
        UpkeepError::Connect(_) | UpkeepError::ReadOnly { .. } | UpkeepError::Read { .. } => {
            Class::Connection
        }
        UpkeepError::Lock(error) => of_lock(error),
        UpkeepError::OfOthers(error) => of_run(error),
        UpkeepError::Database { source, .. } if is_given_up(source) => Class::Busy,
        UpkeepError::Database { source, .. } if is_out_of_reach(source) => Class::Connection,
        UpkeepError::Moved { .. } | UpkeepError::Relocation { .. } | UpkeepError::NoLogin { .. } => {
            Class::Refused
        }
        UpkeepError::Interrupted { .. } => Class::Interrupted,
        _ => Class::Failed,
    }
}

/// Whether the server says that the role lacks a right, or, as a coordinator of Citus, that it has lost another node.
fn is_out_of_reach(error: &sea_orm::DbErr) -> bool {
    let code = migration_kit::driver_error(error).and_then(|error| error.as_database_error()?.code());
    code.is_some_and(|code| code == "42501" || code.starts_with("08"))
}

fn of_lock(error: &LockError) -> Class {
    match error {
        LockError::Busy { .. } => Class::Busy,
        _ => Class::Connection,
    }
}

fn of_plan(error: &PlanError) -> Class {
    match error {
        PlanError::Integrity { .. } | PlanError::RevertUnknown { .. } => Class::Integrity,
        PlanError::StillNeeded { .. }
        | PlanError::Irreversible { .. }
        | PlanError::TargetHeldBack { .. }
        | PlanError::BegunBeyondTarget { .. } => Class::Refused,
        PlanError::HistoryNotRead { .. } => Class::Connection,
        _ => Class::Usage,
    }
}

fn of_step(error: &StepError) -> Class {
    match error {
        StepError::Partial { .. }
        | StepError::EndedItsTransaction { .. }
        | StepError::CommitUnknown { .. } => Class::Partial,
        StepError::Verify { .. } => Class::Integrity,
        StepError::DataLoss { .. } | StepError::Guard { .. } => Class::Refused,
        StepError::TableLock { .. } | StepError::Blocked { .. } => Class::Busy,
        StepError::Interrupted { .. } | StepError::Unanswered { .. } => Class::Interrupted,
        _ => Class::Failed,
    }
}
