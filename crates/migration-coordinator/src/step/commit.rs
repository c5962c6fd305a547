//! Committing. Where the connection is lost before the answer arrives, the database is asked from a new session whether
//! the commit was done: what was committed is done, and it is not reported that nothing was changed.

use std::time::{Duration, Instant};

use futures_timer::Delay;
use migration_kit::{BOOKKEEPING, literal};
use migration_plan::Step;
use sea_orm::sqlx::{self, Row};
use sea_orm::{DatabaseTransaction, DbErr, RuntimeErr};

use super::StepError;
use super::Worker;
use crate::bookkeeping::Outcome;
use crate::cancel::within;
use crate::reading::Reading;
use crate::session;

/// How long to look. A server process that lost its client ends within a second; a server that was restarted recovers.
const LOOK: Duration = Duration::from_secs(20);

/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Worker<'_> {
    /// Commits a transaction that has written a journal line with this outcome.
    pub(crate) async fn commit(
        &self,
        tx: DatabaseTransaction,
        step: &Step,
        outcome: Outcome,
    ) -> Result<(), StepError> {
        match tx.commit().await {
            Ok(()) => Ok(()),
            // In a box, since it is hardly ever needed.
            Err(source) => Box::pin(self.unless_committed(step, outcome, source)).await,
        }
    }

    /// After an error of a transaction that may have been committed: whether its journal line with this outcome is there.
    async fn unless_committed(&self, step: &Step, outcome: Outcome, source: DbErr) -> Result<(), StepError> {
        if !session::is_lost(&source) {
            return Err(StepError::rolled_back(step, source));
        }
        let begun = Instant::now();
        while let Some(rest) = LOOK.checked_sub(begun.elapsed()) {
            let look = within(rest, self.is_committed(step, outcome));
            match self.context.cancellation.unless_cancelled(look).await {
                Some(Some(Ok(Some(true)))) => return Ok(()),
                Some(Some(Ok(Some(false)))) => return Err(StepError::rolled_back(step, source)),
                Some(_) => Delay::new(LOOK_EVERY).await,
                None => break,
            }
        }
        Err(StepError::commit_unknown(step, source))
    }

    /// Whether a journal line of this run is there; `None` while the lost session still lives and may commit it.
    async fn is_committed(&self, step: &Step, outcome: Outcome) -> Result<Option<bool>, DbErr> {
        let url = &self.deployment.databases()[self.placed().site.database];
        let failed = |source| DbErr::Query(RuntimeErr::SqlxError(std::sync::Arc::new(source)));
        let mut reading = Reading::open(url).await.map_err(|error| DbErr::Custom(error.to_string()))?;
        let lives = format!(
            "{BOOKKEEPING}SELECT EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE pid = {})",
            self.locked.session().pid()
        );
        let written = format!(
            "{BOOKKEEPING}SELECT EXISTS (SELECT FROM {} WHERE run = {} AND migration = {} AND direction = {} \
             AND outcome = {})",
            self.placed().site.journal(),
            literal(&self.context.run),
            literal(step.id.name.as_str()),
            literal(step.direction.as_str()),
            literal(outcome.as_str()),
        );
        // Two transactions, in this order: what was committed before the session ended is seen by the later one.
        let lives = ask(&mut reading, &lives).await.map_err(failed)?;
        let written = ask(&mut reading, &written).await.map_err(failed)?;
        reading.close().await;
        Ok(if written || !lives { Some(written) } else { None })
    }
}

async fn ask(reading: &mut Reading<'_>, sql: &str) -> Result<bool, sqlx::Error> {
    reading.begin().await?;
    let rows = reading.rows(sql).await?;
    reading.end().await;
    rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}
