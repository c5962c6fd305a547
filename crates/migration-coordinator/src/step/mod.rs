//! One migration, applied or reverted: the only path on which a migration's `up` or `down` is called.
//!
//! In a transaction: claim the version row, take the table locks that are known beforehand, run, ask what was touched,
//! verify, finish the version row and the journal, commit. Outside of one: a committed `running` line first, then steps
//! that can be repeated. Whatever stops it, the database then says whether the migration is applied, is not, or was begun
//! and not finished.
//! What runs when, and on which session, is decided elsewhere.
//!
//! It is long because it is one path, read from its beginning to its end.

mod call;
mod commit;
mod error;
mod excerpt;
mod statement;
mod steps;
mod watch;

use std::future::Future;
use std::time::{Duration, Instant};

use migration_kit::table_lock::{LockMode, Policy, TableLock, Waiting, is_retryable, of_lock_statement};
use migration_kit::{Check, Listed, MigrationId, Origin, nodes};
use migration_plan::{Direction, Step};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, TransactionTrait};
use sea_orm_migration::SchemaManager;
use tracing::{Instrument, Span};

use crate::bookkeeping::{self, CREATION_RACES, Entry, Outcome};
use crate::caller::Caller;
use crate::cancel::{Cancellation, within};
use crate::check_result::CheckResult;
use crate::deployment::{Deployment, Placed};
use crate::event;
use crate::interrupt::Ended;
use crate::isolation::{self, Outside, Seen};
use crate::lock::LockedSession;
use crate::span;
use crate::verify;

use error::chain;
pub use error::{FailedStatement, Remains, StepError};

/// How long the journal may take for the last line of a run, beside the wait for a lock on it. A run that was stopped waits no
/// longer for that either; another one as long as it is patient.
const LAST_WORD: Duration = Duration::from_secs(5);

/// What all migrations of a run share.
pub(crate) struct RunContext {
    pub(crate) run: String,
    pub(crate) caller: Caller,
    pub(crate) policy: Policy,
    pub(crate) cancellation: Cancellation,
    /// Whether data that a migration declares as lost may be lost.
    pub(crate) allow_data_loss: bool,
}

/// Runs the migrations of one service, one after the other, under its lock.
pub(crate) struct Worker<'a> {
    pub(crate) context: &'a RunContext,
    pub(crate) deployment: &'a Deployment,
    pub(crate) locked: &'a LockedSession<'a>,
    /// Sees its transactions from outside.
    pub(crate) outside: Outside<'a>,
    /// In a first install of the service, the migration that ends it.
    pub(crate) first_install: Option<&'a MigrationId>,
    /// Whether a first install of the service was under way before. Until a revert has succeeded, it still is.
    pub(crate) was_first_install: bool,
    /// Around all that it does.
    pub(crate) span: Span,
}

/// Whether a migration was run, or had been by another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    Here,
    Already,
}

impl Worker<'_> {
    /// Runs to the end unless the run is stopped: then its statement is cancelled.
    async fn cancellable<T>(
        &self,
        step: &Step,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let url = &self.deployment.databases()[self.placed().site.database];
        match self.locked.session().cancellable(url, &self.context.cancellation, work).await {
            Ended::Finished(result) => result,
            Ended::Stopped(Some(Ok(done))) => Ok(done),
            Ended::Stopped(Some(Err(error @ StepError::CommitUnknown { .. }))) => Err(error),
            Ended::Stopped(Some(Err(_)) | None) => Err(StepError::interrupted(step)),
            Ended::Unanswered => Err(StepError::unanswered(step, self.locked.session().pid())),
        }
    }

    /// Applies or reverts one migration, reports it and writes the journal, also if it fails.
    pub(crate) async fn perform(&self, step: &Step) -> Result<Done, StepError> {
        self.spanned(step, async {
            event::migration_started(step);
            let begun = Instant::now();
            let result = if step.transactional {
                self.cancellable(step, Box::pin(self.transactionally(step))).await
            } else {
                self.stepwise(step, begun).await
            };
            match &result {
                Ok(done) => event::migration_finished(step, begun.elapsed(), *done == Done::Already),
                Err(error) => self.failed(step, begun.elapsed(), error).await,
            }
            result
        })
        .await
    }

    /// Does work for a migration in a span of its own.
    async fn spanned(
        &self,
        step: &Step,
        work: impl Future<Output = Result<Done, StepError>>,
    ) -> Result<Done, StepError> {
        let span = span::migration(&self.span, step);
        let result = work.instrument(span.clone()).await;
        span::ended(&span, result.as_ref().map_or_else(StepError::outcome, |_| Outcome::Succeeded));
        result
    }

    /// One step within a transaction that the caller ends, for a run that is all or nothing. The caller reports how it
    /// ended.
    pub(crate) async fn perform_within(
        &self,
        tx: &DatabaseTransaction,
        step: &Step,
        waiting: &Waiting,
    ) -> Result<Done, StepError> {
        self.spanned(step, async {
            event::migration_started(step);
            let begun = Instant::now();
            let seen = isolation::seen(tx).await.map_err(|source| StepError::rolled_back(step, source))?;
            self.cancellable(step, self.body(tx, step, waiting, begun, &seen)).await
        })
        .await
    }

    /// A wait for the step's table locks that has just begun.
    pub(crate) fn waiting(&self, step: &Step) -> Waiting {
        let origin = Origin { service: step.id.service.to_string(), migration: step.id.name.to_string() };
        Waiting::new(self.context.policy, origin)
    }

    /// After an attempt failed and was rolled back: waits where the next one may succeed, or returns the error.
    pub(crate) async fn before_next_attempt(
        &self,
        step: &Step,
        waiting: &mut Waiting,
        error: StepError,
    ) -> Result<(), StepError> {
        if !matches!(&error, StepError::RolledBack { source, .. } if is_retryable(source)) {
            return Err(error);
        }
        let mut connection =
            self.locked.writer().connection().await.map_err(|source| StepError::rolled_back(step, source))?;
        let mut locks = self.bookkeeping_locks();
        if step.transactional {
            locks.extend(self.locks(step));
        }
        let waited = waiting.after_failure(&mut connection, &locks);
        match self.context.cancellation.unless_cancelled(waited).await {
            Some(waited) => waited.map_err(|source| StepError::TableLock {
                id: step.id.clone(),
                direction: step.direction,
                source,
            }),
            None => Err(StepError::interrupted(step)),
        }
    }

    /// Tells that a migration failed, to who listens and to the journal.
    pub(crate) async fn failed(&self, step: &Step, elapsed: Duration, error: &StepError) {
        let message = chain(error);
        event::migration_failed(step, elapsed, error.outcome().as_str(), &message);
        // A late cancellation may hit the journal instead of what it was meant for. If the database no longer listens,
        // the journal's last line says what is true: `running`, or nothing where nothing remains.
        let recording = Box::pin(async {
            for _ in 0..3 {
                match self.record_failure(step, elapsed, error, &message).await {
                    // It waited as long as it may.
                    Err(error) if is_retryable(&error) => break,
                    Err(_) => {}
                    Ok(()) => break,
                }
            }
        });
        if self.locked.session().is_given_up() {
            return;
        }
        within(self.patience_at_the_end() + LAST_WORD, recording).await;
    }

    /// How long the last line of the journal may wait for a lock.
    fn patience_at_the_end(&self) -> Duration {
        let patience = self.context.policy.patience;
        if self.context.cancellation.is_cancelled() { patience.min(LAST_WORD) } else { patience }
    }

    async fn record_failure(
        &self,
        step: &Step,
        elapsed: Duration,
        error: &StepError,
        message: &str,
    ) -> Result<(), DbErr> {
        let (db, placed, caller) = (self.locked.writer().db(), self.placed(), &self.context.caller);
        let was_taken_back = !step.transactional && step.begun.is_none();
        let outcome = match error {
            StepError::RolledBack { .. } if was_taken_back => Outcome::Unchanged,
            _ => error.outcome(),
        };
        let entry = self.entry(step, outcome, elapsed, Some(message.to_owned()));
        // The server ends the wait, so that no statement is left behind that the session's end would have to wait for.
        let tx = db.begin().await?;
        bookkeeping::wait_at_most(&tx, self.patience_at_the_end()).await?;
        if matches!(error, StepError::EndedItsTransaction { .. }) {
            // What the claim stood for until now, a line does from now on.
            bookkeeping::give_up_claim(&tx, &placed.site, &step.id.name).await?;
            let running = self.entry(step, Outcome::Running, elapsed, None);
            bookkeeping::record(&tx, &placed.site, caller, running).await?;
        }
        bookkeeping::record(&tx, &placed.site, caller, entry).await?;
        tx.commit().await
    }

    async fn transactionally(&self, step: &Step) -> Result<Done, StepError> {
        let mut waiting = self.waiting(step);
        let (mut n_races, mut was_undefined) = (0, false);
        loop {
            match self.attempt(step, &waiting).await {
                Ok(done) => return Ok(done),
                Err(error) if error.is_creation_race() && n_races < CREATION_RACES => n_races += 1,
                // Once: mostly it is a mistake in the migration.
                Err(error) if error.is_undefined() && !was_undefined => was_undefined = true,
                Err(error) => self.before_next_attempt(step, &mut waiting, error).await?,
            }
        }
    }

    async fn attempt(&self, step: &Step, waiting: &Waiting) -> Result<Done, StepError> {
        let begun = Instant::now();
        let failed = |source| StepError::rolled_back(step, source);
        let tx = self.locked.writer().db().begin().await.map_err(failed)?;
        match self.body(&tx, step, waiting, begun, &Seen::default()).await {
            Ok(done) => self.commit(tx, step, Outcome::Succeeded).await.map(|()| done),
            Err(error) => {
                // The server rolls back too if the session is lost, so the first error is the one to tell.
                drop(tx.rollback().await);
                Err(self.unless_it_committed(step, error).await)
            }
        }
    }

    /// The error, or that what was done is kept: where a claim outlives its transaction, the migration ended that itself.
    pub(crate) async fn unless_it_committed(&self, step: &Step, error: StepError) -> StepError {
        let claimed =
            bookkeeping::has_claim(self.locked.writer().db(), &self.placed().site, &step.id.name).await;
        match (error, claimed) {
            (StepError::RolledBack { source, .. }, Ok(true)) => {
                StepError::ended_its_transaction(step, source)
            }
            (error @ StepError::EndedItsTransaction { .. }, _) | (error, Ok(false) | Err(_)) => error,
            (error, Ok(true)) => StepError::ended_its_transaction(step, DbErr::Custom(chain(&error))),
        }
    }

    async fn body(
        &self,
        tx: &DatabaseTransaction,
        step: &Step,
        waiting: &Waiting,
        begun: Instant,
        seen: &Seen,
    ) -> Result<Done, StepError> {
        let failed = |source| StepError::rolled_back(step, source);
        let (migration, placed) = (self.migration(step), self.placed());
        let lock_timeout = Some(self.context.policy.stall_budget);
        self.lock_bookkeeping(tx, waiting).await.map_err(failed)?;
        if step.begun.is_some() {
            bookkeeping::give_up_claim(tx, &placed.site, &step.id.name).await.map_err(failed)?;
        }
        let claim = bookkeeping::claim(tx, &placed.site, &step.id.name, step.direction, lock_timeout)
            .await
            .map_err(failed)?;
        // What was begun has no row to be reverted by.
        let is_begun_revert = step.direction == Direction::Revert && step.begun.is_some();
        if !claim.is_ours && !is_begun_revert {
            return Ok(Done::Already);
        }
        if step.direction == Direction::Apply {
            self.guard(tx, step, &migration.details().guards).await?;
        }
        let locks = bookkeeping::present(tx, self.locks(step)).await.map_err(failed)?;
        let is_distributed = self.locked.session().is_distributed();
        if is_distributed {
            for statement in nodes::settle(None) {
                tx.execute_unprepared(&statement).await.map_err(failed)?;
            }
        }
        // Without any, the claim has set all that they would; but not for other nodes.
        if !locks.is_empty() || is_distributed {
            for statement in waiting.lock_statements(&locks) {
                tx.execute_unprepared(&statement).await.map_err(of_lock_statement).map_err(failed)?;
            }
        }
        self.consented(tx, step).await?;
        let called = self.call(step, &SchemaManager::new(tx)).await;
        called.map_err(|stopped| failed(stopped.source).at(stopped.statement))?;
        let touched = isolation::touched(tx, self.deployment, placed, &step.id.name, &self.outside, seen)
            .await
            .map_err(failed)?;
        if touched.begun_at != claim.begun_at {
            let what = "the transaction that it ran in has ended";
            return Err(StepError::ended_its_transaction(step, DbErr::Custom(what.to_owned())));
        }
        if !touched.violations.is_empty() {
            let event_triggers = isolation::event_triggers(tx).await.map_err(failed)?;
            let (id, violations) = (step.id.clone(), touched.violations);
            return Err(StepError::Isolation { id, violations, event_triggers });
        }
        if step.direction == Direction::Apply {
            self.record_tolerated(tx, step).await.map_err(failed)?;
            self.verify(tx, step, Remains::Nothing).await?;
        }
        let entry = self.entry(step, Outcome::Succeeded, begun.elapsed(), None);
        bookkeeping::finish(tx, &placed.site, &self.context.caller, entry).await.map_err(failed)?;
        Ok(Done::Here)
    }

    /// Records what the migration has let pass of a table that it adopted, as if it had been accepted by name: what `up`
    /// found is reported apart from what is changed later.
    async fn record_tolerated(&self, tx: &DatabaseTransaction, step: &Step) -> Result<(), DbErr> {
        for [object, difference] in bookkeeping::tolerated(tx).await? {
            event::check_reported(&step.id.service, step.id.name.as_str(), "accepted as it is", &difference);
            let mut entry = self.entry(step, Outcome::Accepted, Duration::ZERO, Some(difference));
            entry.consent = Some(object);
            bookkeeping::record(tx, &self.placed().site, &self.context.caller, entry).await?;
        }
        Ok(())
    }

    /// In a first install nobody was asked whether data may be lost, because there was none: refuses where some was
    /// written meanwhile.
    async fn consented<C: ConnectionTrait>(&self, connection: &C, step: &Step) -> Result<(), StepError> {
        let loses = self.migration(step).details().loses.clone();
        let (Some(what), true, false) = (loses, self.first_install.is_some(), self.context.allow_data_loss)
        else {
            return Ok(());
        };
        let table = bookkeeping::table_with_rows(connection, &self.placed().site)
            .await
            .map_err(|source| StepError::rolled_back(step, source))?;
        match table {
            Some(table) => Err(StepError::DataLoss { id: step.id.clone(), what, table }),
            None => Ok(()),
        }
    }

    async fn guard<C: ConnectionTrait>(
        &self,
        connection: &C,
        step: &Step,
        guards: &[Check],
    ) -> Result<(), StepError> {
        let results = verify::ask(connection, &self.placed().site, &step.id.name, guards)
            .await
            .map_err(|source| StepError::rolled_back(step, source))?;
        report(step, &results);
        let failed: Vec<CheckResult> = results.into_iter().filter(|result| !result.holds).collect();
        if failed.is_empty() { Ok(()) } else { Err(StepError::Guard { id: step.id.clone(), failed }) }
    }

    async fn verify<C: ConnectionTrait>(
        &self,
        tx: &C,
        step: &Step,
        remains: Remains,
    ) -> Result<(), StepError> {
        let checks = &self.migration(step).details().checks;
        let results = verify::ask(tx, &self.placed().site, &step.id.name, checks).await.map_err(
            |source| match remains {
                Remains::Nothing => StepError::rolled_back(step, source),
                Remains::Everything => StepError::partial(step, source),
            },
        )?;
        report(step, &results);
        let failed: Vec<CheckResult> = results.into_iter().filter(|result| !result.holds).collect();
        if failed.is_empty() {
            Ok(())
        } else {
            Err(StepError::Verify { id: step.id.clone(), failed, remains })
        }
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
            checksum: self.placed().lock_file.checksum(&step.id.name),
            error,
            first_install: match self.first_install {
                Some(last) => outcome != Outcome::Succeeded || step.id != *last,
                None => self.was_first_install && outcome != Outcome::Succeeded,
            },
            consent: self.consent(step),
        }
    }

    /// What the caller agreed to in this step.
    fn consent(&self, step: &Step) -> Option<String> {
        let details = self.migration(step).details();
        let loses = match step.direction {
            Direction::Apply => details.loses.is_some(),
            Direction::Revert => details.loses_on_revert.is_some(),
        };
        let agreed = [
            (loses && self.context.allow_data_loss, "data_loss"),
            (step.ignored_soak.is_some(), "ignored_soak"),
        ];
        let agreed: Vec<&str> = agreed.iter().filter(|(given, _)| *given).map(|(_, what)| *what).collect();
        if agreed.is_empty() { None } else { Some(agreed.join(" ")) }
    }

    fn locks(&self, step: &Step) -> Vec<TableLock> {
        let recorded = self.placed().lock_file.locks(&step.id.name, step.direction);
        recorded
            .iter()
            .map(|lock| TableLock::new(&self.placed().site.schema, &lock.relation, lock.mode))
            .collect()
    }

    /// Locks the tables of the bookkeeping that are written next, or fails at once, so that a wait for them is patient, and
    /// reported, as for any other table.
    async fn lock_bookkeeping<C: ConnectionTrait>(&self, tx: &C, waiting: &Waiting) -> Result<(), DbErr> {
        let statements: Vec<String> = waiting.lock_statements(&self.bookkeeping_locks()).collect();
        // In one message: nothing of an application waits for these tables. Citus would send all of it to each node.
        let messages =
            if self.locked.session().is_distributed() { statements } else { vec![statements.join("; ")] };
        for message in messages {
            tx.execute_unprepared(&message).await.map_err(of_lock_statement)?;
        }
        Ok(())
    }

    fn bookkeeping_locks(&self) -> Vec<TableLock> {
        let tables = [self.placed().service.version_table(), &self.placed().site.journal_name()];
        tables.map(|table| TableLock::new(&self.placed().site.schema, table, LockMode::RowExclusive)).to_vec()
    }

    /// The service whose lock is held.
    fn placed(&self) -> &Placed {
        self.locked.placed()
    }

    fn migration(&self, step: &Step) -> &Listed {
        self.placed()
            .service
            .migration(&step.id.name)
            .expect("the plan was made from this service's migrations")
    }
}

/// Tells the figures among what was asked.
fn report(step: &Step, results: &[CheckResult]) {
    for figure in results.iter().filter(|result| result.report) {
        event::check_reported(&step.id.service, &figure.migration, &figure.says, &figure.found);
    }
}
