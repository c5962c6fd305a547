//! One migration, applied or reverted: the only path on which a migration's `up` or `down` is called.
//!
//! In a transaction: claim the version row, take the table locks that are known beforehand, run, ask what was touched,
//! verify, write the journal, commit. Outside of one: a committed `running` line first, then steps that can be repeated.
//! What runs when, and on which session, is decided elsewhere.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use migration_kit::table_lock::{Policy, TableLock, Waiting, is_retryable};
use migration_kit::{Check, Origin, ServiceMigration};
use migration_plan::{Direction, Step};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, TransactionTrait};
use sea_orm_migration::SchemaManager;

use crate::Caller;
use crate::bookkeeping::{self, Entry, Outcome};
use crate::cancel::Cancellation;
use crate::deployment::{Deployment, Placed};
use crate::event;
use crate::isolation::{self, Violation};
use crate::lock::MigrationLock;
use crate::session::{self, Session};
use crate::step_error::StepError;
use crate::verify::{self, CheckResult};

/// How long a cancelled migration may take to give up before its session is ended.
const GRACE: Duration = Duration::from_secs(3);

/// How often a cancelled migration's statement is cancelled again: it may be between two statements.
const CANCEL_EVERY: Duration = Duration::from_millis(50);

/// What all migrations of a run share.
pub(crate) struct RunContext {
    pub(crate) run: String,
    pub(crate) caller: Caller,
    pub(crate) policy: Policy,
    pub(crate) cancellation: Cancellation,
}

/// Runs the migrations of one service, one after the other, under its lock.
pub(crate) struct Worker<'a> {
    pub(crate) context: &'a RunContext,
    pub(crate) deployment: &'a Deployment,
    pub(crate) placed: &'a Placed,
    pub(crate) session: &'a Session,
    pub(crate) lock: &'a MigrationLock,
}

/// Whether a migration was run, or had been by another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Here,
    Already,
}

impl Worker<'_> {
    /// Applies or reverts one migration, tells of it and writes the journal, also if it fails.
    pub(crate) async fn perform(&self, step: &Step) -> Result<Done, StepError> {
        debug_assert_eq!(self.lock.service(), &step.id.service, "the lock must be the service's own");
        event::migration_started(step);
        let begun = Instant::now();
        let result = if step.transactional {
            self.transactionally(step).await
        } else {
            self.stepwise(step, begun).await
        };
        match &result {
            Ok(done) => event::migration_finished(step, begun.elapsed(), *done == Done::Already),
            Err(error) => self.failed(step, begun.elapsed(), error).await,
        }
        result
    }

    /// All steps in one transaction that the caller commits, for a run that is all or nothing.
    pub(crate) async fn perform_within(
        &self,
        tx: &DatabaseTransaction,
        step: &Step,
    ) -> Result<Done, StepError> {
        event::migration_started(step);
        let begun = Instant::now();
        let waiting = Waiting::new(self.context.policy, self.origin(step));
        let touched_before = isolation::violations(tx, self.deployment, self.placed, &step.id.name)
            .await
            .map_err(|source| rolled_back(step, source))?;
        let result = self.cancellable(step, self.body(tx, step, &waiting, begun, &touched_before)).await;
        match &result {
            Ok(done) => event::migration_finished(step, begun.elapsed(), *done == Done::Already),
            Err(error) => {
                event::migration_failed(step, begun.elapsed(), outcome(error).as_str(), &chain(error));
            }
        }
        result
    }

    async fn transactionally(&self, step: &Step) -> Result<Done, StepError> {
        let locks = self.locks(step);
        let mut waiting = Waiting::new(self.context.policy, self.origin(step));
        let attempts = async {
            loop {
                match self.attempt(step, &waiting).await {
                    Err(StepError::RolledBack { source, .. })
                        if is_retryable(&source) && !self.context.cancellation.is_cancelled() =>
                    {
                        let mut connection =
                            self.session.connection().await.map_err(|e| rolled_back(step, e))?;
                        waiting.after_failure(&mut connection, &locks).await.map_err(|source| {
                            StepError::TableLock { id: step.id.clone(), direction: step.direction, source }
                        })?;
                    }
                    result => return result,
                }
            }
        };
        self.cancellable(step, attempts).await
    }

    async fn attempt(&self, step: &Step, waiting: &Waiting) -> Result<Done, StepError> {
        let begun = Instant::now();
        let tx = self.session.db().begin().await.map_err(|source| rolled_back(step, source))?;
        match self.body(&tx, step, waiting, begun, &[]).await {
            Ok(done) => {
                tx.commit().await.map_err(|source| rolled_back(step, source))?;
                Ok(done)
            }
            Err(error) => {
                // The server rolls back too if the session is lost, so the first error is the one to tell.
                drop(tx.rollback().await);
                Err(error)
            }
        }
    }

    async fn body(
        &self,
        tx: &DatabaseTransaction,
        step: &Step,
        waiting: &Waiting,
        begun: Instant,
        touched_before: &[Violation],
    ) -> Result<Done, StepError> {
        let failed = |source| rolled_back(step, source);
        let (migration, placed) = (self.migration(step), self.placed);
        if !bookkeeping::claim(tx, placed, &step.id.name, step.direction).await.map_err(failed)? {
            return Ok(Done::Already);
        }
        if step.direction == Direction::Apply {
            self.guard(tx, step, &migration.details().guards).await?;
        }
        for statement in waiting.lock_statements(&self.locks(step)) {
            tx.execute_unprepared(&statement).await.map_err(failed)?;
        }
        self.call(step, &SchemaManager::new(tx)).await.map_err(failed)?;
        let mut violations =
            isolation::violations(tx, self.deployment, placed, &step.id.name).await.map_err(failed)?;
        violations.retain(|violation| !touched_before.contains(violation));
        if !violations.is_empty() {
            return Err(StepError::Isolation { id: step.id.clone(), violations });
        }
        if step.direction == Direction::Apply {
            self.verify(tx, step, true).await?;
        }
        let entry = self.entry(step, Outcome::Succeeded, begun.elapsed(), None);
        bookkeeping::record(tx, placed, &self.context.caller, entry).await.map_err(failed)?;
        Ok(Done::Here)
    }

    /// A migration outside a transaction. Its steps can be repeated, so a killed run is resumed by running it again.
    async fn stepwise(&self, step: &Step, begun: Instant) -> Result<Done, StepError> {
        let partial = |source| StepError::Partial { id: step.id.clone(), direction: step.direction, source };
        let (db, placed, caller) = (self.session.db(), self.placed, &self.context.caller);
        bookkeeping::settle(self.session, placed, &step.id.name, self.context.policy.patience)
            .await
            .map_err(partial)?;
        if step.direction == Direction::Apply {
            self.guard(db, step, &self.migration(step).details().guards).await?;
        }
        let running = self.entry(step, Outcome::Running, begun.elapsed(), None);
        bookkeeping::record(db, placed, caller, running).await.map_err(partial)?;
        // What others left behind is for them to mend; it does not stop this migration.
        let invalid_before = bookkeeping::invalid_indexes(db, placed).await.map_err(partial)?;
        let work = async { self.call(step, &SchemaManager::new(db)).await.map_err(partial) };
        self.cancellable(step, work).await?;
        let mut invalid = bookkeeping::invalid_indexes(db, placed).await.map_err(partial)?;
        invalid.retain(|index| !invalid_before.contains(index));
        if !invalid.is_empty() {
            return Err(partial(DbErr::Custom(format!(
                "invalid indexes were left behind: {}",
                invalid.join(", ")
            ))));
        }
        let tx = db.begin().await.map_err(partial)?;
        let claimed =
            bookkeeping::claim(&tx, placed, &step.id.name, step.direction).await.map_err(partial)?;
        if step.direction == Direction::Apply {
            self.verify(&tx, step, false).await?;
        }
        let succeeded = self.entry(step, Outcome::Succeeded, begun.elapsed(), None);
        bookkeeping::record(&tx, placed, caller, succeeded).await.map_err(partial)?;
        tx.commit().await.map_err(partial)?;
        Ok(if claimed { Done::Here } else { Done::Already })
    }

    async fn call(&self, step: &Step, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        match step.direction {
            Direction::Apply => self.migration(step).up(manager).await,
            Direction::Revert => self.migration(step).down(manager).await,
        }
    }

    async fn guard<C: ConnectionTrait>(
        &self,
        connection: &C,
        step: &Step,
        guards: &[Check],
    ) -> Result<(), StepError> {
        let results = verify::ask(connection, &step.id.name, guards)
            .await
            .map_err(|source| rolled_back(step, source))?;
        let failed: Vec<CheckResult> = results.into_iter().filter(|result| !result.holds).collect();
        if failed.is_empty() { Ok(()) } else { Err(StepError::Guard { id: step.id.clone(), failed }) }
    }

    async fn verify<C: ConnectionTrait>(
        &self,
        tx: &C,
        step: &Step,
        rolled_back: bool,
    ) -> Result<(), StepError> {
        let checks = self.migration(step).details().checks;
        let results = verify::ask(tx, &step.id.name, &checks).await.map_err(|source| {
            if rolled_back {
                self::rolled_back(step, source)
            } else {
                StepError::Partial { id: step.id.clone(), direction: step.direction, source }
            }
        })?;
        for report in results.iter().filter(|result| result.report) {
            event::check_reported(&step.id.service, &report.migration, &report.says, &report.found);
        }
        let failed: Vec<CheckResult> = results.into_iter().filter(|result| !result.holds).collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(StepError::Verify { id: step.id.clone(), failed, rolled_back })
        }
    }

    /// Runs to the end unless the run is stopped: then the statement is cancelled, so that the migration ends with an
    /// error of its own; if it does not, its session is ended.
    async fn cancellable<T>(
        &self,
        step: &Step,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let interrupted = || StepError::Interrupted { id: step.id.clone(), direction: step.direction };
        let mut work = pin!(work);
        if let Either::Left((result, _)) =
            select(&mut work, pin!(self.context.cancellation.cancelled())).await
        {
            return result;
        }
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            self.signal("pg_cancel_backend").await;
            if let Either::Left((result, _)) = select(&mut work, Delay::new(CANCEL_EVERY)).await {
                return result.map_err(|_| interrupted());
            }
        }
        self.signal("pg_terminate_backend").await;
        Err(interrupted())
    }

    /// Sends a signal to the session's server process from beside it. If that cannot be done, the grace time runs out
    /// and the session is dropped, which the server notices by itself.
    async fn signal(&self, function: &str) {
        let url = &self.deployment.databases()[self.placed.database];
        if let Ok(mut beside) = session::connect_to_read(url).await {
            let sql = format!("/* migrate */ SELECT pg_catalog.{function}({})", self.session.pid());
            drop(session::rows(&mut beside, &sql).await);
        }
    }

    async fn failed(&self, step: &Step, elapsed: Duration, error: &StepError) {
        let message = chain(error);
        event::migration_failed(step, elapsed, outcome(error).as_str(), &message);
        let entry = self.entry(step, outcome(error), elapsed, Some(message));
        // The journal is told if the database still listens; if not, its last line says `running`, which is true.
        drop(bookkeeping::record(self.session.db(), self.placed, &self.context.caller, entry).await);
    }

    fn entry<'s>(
        &'s self,
        step: &'s Step,
        outcome: Outcome,
        elapsed: Duration,
        error: Option<String>,
    ) -> Entry<'s> {
        Entry {
            run: &self.context.run,
            migration: &step.id.name,
            direction: step.direction,
            outcome,
            elapsed,
            checksum: self.placed.lock_file.checksum(&step.id.name),
            error,
        }
    }

    fn locks(&self, step: &Step) -> Vec<TableLock> {
        let recorded = self.placed.lock_file.locks(&step.id.name, step.direction);
        recorded.iter().map(|lock| TableLock::new(&self.placed.schema, &lock.relation, lock.mode)).collect()
    }

    fn origin(&self, step: &Step) -> Origin {
        Origin { service: step.id.service.to_string(), migration: step.id.name.to_string() }
    }

    fn migration(&self, step: &Step) -> &dyn ServiceMigration {
        self.placed
            .service
            .migration(&step.id.name)
            .expect("the plan was made from this service's migrations")
    }
}

fn outcome(error: &StepError) -> Outcome {
    if matches!(error, StepError::Interrupted { .. }) { Outcome::Interrupted } else { Outcome::Failed }
}

fn rolled_back(step: &Step, source: DbErr) -> StepError {
    StepError::RolledBack { id: step.id.clone(), direction: step.direction, source }
}

/// An error with its causes, each once, on one line.
fn chain(error: &dyn std::error::Error) -> String {
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
