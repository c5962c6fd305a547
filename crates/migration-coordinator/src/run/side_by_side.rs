//! Working a plan off: services without an edge between them side by side, those with one together.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use migration_kit::{MigrationId, ServiceName};
use migration_plan::{Plan, Step};

use super::RunError;
use super::{DoneStep, Report};
use super::{Place, Run};
use crate::deployment::Placed;
use crate::journal_mark;
use crate::session::Session;
use crate::step::Worker;

/// Services that depend on each other within a plan.
type Group<'a> = BTreeSet<&'a ServiceName>;

impl Run<'_> {
    pub(super) async fn side_by_side(&self, plan: &Plan, report: &mut Report) {
        let groups = groups(plan);
        let jobs = self.options.jobs.max(1);
        let n_at_once = groups.len().min(jobs);
        // So that there are no more sessions than jobs, whether there are many groups or one large one.
        let n_sessions = jobs / n_at_once.max(1);
        let mut waiting = groups.into_iter().map(|group| Box::pin(self.group(plan, group, n_sessions)));
        let mut running: FuturesUnordered<_> = waiting.by_ref().take(n_at_once).collect();
        while let Some((done, failures)) = running.next().await {
            report.done.extend(done);
            report.failures.extend(failures);
            if !self.is_stopped() {
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

    /// Locks the services of a group together and works them off, on at most so many sessions a database.
    async fn group(
        &self,
        plan: &Plan,
        names: Group<'_>,
        n_sessions: usize,
    ) -> (Vec<DoneStep>, Vec<RunError>) {
        let placed: Vec<&Placed> = names.iter().filter_map(|name| self.deployment.placed(name)).collect();
        let (openers, seats) = seats(&placed, n_sessions);
        let mut done = Vec::new();
        let mut failures = Vec::new();
        let opened = join_all(openers.iter().map(|opener| self.open(opener))).await;
        match opened.into_iter().collect::<Result<Vec<_>, _>>() {
            Ok(sessions) => {
                let places: Vec<Place<'_>> =
                    placed.into_iter().zip(seats.iter().map(|seat| &sessions[*seat])).collect();
                if let Err(error) = self.work(plan, &places, &mut done, &mut failures).await {
                    self.stop();
                    failures.push(error);
                }
                join_all(sessions.into_iter().map(Session::close)).await;
            }
            Err(error) => {
                self.stop();
                failures.push(error);
            }
        }
        (done, failures)
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
        for place in places {
            locks.push(self.take_lock(*place).await?);
        }
        let planned = self.plan_again(plan, &locks).await?;
        let plan = &planned.0;
        let workers: BTreeMap<&ServiceName, Worker<'_>> =
            locks.iter().map(|locked| (locked.placed().name(), self.worker(locked, &planned))).collect();
        let mut queues: BTreeMap<&ServiceName, VecDeque<&Step>> = BTreeMap::new();
        for step in plan.steps() {
            queues.entry(&step.id.service).or_default().push_back(step);
        }
        let mut finished: BTreeSet<(&MigrationId, &str)> = BTreeSet::new();
        // Sessions at work, by the process behind them.
        let mut busy: BTreeSet<i32> = BTreeSet::new();
        let mut running = FuturesUnordered::new();
        loop {
            for (service, queue) in &mut queues {
                let worker = &workers[*service];
                let is_ready = |step: &Step| {
                    step.after.iter().all(|id| finished.contains(&(id, step.direction.as_str())))
                };
                if self.is_stopped() || busy.contains(&worker.locked.session().pid()) {
                    continue;
                }
                if let Some(step) = queue.pop_front_if(|step| is_ready(step)) {
                    busy.insert(worker.locked.session().pid());
                    // On the heap: migrations are polled from here, and a thread may have little stack left for them.
                    running.push(async move { (step, Instant::now(), Box::pin(worker.perform(step)).await) });
                }
            }
            let Some((step, begun, result)) = running.next().await else { break };
            busy.remove(&workers[&step.id.service].locked.session().pid());
            match result {
                Ok(how) => {
                    finished.insert((&step.id, step.direction.as_str()));
                    done.push(DoneStep::new(step, begun, how));
                }
                Err(error) => {
                    self.stop();
                    failures.push(error.into());
                }
            }
        }
        if !self.is_stopped() {
            for locked in &locks {
                journal_mark::write(locked.writer(), &locked.placed().site).await;
            }
        }
        Ok(())
    }
}

/// Services of a plan, those together that have an edge between them.
fn groups(plan: &Plan) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
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

/// Which services open a session, and for each service the number of the one it works on: at most so many a database.
fn seats<'p>(placed: &[&'p Placed], n_sessions: usize) -> (Vec<&'p Placed>, Vec<usize>) {
    let mut openers: Vec<&Placed> = Vec::new();
    let mut of_database: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut seats = Vec::with_capacity(placed.len());
    for (index, place) in placed.iter().enumerate() {
        let open = of_database.entry(place.site.database).or_default();
        if open.len() < n_sessions.max(1) {
            open.push(openers.len());
            openers.push(*place);
            seats.push(openers.len() - 1);
        } else {
            seats.push(open[index % open.len()]);
        }
    }
    (openers, seats)
}
