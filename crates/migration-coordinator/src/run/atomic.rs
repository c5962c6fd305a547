//! All or nothing: the whole plan in one transaction, on one session that holds every lock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use migration_kit::ServiceName;
use migration_kit::table_lock::Waiting;
use migration_plan::{Plan, Step};
use sea_orm::TransactionTrait;

use super::Run;
use super::RunError;
use super::preflight;
use super::{DoneStep, Report};
use crate::bookkeeping::Outcome;
use crate::deployment::Placed;
use crate::event;
use crate::journal_mark;
use crate::lock::LockedSession;
use crate::owner;
use crate::session::{Session, Writer};
use crate::step::StepError;
use crate::step::Worker;

impl Run<'_> {
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
            Err(error) => report.failures.push(error),
        }
    }

    async fn in_one_transaction(
        &self,
        plan: &Plan,
        placed: &[&Placed],
        session: &Session,
    ) -> Result<Vec<DoneStep>, RunError> {
        let mut owners = BTreeSet::new();
        for placed in placed {
            let owner = owner::of(session, &placed.site).await;
            owners.insert(owner.map_err(|source| self.unread(placed, source))?);
        }
        if owners.len() > 1 {
            let why = "the services have owner roles of their own, and a transaction has one".to_owned();
            return Err(RunError::Atomic { why });
        }
        let mut locks = Vec::with_capacity(placed.len());
        for placed in placed {
            locks.push(self.take_lock((*placed, session)).await?);
        }
        let planned = self.plan_again(plan, &locks).await?;
        let plan = &planned.0;
        preflight::atomic(self.deployment, plan)?;
        let workers: Workers<'_> =
            locks.iter().map(|locked| (locked.placed().name(), self.worker(locked, &planned))).collect();
        let mut waits: Waits<'_> =
            plan.steps().iter().map(|step| (step, workers[&step.id.service].waiting(step))).collect();
        let Some(writer) = locks.first().map(LockedSession::writer) else { return Ok(Vec::new()) };
        loop {
            match attempt(&workers, &waits, writer).await {
                Ok(done) => {
                    for locked in &locks {
                        journal_mark::write(locked.writer(), &locked.placed().site).await;
                    }
                    return Ok(done);
                }
                Err(Failure { number, begun, error }) => {
                    let (step, waiting) = &mut waits[number];
                    let worker = &workers[&step.id.service];
                    if let Err(error) = worker.before_next_attempt(step, waiting, error).await {
                        worker.failed(step, begun.elapsed(), &error).await;
                        return Err(error.into());
                    }
                }
            }
        }
    }
}

/// Who works for which service.
type Workers<'a> = BTreeMap<&'a ServiceName, Worker<'a>>;

/// The steps in their order, each with its wait for table locks, which outlasts an attempt.
type Waits<'a> = Vec<(&'a Step, Waiting)>;

/// What undid everything.
struct Failure {
    /// Number of the step.
    number: usize,
    begun: Instant,
    error: StepError,
}

/// All steps and the commit, or nothing.
async fn attempt(
    workers: &Workers<'_>,
    waits: &Waits<'_>,
    writer: Writer<'_>,
) -> Result<Vec<DoneStep>, Failure> {
    let Some((first, _)) = waits.first() else { return Ok(Vec::new()) };
    let started = Instant::now();
    let tx = writer.db().begin().await.map_err(|source| Failure {
        number: 0,
        begun: started,
        error: StepError::rolled_back(first, source),
    })?;
    let mut done: Vec<(&Step, DoneStep)> = Vec::with_capacity(waits.len());
    for (number, (step, waiting)) in waits.iter().enumerate() {
        let begun = Instant::now();
        match workers[&step.id.service].perform_within(&tx, step, waiting).await {
            Ok(how) => done.push((step, DoneStep::new(step, begun, how))),
            Err(error) => {
                // The server rolls back too if the session is lost, so the first error is the one to tell.
                drop(tx.rollback().await);
                let error = workers[&step.id.service].unless_it_committed(step, error).await;
                return Err(Failure { number, begun, error });
            }
        }
    }
    // A constraint that is checked last can fail here; whose it is, is not known.
    let number = waits.len() - 1;
    let last = waits[number].0;
    let committed = workers[&last.id.service].commit(tx, last, Outcome::Succeeded).await;
    committed.map_err(|error| Failure { number, begun: started, error })?;
    let reported = |(step, done): (&Step, DoneStep)| {
        event::migration_finished(step, done.elapsed, done.already);
        done
    };
    Ok(done.into_iter().map(reported).collect())
}
