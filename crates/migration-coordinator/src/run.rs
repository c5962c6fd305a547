//! A run: reading, planning, locking, then working the plan off, services without an edge between them side by side.
//!
//! The plan is made twice: once to see whether there is anything to do (if not, nothing is locked and nothing written),
//! and once more under the locks, from what stands there then. How one migration is run is another module's part.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use migration_kit::table_lock::Policy;
use migration_kit::{MigrationId, MigrationName, ServiceName};
use migration_plan::{
    ApplyOptions, ContractSteps, Direction, HeldBack, History, Plan, PlanError, Redo, Selection, Step,
    UnknownApplied,
};
use sea_orm::{DbErr, TransactionTrait};

use crate::bookkeeping;
use crate::cancel::Cancellation;
use crate::deployment::{Deployment, Placed};
use crate::event;
use crate::lock::{LockError, MigrationLock};
use crate::session::{ConnectError, Session};
use crate::step::{Done, RunContext, StepError, Worker};
use crate::survey::{Access, ServiceFacts, Survey, SurveyError, history};

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

/// Why a run did not begin, or ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A database could not be read.
    #[error("the services cannot be read")]
    Survey(#[source] std::sync::Arc<SurveyError>),
    /// There is no plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The migration lock was not taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A migration was not applied or reverted.
    #[error(transparent)]
    Step(#[from] StepError),
    /// An applied migration is not what it was when it was applied.
    #[error("`{service}`: {} was edited after it was applied", names(migrations))]
    Edited {
        /// The service.
        service: ServiceName,
        /// The migrations whose SQL differs.
        migrations: Vec<MigrationName>,
    },
    /// A migration would lose data for good.
    #[error("`{}`: migration `{}` loses data for good: {what}", id.service, id.name)]
    DataLoss {
        /// The migration.
        id: MigrationId,
        /// What is lost.
        what: String,
    },
    /// The role may not do what the plan needs.
    #[error("`{service}`: role `{user}` may not {missing}")]
    Rights {
        /// The service.
        service: ServiceName,
        /// The role.
        user: String,
        /// What it may not do.
        missing: String,
    },
    /// Nothing can be written there.
    #[error("`{database}` is read-only: a standby, or set so")]
    ReadOnly {
        /// The database.
        database: String,
    },
    /// The tables of the bookkeeping could not be made.
    #[error("`{service}`: its version table could not be made")]
    Install {
        /// The service.
        service: ServiceName,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// One transaction for all is not possible.
    #[error("`--atomic` is not possible: {why}")]
    Atomic {
        /// Why.
        why: String,
    },
    /// What was to be reverted changed while this run waited.
    #[error("the history changed while this run waited for the migration lock")]
    Moved,
    /// The run was stopped before its next migration.
    #[error("the run was interrupted")]
    Interrupted,
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
        let user = server(deployment, &survey, &facts.service)
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
        preflight(deployment, survey, plan, options)?;
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

/// Refuses before anything is locked what could only fail later.
fn preflight(
    deployment: &Deployment,
    survey: &Survey,
    plan: &Plan,
    options: &RunOptions,
) -> Result<(), RunError> {
    for service in plan.services() {
        let (Some(facts), Some(server)) = (survey.service(service), server(deployment, survey, service))
        else {
            continue;
        };
        if server.read_only {
            return Err(RunError::ReadOnly { database: server.database.clone() });
        }
        let missing = match (facts.schema_exists, facts.may_create, facts.may_write) {
            (false, false, _) => Some(format!("create schemas in database `{}`", server.database)),
            (true, false, _) => Some("create tables in its schema".to_owned()),
            (_, _, false) => Some("write its version table and journal".to_owned()),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(RunError::Rights { service: service.clone(), user: server.user.clone(), missing });
        }
    }
    if !options.allow_data_loss {
        for step in plan.steps().iter().filter(|step| step.direction == Direction::Apply) {
            if let Some(what) = deployment.catalog().migration(&step.id).and_then(|known| known.loses.clone())
            {
                return Err(RunError::DataLoss { id: step.id.clone(), what });
            }
        }
    }
    if options.atomic {
        atomic_is_possible(deployment, plan)?;
    }
    Ok(())
}

fn atomic_is_possible(deployment: &Deployment, plan: &Plan) -> Result<(), RunError> {
    if let Some(step) = plan.steps().iter().find(|step| !step.transactional) {
        let why = format!("`{}` does not run in a transaction", step.id);
        return Err(RunError::Atomic { why });
    }
    let databases: BTreeSet<usize> = plan
        .services()
        .into_iter()
        .filter_map(|name| deployment.placed(name))
        .map(|placed| placed.database)
        .collect();
    if databases.len() > 1 {
        return Err(RunError::Atomic { why: "the services live in several databases".to_owned() });
    }
    Ok(())
}

fn server<'s>(
    deployment: &Deployment,
    survey: &'s Survey,
    service: &ServiceName,
) -> Option<&'s crate::survey::ServerFacts> {
    survey.databases.get(deployment.placed(service)?.database)?.as_ref().ok()
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

impl Run<'_> {
    async fn side_by_side(&self, plan: &Plan, report: &mut Report) {
        let groups = groups(plan);
        let mut waiting = groups.into_iter().map(|group| self.group(plan, group));
        let mut running: FuturesUnordered<_> = waiting.by_ref().take(self.options.jobs.max(1)).collect();
        while let Some((done, failures)) = running.next().await {
            report.done.extend(done);
            report.failures.extend(failures);
            if !self.stopped() {
                running.extend(waiting.next());
            }
        }
        if report.failures.is_empty()
            && self.options.cancellation.is_cancelled()
            && report.done.len() < plan.steps().len()
        {
            report.failures.push(RunError::Interrupted);
        }
    }

    /// Services that depend on each other within this plan: locked together, worked off together.
    async fn group(&self, plan: &Plan, names: BTreeSet<&ServiceName>) -> (Vec<DoneStep>, Vec<RunError>) {
        let placed: Vec<&Placed> = names.iter().filter_map(|name| self.deployment.placed(name)).collect();
        let mut done = Vec::new();
        let mut failures = Vec::new();
        match join_all(placed.iter().map(|p| self.open(p))).await.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(sessions) => {
                let places: Vec<Place<'_>> = placed.into_iter().zip(&sessions).collect();
                if let Err(error) = self.work(plan, &places, &mut done, &mut failures).await {
                    self.stop.store(true, Ordering::SeqCst);
                    failures.push(error);
                }
                join_all(sessions.into_iter().map(Session::close)).await;
            }
            Err(error) => {
                self.stop.store(true, Ordering::SeqCst);
                failures.push(error.into());
            }
        }
        (done, failures)
    }

    async fn open(&self, placed: &Placed) -> Result<Session, ConnectError> {
        let url = &self.deployment.databases()[placed.database];
        Session::open(url, &bookkeeping::application(placed, None), &bookkeeping::search_path(placed)).await
    }

    async fn work(
        &self,
        plan: &Plan,
        places: &[Place<'_>],
        done: &mut Vec<DoneStep>,
        failures: &mut Vec<RunError>,
    ) -> Result<(), RunError> {
        let mut locks = Vec::with_capacity(places.len());
        // Always in the order of their names, so that two runs that need the same locks cannot wait for each other.
        for (placed, session) in places {
            locks.push(self.take_lock(placed, session).await?);
        }
        let plan = self.plan_again(plan, places).await?;
        let workers: BTreeMap<&ServiceName, Worker<'_>> = places
            .iter()
            .zip(&locks)
            .map(|((placed, session), lock)| (placed.name(), self.worker(placed, session, lock)))
            .collect();
        let mut queues: BTreeMap<&ServiceName, VecDeque<&Step>> = BTreeMap::new();
        for step in plan.steps() {
            queues.entry(&step.id.service).or_default().push_back(step);
        }
        let mut finished: BTreeSet<(&MigrationId, &str)> = BTreeSet::new();
        let mut busy: BTreeSet<&ServiceName> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        loop {
            if !self.stopped() {
                for (service, queue) in &mut queues {
                    let ready = |step: &&Step| {
                        step.after.iter().all(|id| finished.contains(&(id, step.direction.as_str())))
                    };
                    if !busy.contains(service) && queue.front().is_some_and(ready) {
                        let step = queue.pop_front().expect("its front was just looked at");
                        busy.insert(*service);
                        let worker = &workers[*service];
                        running.push(async move { (step, Instant::now(), worker.perform(step).await) });
                    }
                }
            }
            let Some((step, begun, result)) = running.next().await else { return Ok(()) };
            busy.remove(&step.id.service);
            match result {
                Ok(how) => {
                    finished.insert((&step.id, step.direction.as_str()));
                    done.push(done_step(step, begun, how));
                }
                Err(error) => {
                    self.stop.store(true, Ordering::SeqCst);
                    failures.push(error.into());
                }
            }
        }
    }

    async fn take_lock(&self, placed: &Placed, session: &Session) -> Result<MigrationLock, RunError> {
        let taken = MigrationLock::take(session, placed, self.options.wait);
        match self.options.cancellation.unless_cancelled(taken).await {
            Some(lock) => Ok(lock?),
            None => Err(RunError::Interrupted),
        }
    }

    /// Reads and plans once more, now that nobody else can change anything, and makes what is missing.
    async fn plan_again(&self, planned: &Plan, places: &[Place<'_>]) -> Result<Plan, RunError> {
        let mut now_there = self.survey.services.clone();
        for (placed, session) in places {
            let unread = |source| {
                let database = self.deployment.databases()[placed.database].to_string();
                RunError::Survey(std::sync::Arc::new(SurveyError::Query { database, source }))
            };
            let facts = Survey::take_on(session, &[placed]).await.map_err(unread)?.swap_remove(0);
            if !facts.installed {
                bookkeeping::install(session, placed, facts.schema_exists)
                    .await
                    .map_err(|source| RunError::Install { service: placed.name().clone(), source })?;
            }
            if let Some(slot) = now_there.iter_mut().find(|slot| slot.service == facts.service) {
                *slot = facts;
            }
        }
        let names: BTreeSet<&ServiceName> = places.iter().map(|(placed, _)| placed.name()).collect();
        let goal = self.goal.within(self.deployment, &names);
        let plan = goal.plan(self.deployment, &history(&now_there), self.survey.now())?;
        let was_planned = |step: &Step| planned.steps().iter().any(|before| before.id == step.id);
        match self.goal {
            // A relative target counts from what stands there now; what nobody was shown is not reverted.
            Goal::Revert { .. } | Goal::Redo { .. } if !plan.steps().iter().all(was_planned) => {
                Err(RunError::Moved)
            }
            _ => Ok(plan),
        }
    }

    async fn all_or_nothing(&self, plan: &Plan, report: &mut Report) {
        let mut names: Vec<&ServiceName> = plan.services();
        names.sort();
        let placed: Vec<&Placed> = names.iter().filter_map(|name| self.deployment.placed(name)).collect();
        let Some(first) = placed.first() else { return };
        match self.open(first).await {
            Ok(session) => {
                match self.in_one_transaction(plan, &placed, &session).await {
                    Ok(done) => report.done = done,
                    Err(error) => report.failures.push(error),
                }
                session.close().await;
            }
            Err(error) => report.failures.push(error.into()),
        }
    }

    async fn in_one_transaction(
        &self,
        plan: &Plan,
        placed: &[&Placed],
        session: &Session,
    ) -> Result<Vec<DoneStep>, RunError> {
        let mut locks = BTreeMap::new();
        for p in placed {
            locks.insert(p.name(), (*p, self.take_lock(p, session).await?));
        }
        let places: Vec<Place<'_>> = placed.iter().map(|p| (*p, session)).collect();
        let plan = self.plan_again(plan, &places).await?;
        atomic_is_possible(self.deployment, &plan)?;
        let failed = |source| RunError::Install { service: placed[0].name().clone(), source };
        let tx = session.db().begin().await.map_err(failed)?;
        let mut done = Vec::new();
        for step in plan.steps() {
            let (p, lock) = &locks[&step.id.service];
            let begun = Instant::now();
            match self.worker(p, session, lock).perform_within(&tx, step).await {
                Ok(how) => done.push(done_step(step, begun, how)),
                Err(error) => {
                    // The server rolls back too if the session is lost, so the first error is the one to tell.
                    drop(tx.rollback().await);
                    return Err(error.into());
                }
            }
        }
        tx.commit().await.map_err(failed)?;
        Ok(done)
    }

    fn worker<'w>(&'w self, placed: &'w Placed, session: &'w Session, lock: &'w MigrationLock) -> Worker<'w> {
        Worker { context: self.context, deployment: self.deployment, placed, session, lock }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || self.options.cancellation.is_cancelled()
    }
}

/// A service and the session that works for it.
type Place<'a> = (&'a Placed, &'a Session);

/// Services of a plan, those together that have an edge between them.
fn groups(plan: &Plan) -> Vec<BTreeSet<&ServiceName>> {
    let mut groups: Vec<BTreeSet<&ServiceName>> = Vec::new();
    for service in plan.services() {
        let mut group = BTreeSet::from([service]);
        for step in plan.steps_of(service) {
            group.extend(step.after.iter().map(|id| &id.service));
        }
        let (touching, mut apart): (Vec<_>, Vec<_>) =
            groups.into_iter().partition(|other| !other.is_disjoint(&group));
        group.extend(touching.into_iter().flatten());
        apart.push(group);
        groups = apart;
    }
    groups
}

fn done_step(step: &Step, begun: Instant, how: Done) -> DoneStep {
    DoneStep {
        id: step.id.clone(),
        direction: step.direction,
        elapsed: begun.elapsed(),
        already: how == Done::Already,
    }
}

fn names(migrations: &[MigrationName]) -> String {
    migrations.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl RunError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Connect(error) => error.hint().to_owned(),
            Self::Survey(error) => match &**error {
                SurveyError::Connect(error) => error.hint().to_owned(),
                SurveyError::Query { .. } => return None,
            },
            Self::Plan(error) => return error.hint(),
            Self::Lock(LockError::Busy { .. }) => "wait longer with `--wait 10m`, or see `locks`".to_owned(),
            Self::Lock(LockError::Query { .. }) | Self::Install { .. } => return None,
            Self::Step(error) => error.hint(),
            Self::Edited { .. } => {
                "an applied migration is never edited: restore it, and put the change into a new one"
                    .to_owned()
            }
            Self::DataLoss { .. } => "make a backup, then say `--allow-data-loss`".to_owned(),
            Self::Rights { .. } => "connect as the owner of the schema, or have the right granted".to_owned(),
            Self::ReadOnly { .. } => "connect to the primary".to_owned(),
            Self::Atomic { .. } => {
                "leave `--atomic` out: each migration is then its own transaction".to_owned()
            }
            Self::Moved => "look at `status` and run it again".to_owned(),
            Self::Interrupted => "run it again to go on".to_owned(),
        })
    }
}
