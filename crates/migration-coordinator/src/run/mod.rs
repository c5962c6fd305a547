//! A run: reading, planning, locking, planning once more, doing.
//!
//! The plan is made twice: once to see whether there is anything to do (if not, nothing is locked and nothing written),
//! and once more under the locks, from what is recorded then. In what order the plan is worked off, and how one
//! migration is run, is decided elsewhere. It is long because what a run asks before it begins is beside what it asks again under the locks.

mod accept;
mod atomic;
mod base;
mod error;
mod extensions;
mod goal;
mod losses;
mod options;
mod own_run;
mod policies;
mod preflight;
mod report;
mod side_by_side;
mod take_over;

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use migration_kit::{MigrationId, ServiceName};
use migration_plan::{HeldBack, History, HoldReason, Plan, statuses};
use sea_orm::{DbErr, sqlx};
use tracing::Instrument;

use crate::bookkeeping::{self, Outcome};
use crate::deployment::{Deployment, Placed};
use crate::event;
use crate::interrupt::Ended;
use crate::isolation::Outside;
use crate::journal_mark;
use crate::lock::LockedSession;
use crate::owner;
use crate::session::Session;
use crate::span;
use crate::step::{RunContext, Worker};
use crate::survey::{Patience, ServiceFacts, Survey, history};

pub use accept::{Acceptance, AcceptedDifference};
pub use base::{unkept_by_rows, unmet_promises};
pub use error::RunError;
pub use goal::Goal;
pub use losses::{Filled, RevertLoss};
pub use options::RunOptions;
pub use own_run::{DoneSince, Mark, OwnRun};
pub use policies::SecuredStep;
pub use preflight::{attached, no_collision, not_of_others, obstructions, one_address};
pub use report::{DoneStep, Report};
pub use take_over::TakeOver;

/// What a goal comes to, from what is recorded in the databases at one moment: what [`plan`] gives, and what can be carried out.
pub struct Planned<'d> {
    // Invariant: these belong together, so they are made together and cannot be exchanged.
    deployment: &'d Deployment,
    goal: &'d Goal,
    survey: Survey,
    history: History,
    plan: Plan,
}

/// What a run would do, from what the databases record now. Reads only.
///
/// # Errors
/// [`RunError`]: a service that the goal concerns and that cannot be read, no plan, an edited migration.
pub async fn plan<'d>(deployment: &'d Deployment, goal: &'d Goal) -> Result<Planned<'d>, RunError> {
    plan_surveyed(deployment, goal, &Patience::usual()).await
}

/// The same for a run with these options, which waits as long as they say for tables that others keep locked, of the services that
/// it concerns and of those that these require.
///
/// # Errors
/// As [`plan`].
pub async fn plan_for<'d>(
    deployment: &'d Deployment,
    goal: &'d Goal,
    options: &RunOptions,
) -> Result<Planned<'d>, RunError> {
    let patience = Patience::of(goal.services_and_required(deployment), options.table_locks.patience);
    plan_surveyed(deployment, goal, &patience).await
}

async fn plan_surveyed<'d>(
    deployment: &'d Deployment,
    goal: &'d Goal,
    patience: &Patience<'_>,
) -> Result<Planned<'d>, RunError> {
    let survey = Survey::take_within(deployment, patience).await;
    let history = survey.history();
    let plan =
        goal.plan(deployment, &history, survey.now()).map_err(|error| preflight::no_plan(error, &survey))?;
    let mut touched = goal.services(deployment);
    touched.extend(plan.services());
    preflight::readable(&survey, &touched)?;
    preflight::one_address(deployment, &survey, &touched)?;
    for placed in touched.iter().filter_map(|service| deployment.placed(service)) {
        if let Some(facts) = survey.service(placed.name()) {
            preflight::unedited(placed, facts)?;
        }
    }
    Ok(Planned { deployment, goal, survey, history, plan })
}

/// Reads, plans and does what the goal asks for.
///
/// # Errors
/// As [`plan`] and [`Planned::carry_out`].
pub async fn run(deployment: &Deployment, goal: &Goal, options: &RunOptions) -> Result<Report, RunError> {
    let planned = Box::pin(plan_for(deployment, goal, options)).await?;
    Box::pin(planned.carry_out(options)).await
}

impl Planned<'_> {
    /// What was read.
    #[must_use]
    pub fn survey(&self) -> &Survey {
        &self.survey
    }

    /// The history in what was read.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What would be done.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The services that it was planned for.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        self.deployment
    }

    /// What keeps this from beginning, or from coming far: an encoding that is none, what is where services that are empty would begin,
    /// tables of others that are attached to the services' own, tables that a migration would take over and that are not as it
    /// promises, and services that are not as their applied migrations make them. Reads only.
    ///
    /// # Errors
    /// [`RunError::Survey`] if a database could not be asked.
    pub async fn obstructions(&self) -> Result<Vec<RunError>, RunError> {
        let facts = preflight::applied_on(&self.survey, &self.plan);
        let mut found: Vec<RunError> = facts.flat_map(|facts| obstructions(self.deployment, facts)).collect();
        found.extend(preflight::text_is_text(self.deployment, &self.survey, &self.plan).err());
        found.extend(attached(self.deployment, self.plan.services()).await?);
        found.extend(self.not_as_expected().await?);
        for facts in self.plan.services().into_iter().filter_map(|service| self.survey.service(service)) {
            found.extend(base::unsound(self.deployment, facts, &self.plan).await?);
        }
        Ok(found)
    }

    /// Of each service, the first migration that would take over a table which is not as it promises: it would fail. Reads only.
    ///
    /// # Errors
    /// [`RunError::Survey`] if a database could not be asked.
    pub async fn not_as_expected(&self) -> Result<Vec<RunError>, RunError> {
        let mut found = Vec::new();
        for facts in preflight::applied_on(&self.survey, &self.plan) {
            found.extend(base::not_as_expected(self.deployment, facts, &self.plan).await?);
        }
        Ok(found)
    }

    /// Whether [`carry_out`](Self::carry_out) would refuse to begin: the same questions, and what it would accept. Writes nothing; where
    /// something is missing it takes the migration lock to look again.
    ///
    /// # Errors
    /// [`RunError`], with which it would refuse.
    pub async fn check(&self, options: &RunOptions) -> Result<Vec<AcceptedDifference>, RunError> {
        let Self { deployment, goal, survey, history, plan } = self;
        let accepted = Box::pin(accept::decide(deployment, survey, plan, options));
        let accepted = options.cancellation.unless_cancelled(accepted).await;
        let accepted = accepted.unwrap_or(Err(RunError::Interrupted))?;
        if plan.is_empty() {
            return Ok(accepted);
        }
        preflight::possible(deployment, survey, plan, options)?;
        preflight::text_is_text(deployment, survey, plan)?;
        let available = Box::pin(extensions::available(deployment, plan));
        let available = options.cancellation.unless_cancelled(available).await;
        available.unwrap_or(Err(RunError::Interrupted))?;
        preflight::consented(deployment, plan, history, options)?;
        preflight::no_twins(deployment, survey, plan, options)?;
        preflight::no_collisions(deployment, survey, plan)?;
        let attached = Box::pin(attached(deployment, plan.services()));
        let attached = options.cancellation.unless_cancelled(attached).await;
        if let Some(error) = attached.unwrap_or(Err(RunError::Interrupted))?.into_iter().next() {
            return Err(error);
        }
        let context = run_context(options);
        let stop = AtomicBool::new(false);
        let running = Run { deployment, goal, options, context: &context, survey, stop };
        let sound = Box::pin(running.base_is_sound(plan, &accepted));
        options.cancellation.unless_cancelled(sound).await.unwrap_or(Err(RunError::Interrupted))?;
        let consented = Box::pin(losses::consented(deployment, plan, options));
        let consented = options.cancellation.unless_cancelled(consented).await;
        consented.unwrap_or(Err(RunError::Interrupted))?;
        Ok(accepted)
    }

    /// Does what was planned: takes the locks, plans again from the history as it is then, and executes that plan.
    ///
    /// # Errors
    /// [`RunError`] if the run did not begin, and nothing was changed. What went wrong later is in
    /// [`Report::failures`], beside what was done until then.
    pub async fn carry_out(&self, options: &RunOptions) -> Result<Report, RunError> {
        let Self { deployment, goal, survey, plan, .. } = self;
        let begun = Instant::now();
        let mut report = Report {
            done: Vec::new(),
            accepted: Vec::new(),
            held_back: plan.held_back().to_vec(),
            failures: Vec::new(),
            elapsed: Duration::ZERO,
        };
        let accepted = self.check(options).await?;
        let context = run_context(options);
        let running =
            Run { deployment, goal, options, context: &context, survey, stop: AtomicBool::new(false) };
        if !plan.is_empty() {
            extensions::provide(deployment, plan, options).await?;
        }
        Box::pin(running.record(&accepted)).await?;
        report.accepted = accepted;
        if !plan.is_empty() {
            let (n_steps, n_services) = (plan.steps().len(), plan.services().len());
            let span = span::run(&context.run, n_steps, n_services);
            let work = async {
                event::run_started(&context.run, n_steps, n_services);
                if options.atomic {
                    Box::pin(running.all_or_nothing(plan, &mut report)).await;
                } else {
                    Box::pin(running.side_by_side(plan, &mut report)).await;
                }
                let outcome = if report.failures.is_empty() { Outcome::Succeeded } else { Outcome::Failed };
                event::run_finished(&context.run, report.done.len(), begun.elapsed(), outcome.as_str());
                outcome
            };
            let outcome = work.instrument(span.clone()).await;
            span::ended(&span, outcome);
        }
        if report.failures.is_empty() && !report.done.is_empty() {
            Box::pin(self.count_soaks_again(&mut report.held_back, options)).await;
        }
        report.elapsed = begun.elapsed();
        Ok(report)
    }

    /// Counts soak times from what is applied now: they begin with what this run has applied. What cannot be read stays as it was
    /// planned.
    async fn count_soaks_again(&self, held_back: &mut [HeldBack], options: &RunOptions) {
        let is_soaking = |held: &HeldBack| matches!(held.reason, HoldReason::Soaking { .. });
        if !held_back.iter().any(is_soaking) {
            return;
        }
        let survey = options.cancellation.unless_cancelled(Survey::take(self.deployment)).await;
        let Some(survey) = survey else { return };
        let statuses = statuses(self.deployment.catalog(), &survey.history(), survey.now());
        let now: Vec<HeldBack> = statuses.into_iter().flat_map(|status| status.held_back).collect();
        for held in held_back.iter_mut().filter(|held| is_soaking(held)) {
            if let Some(found) = now.iter().find(|found| found.id == held.id) {
                held.reason = found.reason.clone();
            }
        }
    }
}

/// What the steps of a run know of it, under a name of its own.
fn run_context(options: &RunOptions) -> RunContext {
    RunContext {
        run: options.own.as_ref().map_or_else(own_run::new_run, |own| own.run.clone()),
        caller: options.caller.clone(),
        policy: options.table_locks,
        cancellation: options.cancellation.clone(),
        allow_data_loss: options.allow_data_loss,
    }
}

/// What the parts of a run share.
struct Run<'a> {
    deployment: &'a Deployment,
    goal: &'a Goal,
    options: &'a RunOptions,
    context: &'a RunContext,
    survey: &'a Survey,
    /// Set at the first failure: what runs is finished, nothing new begins.
    stop: AtomicBool,
}

/// A service and the session that works for it.
type Place<'a> = (&'a Placed, &'a Session);

impl Run<'_> {
    async fn open(&self, placed: &Placed) -> Result<Session, RunError> {
        let url = &self.deployment.databases()[placed.site.database];
        let (application, search_path) = (placed.site.application(None), placed.site.own_search_path());
        let opened = Box::pin(async {
            let session = Session::open(url, &application, &search_path, None).await?;
            let owner = owner::of(&session, &placed.site).await;
            match owner.map_err(|source| self.unread(placed, source))? {
                None => Ok(session),
                Some(owner) => {
                    session.close().await;
                    Ok(Session::open(url, &application, &search_path, Some(&owner)).await?)
                }
            }
        });
        self.options.cancellation.unless_cancelled(opened).await.unwrap_or(Err(RunError::Interrupted))
    }

    async fn take_lock<'s>(&self, (placed, session): Place<'s>) -> Result<LockedSession<'s>, RunError> {
        let taken = LockedSession::take(session, placed, self.options.wait);
        match self.options.cancellation.unless_cancelled(taken).await {
            Some(lock) => Ok(lock?),
            None => Err(RunError::Interrupted),
        }
    }

    /// Reads and plans once more, now that no other run can change anything, and makes what is missing; unless the run is
    /// stopped meanwhile.
    async fn plan_again(
        &self,
        planned: &Plan,
        all: &[LockedSession<'_>],
    ) -> Result<(Plan, History), RunError> {
        let mut now_there = self.survey.services.clone();
        for locked in all {
            let url = &self.deployment.databases()[locked.placed().site.database];
            let reading = Box::pin(self.read_and_install(locked));
            let facts = match locked.session().cancellable(url, &self.options.cancellation, reading).await {
                Ended::Finished(facts) | Ended::Stopped(Some(facts @ Ok(_))) => facts?,
                Ended::Stopped(_) | Ended::Unanswered => return Err(RunError::Interrupted),
            };
            if let Some(slot) = now_there.iter_mut().find(|slot| slot.service == facts.service) {
                *slot = facts;
            }
        }
        let names: BTreeSet<&ServiceName> = all.iter().map(|locked| locked.placed().name()).collect();
        let goal = self.goal.within(self.deployment, &names);
        let history = history(&now_there);
        let plan = goal.plan(self.deployment, &history, self.survey.now())?;
        preflight::consented(self.deployment, &plan, &history, self.options)?;
        let shown: HashSet<&MigrationId> = planned.steps().iter().map(|step| &step.id).collect();
        let moved = match self.goal {
            // Another run may have left more to apply; but not in services whose lock was not taken.
            Goal::Apply { .. } => plan.steps().iter().any(|step| !names.contains(&step.id.service)),
            // A relative target counts from what is applied now; what nobody was shown is not reverted.
            Goal::Revert { .. } | Goal::Redo { .. } => {
                !plan.steps().iter().all(|step| shown.contains(&step.id))
            }
        };
        let is_other = |name: &&ServiceName| !plan.steps_of(name).eq(planned.steps_of(name));
        if moved || self.options.exactly && names.iter().any(is_other) {
            Err(RunError::Moved)
        } else {
            Ok((plan, history))
        }
    }

    /// Reads what there is of a service, and makes its bookkeeping where it has none.
    async fn read_and_install(&self, locked: &LockedSession<'_>) -> Result<ServiceFacts, RunError> {
        let placed = locked.placed();
        let patience = self.options.table_locks.patience;
        let facts = locked.survey(self.deployment, patience).await;
        let facts = facts.map_err(|source| self.unread(placed, source))?;
        if let Some(error) = facts.unread {
            return Err(RunError::Survey(error));
        }
        preflight::unedited(placed, &facts)?;
        if let (Goal::Revert { .. }, Some(own)) = (self.goal, &self.options.own) {
            let connection = locked.writer().connection().await;
            let lost = |error: DbErr| self.unread(placed, sqlx::Error::Protocol(error.to_string()));
            let mut connection = connection.map_err(lost)?;
            own.is_alone(&mut connection, self.deployment, placed.name()).await?;
        }
        if matches!(self.goal, Goal::Apply { .. }) {
            preflight::no_collision(self.deployment, &facts)?;
        }
        if !facts.installed {
            let failed = |source| RunError::Install { service: placed.name().clone(), source };
            let on_one_node = placed.on_one_node().next().is_some();
            let (writer, exists) = (locked.writer(), facts.schema_exists);
            bookkeeping::install(writer, &placed.site, exists, on_one_node).await.map_err(failed)?;
            journal_mark::write(writer, &placed.site).await;
            owner::keep_history(locked.writer().db(), &placed.site).await.map_err(failed)?;
        }
        Ok(facts)
    }

    fn unread(&self, placed: &Placed, source: sqlx::Error) -> RunError {
        RunError::unread(&self.deployment.databases()[placed.site.database], source)
    }

    fn worker<'w>(
        &'w self,
        locked: &'w LockedSession<'w>,
        (plan, history): &'w (Plan, History),
    ) -> Worker<'w> {
        let placed = locked.placed();
        let was_first_install = history.is_first_install(placed.name());
        let is_first = matches!(self.goal, Goal::Apply { .. }) && was_first_install;
        let first_install =
            if is_first { plan.steps_of(placed.name()).last().map(|step| &step.id) } else { None };
        let (outside, span) = (Outside::default(), span::service(placed.name()));
        let (context, deployment) = (self.context, self.deployment);
        Worker { context, deployment, locked, outside, first_install, was_first_install, span }
    }

    /// Lets nothing new begin.
    fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Whether nothing new is to begin.
    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.options.cancellation.is_cancelled()
    }
}
