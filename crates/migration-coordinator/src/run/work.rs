//! Working a plan off: under the locks of its services, those without an edge between them side by side.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use migration_kit::{MigrationId, ServiceName};
use migration_plan::{Plan, Step};
use sea_orm::TransactionTrait;

use super::preflight::atomic_is_possible;
use super::{DoneStep, Goal, Report, RunError, RunOptions};
use crate::bookkeeping;
use crate::deployment::{Deployment, Placed};
use crate::lock::MigrationLock;
use crate::session::{ConnectError, Session};
use crate::step::{Done, RunContext, Worker};
use crate::survey::{Survey, SurveyError, history};

/// What the parts of a run share.
pub(super) struct Run<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) goal: &'a Goal,
    pub(super) options: &'a RunOptions,
    pub(super) context: &'a RunContext,
    pub(super) survey: &'a Survey,
    /// Set at the first failure: what runs is finished, nothing new begins.
    pub(super) stop: AtomicBool,
}

impl Run<'_> {
    pub(super) async fn side_by_side(&self, plan: &Plan, report: &mut Report) {
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

    pub(super) async fn all_or_nothing(&self, plan: &Plan, report: &mut Report) {
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
