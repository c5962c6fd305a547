//! A migration outside a transaction. Its steps can be repeated, so one that was killed is resumed by running it again.
//!
//! A committed line of the journal says that it was begun before its first step, and one that it has ended well is
//! committed with its row of the version table after the last. Where the first step failed and nothing was done, the
//! beginning is taken back.

use std::time::Instant;

use migration_kit::table_lock::{Waiting, is_given_up};
use migration_kit::{qualified, sqlstate};
use migration_plan::{Direction, Step};
use sea_orm::{DbErr, TransactionTrait};
use sea_orm_migration::SchemaManager;

use super::statement::Stopped;
use super::{Done, Remains, StepError, Worker};
use crate::bookkeeping::{self, Beginning, Outcome, Tried};
use crate::journal_mark;

impl Worker<'_> {
    /// Runs all steps and reports meanwhile who blocks one.
    pub(super) async fn stepwise(&self, step: &Step, begun: Instant) -> Result<Done, StepError> {
        // In a box, since what wraps it holds it twice, and it is the largest there is.
        let in_steps = Box::pin(self.in_steps(step, begun));
        self.cancellable(step, self.watched(step, in_steps)).await
    }

    async fn in_steps(&self, step: &Step, begun: Instant) -> Result<Done, StepError> {
        let failed = |source| StepError::rolled_back(step, source);
        let partial = |source| StepError::partial(step, source);
        let (db, placed) = (self.locked.writer().db(), self.placed());
        bookkeeping::settle(self.locked.writer(), &placed.site, &step.id.name, self.context.policy.patience)
            .await
            .map_err(failed)?;
        if step.direction == Direction::Apply {
            self.guard(db, step, &self.migration(step).details().guards).await?;
        }
        self.consented(db, step).await?;
        // What others left behind is for them to mend; what an earlier try of this migration left is not passed over.
        let invalid_before = if step.begun.is_some() {
            Vec::new()
        } else {
            bookkeeping::invalid_indexes(db, &placed.site).await.map_err(failed)?
        };
        let mut waiting = self.waiting(step);
        let beginning = loop {
            match self.begin(step, begun, &waiting).await {
                Ok(beginning) => break beginning,
                Err(error) => self.before_next_attempt(step, &mut waiting, error).await?,
            }
        };
        if let Err(stopped) = self.call(step, &SchemaManager::new(db)).await {
            let statement = stopped.statement.clone();
            return Err(self.stopped(step, &beginning, stopped).await.at(statement));
        }
        let mut invalid = bookkeeping::invalid_indexes(db, &placed.site).await.map_err(partial)?;
        invalid.retain(|index| !invalid_before.contains(index));
        if !invalid.is_empty() {
            let dropping = invalid
                .iter()
                .map(|index| format!("`DROP INDEX CONCURRENTLY {}`", qualified(&placed.site.schema, index)));
            return Err(partial(DbErr::Custom(format!(
                "invalid indexes were left behind: {}; if the next run leaves them too, run {} before it",
                invalid.join(", "),
                dropping.collect::<Vec<_>>().join(" and ")
            ))));
        }
        let mut waiting = self.waiting(step);
        let is_ours = loop {
            match self.end(step, begun, &waiting).await {
                Ok(is_ours) => break is_ours,
                Err(error) => self
                    .before_next_attempt(step, &mut waiting, error)
                    .await
                    .map_err(StepError::into_partial)?,
            }
        };
        let is_ours = match step.direction {
            Direction::Apply => is_ours,
            Direction::Revert => beginning.row.is_some() || step.begun.is_some(),
        };
        Ok(if is_ours { Done::Here } else { Done::Already })
    }

    /// Commits that it was begun.
    async fn begin(&self, step: &Step, begun: Instant, waiting: &Waiting) -> Result<Beginning, StepError> {
        let failed = |source| StepError::rolled_back(step, source);
        let tx = self.locked.writer().db().begin().await.map_err(failed)?;
        let running = self.entry(step, Outcome::Running, begun.elapsed(), None);
        let begin = async {
            self.lock_bookkeeping(&tx, waiting).await?;
            let site = &self.placed().site;
            let beginning = bookkeeping::begin(&tx, site, &self.context.caller, running).await?;
            // What is half applied is applied again from its start, whoever knows of it; what is half reverted has lost rows by then.
            if step.direction == Direction::Revert && !self.locked.session().is_distributed() {
                bookkeeping::execute(&tx, &journal_mark::statement_of_owner(site)).await?;
            }
            Ok(beginning)
        };
        match begin.await {
            Ok(beginning) => self.commit(tx, step, Outcome::Running).await.map(|()| beginning),
            Err(source) => {
                drop(tx.rollback().await);
                Err(failed(source))
            }
        }
    }

    /// Asks whether the promises hold, and commits that it has ended well; returns whether the version row was ours to write.
    async fn end(&self, step: &Step, begun: Instant, waiting: &Waiting) -> Result<bool, StepError> {
        let failed = |source| StepError::rolled_back(step, source);
        let placed = self.placed();
        let tx = self.locked.writer().db().begin().await.map_err(failed)?;
        let end = async {
            self.lock_bookkeeping(&tx, waiting).await.map_err(failed)?;
            let claim = bookkeeping::claim(&tx, &placed.site, &step.id.name, step.direction, None)
                .await
                .map_err(failed)?;
            if step.direction == Direction::Apply {
                self.verify(&tx, step, Remains::Everything).await?;
            }
            let succeeded = self.entry(step, Outcome::Succeeded, begun.elapsed(), None);
            bookkeeping::finish(&tx, &placed.site, &self.context.caller, succeeded).await.map_err(failed)?;
            Ok(claim.is_ours)
        };
        match end.await {
            Ok(is_ours) => self.commit(tx, step, Outcome::Succeeded).await.map(|()| is_ours),
            Err(error) => {
                drop(tx.rollback().await);
                Err(error)
            }
        }
    }

    /// The error of steps that failed: whether any was done before.
    async fn stopped(
        &self,
        step: &Step,
        beginning: &Beginning,
        Stopped { source, only_asked, .. }: Stopped,
    ) -> StepError {
        let may_be_nothing = step.begun.is_none() && !self.context.cancellation.is_cancelled();
        let tried = if only_asked && is_given_up(&source) {
            Tried::Nothing
        } else if sqlstate(&source).is_some() {
            Tried::Refused
        } else {
            Tried::Unknown
        };
        let (writer, name) = (self.locked.writer(), &step.id.name);
        if may_be_nothing
            && bookkeeping::take_back(writer, &self.placed().site, name, beginning, tried)
                .await
                .unwrap_or(false)
        {
            if is_given_up(&source) {
                StepError::blocked(step, source)
            } else {
                StepError::rolled_back(step, source)
            }
        } else {
            StepError::partial(step, source)
        }
    }
}
