//! Exit codes: the one place where an outcome becomes a number. They are part of the interface and never change.

use std::sync::atomic::{AtomicBool, Ordering};

use migration_coordinator::{
    ConnectError, DeploymentError, LockError, RunError, StepError, SurveyError, UpkeepError,
};
use migration_plan::PlanError;
use postgres_sandbox::SandboxError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// Done.
    Done,
    /// Failed, and rolled back.
    Failed,
    /// Wrong usage or configuration.
    Usage,
    /// Something is pending.
    Pending,
    /// Edited, missing, drifted, or not what was promised.
    Integrity,
    /// A lock is busy.
    Busy,
    /// A migration outside a transaction stopped midway.
    Partial,
    /// Refused by a guard.
    Refused,
    /// Cannot connect, or not permitted.
    Connection,
    /// Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

/// Whether the process was told to end by SIGTERM, and not by Ctrl-C.
static TERMINATED: AtomicBool = AtomicBool::new(false);

impl Exit {
    /// Notes the signal by which the process is stopped.
    pub(crate) fn note_signal(self) {
        TERMINATED.store(self == Self::Terminated, Ordering::SeqCst);
    }

    /// The exit of what was stopped by a signal: by the one that was noted.
    pub(crate) fn stopped() -> Self {
        if TERMINATED.load(Ordering::SeqCst) { Self::Terminated } else { Self::Interrupted }
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::Integrity => 4,
            Self::Busy => 5,
            Self::Partial => 6,
            Self::Refused => 7,
            Self::Connection => 8,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The exit for an error, found in its chain.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if let Some(error) = cause.downcast_ref::<RunError>() {
                return Self::of_run(error);
            }
            if let Some(error) = cause.downcast_ref::<PlanError>() {
                return Self::of_plan(error);
            }
            if let Some(error) = cause.downcast_ref::<UpkeepError>() {
                return Self::of_upkeep(error);
            }
            if let Some(error) = cause.downcast_ref::<DeploymentError>() {
                return Self::of_deployment(error);
            }
            if let Some(SandboxError::NotOurs { .. }) = cause.downcast_ref::<SandboxError>() {
                return Self::Usage;
            }
            if let Some(error) = cause.downcast_ref::<SurveyError>() {
                return Self::of_survey(error);
            }
            if cause.is::<ConnectError>() || cause.is::<SandboxError>() {
                return Self::Connection;
            }
            if let Some(failure) = cause.downcast_ref::<Failure>() {
                return failure.exit;
            }
        }
        Self::Failed
    }

    /// The exit for a run that did not begin or ended early.
    pub(crate) fn of_run(error: &RunError) -> Self {
        match error {
            RunError::Survey(error) => Self::of_survey(error),
            RunError::Connect(_)
            | RunError::Rights { .. }
            | RunError::ReadOnly { .. }
            | RunError::Extension { .. }
            | RunError::NoExtension { .. } => Self::Connection,
            RunError::Plan(error) => Self::of_plan(error),
            RunError::Lock(error) => Self::of_lock(error),
            RunError::Step(error) => Self::of_step(error),
            RunError::Edited { .. } => Self::Integrity,
            RunError::DataLoss { .. }
            | RunError::RevertLoss { .. }
            | RunError::Twins { .. }
            | RunError::Atomic { .. }
            | RunError::Moved => Self::Refused,
            RunError::Install { .. } => Self::Failed,
            RunError::Interrupted => Self::stopped(),
        }
    }

    fn of_deployment(error: &DeploymentError) -> Self {
        match error {
            DeploymentError::SchemaName { .. }
            | DeploymentError::SharedVersionTable { .. }
            | DeploymentError::ClaimedSchema { .. }
            | DeploymentError::SharedTable { .. }
            | DeploymentError::NoTables { .. } => Self::Usage,
            DeploymentError::Catalog(_) | DeploymentError::LockFile { .. } => Self::Integrity,
        }
    }

    /// The exit for what could not be read.
    pub(crate) fn of_survey(error: &SurveyError) -> Self {
        if error.is_damage() { Self::Integrity } else { Self::Connection }
    }

    fn of_upkeep(error: &UpkeepError) -> Self {
        match error {
            UpkeepError::UnknownService { .. } => Self::Usage,
            UpkeepError::Connect(_) | UpkeepError::ReadOnly { .. } | UpkeepError::Read { .. } => {
                Self::Connection
            }
            UpkeepError::Lock(error) => Self::of_lock(error),
            UpkeepError::Database { .. } => Self::Failed,
            UpkeepError::Interrupted { .. } => Self::stopped(),
        }
    }

    fn of_lock(error: &LockError) -> Self {
        match error {
            LockError::Busy { .. } => Self::Busy,
            LockError::Query { .. } => Self::Connection,
        }
    }

    fn of_plan(error: &PlanError) -> Self {
        match error {
            PlanError::Integrity { .. } | PlanError::RevertUnknown { .. } => Self::Integrity,
            PlanError::StillNeeded { .. }
            | PlanError::Irreversible { .. }
            | PlanError::TargetHeldBack { .. }
            | PlanError::BegunBeyondTarget { .. } => Self::Refused,
            PlanError::HistoryNotRead { .. } => Self::Connection,
            _ => Self::Usage,
        }
    }

    fn of_step(error: &StepError) -> Self {
        match error {
            StepError::RolledBack { .. } | StepError::Isolation { .. } => Self::Failed,
            StepError::Partial { .. }
            | StepError::EndedItsTransaction { .. }
            | StepError::CommitUnknown { .. } => Self::Partial,
            StepError::Verify { .. } => Self::Integrity,
            StepError::DataLoss { .. } | StepError::Guard { .. } => Self::Refused,
            StepError::TableLock { .. } => Self::Busy,
            StepError::Interrupted { .. } | StepError::Unanswered { .. } => Self::stopped(),
        }
    }

    /// Which of several exits tells most.
    pub(crate) fn worst(exits: impl IntoIterator<Item = Self>) -> Self {
        const RANK: [Exit; 11] = [
            Exit::Terminated,
            Exit::Interrupted,
            Exit::Partial,
            Exit::Failed,
            Exit::Connection,
            Exit::Integrity,
            Exit::Refused,
            Exit::Busy,
            Exit::Usage,
            Exit::Pending,
            Exit::Done,
        ];
        let rank = |exit: &Exit| RANK.iter().position(|ranked| ranked == exit);
        exits.into_iter().min_by_key(rank).unwrap_or(Self::Done)
    }
}

/// An error of the command line itself, with its exit and the next step to take.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// A task's refusal of what it was given, with the next step to take.
#[must_use]
pub fn refused(error: impl std::error::Error, hint: &str) -> anyhow::Error {
    Failure::usage(error.to_string(), hint).into()
}

impl Failure {
    /// Wrong usage or configuration.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into(), hint: Some(hint.into()) }
    }
}
