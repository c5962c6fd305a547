//! A run: reading, planning, then locking and doing.
//!
//! The plan is made twice: once to see whether there is anything to do (if not, nothing is locked and nothing written),
//! and once more under the locks, from what stands there then. How one migration is run is another module's part.

mod error;
mod preflight;
mod work;

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use migration_kit::table_lock::Policy;
use migration_kit::{MigrationId, MigrationName, ServiceName};
use migration_plan::{
    ApplyOptions, ContractSteps, Direction, HeldBack, History, Plan, PlanError, Redo, Selection,
    UnknownApplied,
};

pub use error::RunError;
use work::Run;

use crate::cancel::Cancellation;
use crate::deployment::{Deployment, Placed};
use crate::event;
use crate::step::RunContext;
use crate::survey::{Access, ServiceFacts, Survey};

/// Who runs, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Name of the machine.
    pub host: String,
    /// Name and version of the tool.
    pub tool: String,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Goal {
    /// Bring services to their targets.
    Apply {
        /// Targets; none means all services.
        selections: Vec<Selection>,
        /// What becomes of contract steps.
        contract: ContractSteps,
        /// What becomes of applied migrations that are not known here.
        unknown: UnknownApplied,
    },
    /// Take services back to their targets.
    Revert {
        /// Targets, at least one.
        selections: Vec<Selection>,
    },
    /// Take services back to their targets, and bring in again what was taken back.
    Redo {
        /// Targets, at least one; a service alone stands for its last migration.
        selections: Vec<Selection>,
    },
}

/// How it is to be done.
#[derive(Clone)]
pub struct RunOptions {
    /// Who runs.
    pub caller: Caller,
    /// How long to wait for another run's migration lock.
    pub wait: Duration,
    /// How table locks are waited for.
    pub table_locks: Policy,
    /// Most services that are worked on at once.
    pub jobs: usize,
    /// Everything in one transaction, or nothing.
    pub atomic: bool,
    /// Whether data that a migration declares as lost may be lost.
    pub allow_data_loss: bool,
    /// Stops the run.
    pub cancellation: Cancellation,
}

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
    /// Pending migrations that were left out, and why.
    pub held_back: Vec<HeldBack>,
    /// Why it ended early, if it did; several services may have failed at once.
    pub failures: Vec<RunError>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Goal {
    fn plan(&self, deployment: &Deployment, history: &History, now: i64) -> Result<Plan, PlanError> {
        let catalog = deployment.catalog();
        match self {
            Self::Apply { selections, contract, unknown } => Plan::apply(
                catalog,
                history,
                selections,
                &ApplyOptions { contract: *contract, unknown: *unknown, now },
            ),
            Self::Revert { selections } => Plan::revert(catalog, history, selections),
            Self::Redo { selections } => Plan::redo(catalog, history, selections).map(Redo::in_sequence),
        }
    }

    /// The part of the goal that concerns some services.
    fn within(&self, deployment: &Deployment, services: &BTreeSet<&ServiceName>) -> Self {
        let keep = |selections: &[Selection]| -> Vec<Selection> {
            selections.iter().filter(|selection| services.contains(&selection.service)).cloned().collect()
        };
        match self {
            Self::Apply { selections, contract, unknown } => {
                let all = || {
                    let names = deployment.services().map(|(service, _, _)| service.name());
                    names.map(|name| Selection { service: name.clone(), target: None }).collect::<Vec<_>>()
                };
                let selections = if selections.is_empty() { keep(&all()) } else { keep(selections) };
                Self::Apply { selections, contract: *contract, unknown: *unknown }
            }
            Self::Revert { selections } => Self::Revert { selections: keep(selections) },
            Self::Redo { selections } => Self::Redo { selections: keep(selections) },
        }
    }
}

/// What a run would do, from what stands in the databases now. Reads only.
///
/// # Errors
/// [`RunError`]: a database that cannot be read, no plan, an edited migration.
pub async fn plan(deployment: &Deployment, goal: &Goal) -> Result<(Survey, Plan), RunError> {
    let survey = Survey::take(deployment).await;
    if let Some(Err(error)) = survey.databases.iter().find(|database| database.is_err()) {
        return Err(RunError::Survey(error.clone()));
    }
    if let Some(facts) = survey.services.iter().find(|facts| facts.access == Access::Forbidden) {
        let user = preflight::server(deployment, &survey, &facts.service)
            .map_or_else(String::new, |server| server.user.clone());
        return Err(RunError::Rights {
            service: facts.service.clone(),
            user,
            missing: "read its version table".into(),
        });
    }
    let plan = goal.plan(deployment, &survey.history(), survey.now())?;
    for facts in &survey.services {
        let Some(placed) = deployment.placed(&facts.service) else { continue };
        let migrations = edited(placed, facts);
        if !migrations.is_empty() {
            return Err(RunError::Edited { service: facts.service.clone(), migrations });
        }
    }
    Ok((survey, plan))
}

/// Reads, plans and does what the goal asks for.
///
/// # Errors
/// As [`plan`] and [`carry_out`].
pub async fn run(deployment: &Deployment, goal: &Goal, options: &RunOptions) -> Result<Report, RunError> {
    let (survey, planned) = plan(deployment, goal).await?;
    carry_out(deployment, goal, &survey, &planned, options).await
}

/// Does what was planned: takes the locks, plans once more from what stands there then, and works that off.
///
/// # Errors
/// [`RunError`] if the run did not begin, and nothing was changed. What went wrong later stands in
/// [`Report::failures`], beside what was done until then.
pub async fn carry_out(
    deployment: &Deployment,
    goal: &Goal,
    survey: &Survey,
    plan: &Plan,
    options: &RunOptions,
) -> Result<Report, RunError> {
    let begun = Instant::now();
    let mut report = Report {
        done: Vec::new(),
        held_back: plan.held_back().to_vec(),
        failures: Vec::new(),
        elapsed: Duration::ZERO,
    };
    if !plan.is_empty() {
        preflight::preflight(deployment, survey, plan, options)?;
        let context = RunContext {
            run: format!("{:016x}", fastrand::u64(..)),
            caller: options.caller.clone(),
            policy: options.table_locks,
            cancellation: options.cancellation.clone(),
        };
        event::run_started(&context.run, plan.steps().len(), plan.services().len());
        let running =
            Run { deployment, goal, options, context: &context, survey, stop: AtomicBool::new(false) };
        if options.atomic {
            running.all_or_nothing(plan, &mut report).await;
        } else {
            running.side_by_side(plan, &mut report).await;
        }
        let outcome = if report.failures.is_empty() { "succeeded" } else { "failed" };
        event::run_finished(&context.run, report.done.len(), begun.elapsed(), outcome);
    }
    report.elapsed = begun.elapsed();
    Ok(report)
}

/// Applied migrations whose SQL is not what the journal says was applied.
#[must_use]
pub fn edited_migrations(deployment: &Deployment, facts: &ServiceFacts) -> Vec<MigrationName> {
    deployment.placed(&facts.service).map(|placed| edited(placed, facts)).unwrap_or_default()
}

fn edited(placed: &Placed, facts: &ServiceFacts) -> Vec<MigrationName> {
    let differs = |name: &MigrationName| {
        let then = facts.journal.get(name).and_then(|journal| journal.checksum.as_deref());
        matches!((then, placed.lock_file.checksum(name)), (Some(then), Some(now)) if then != now)
    };
    facts.applied.iter().map(|applied| &applied.name).filter(|name| differs(name)).cloned().collect()
}
