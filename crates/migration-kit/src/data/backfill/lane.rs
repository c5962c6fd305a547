//! One part of a backfill: batch after batch over one connection, from its cursor to its end.
//!
//! It decides when a batch is tried again and how big the next one is. It does not know of other parts, except through
//! what they share.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Postgres, Transaction};

use super::cursor::{Cursor, Cursors};
use super::pace::Pace;
use super::walk::{Position, Stretch, Walk};
use super::{LIMITS, Step};
use crate::Online;
use crate::data::patience::{Patience, is_contention};
use crate::data::progress::Progress;
use crate::data::space;
use crate::data::table::Table;
use crate::event;
use crate::session::{self, db_err};
use crate::table_lock::{self, LockMode, TableLock};

/// What all parts of a backfill share.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) online: &'a Online,
    pub(super) table: &'a Table,
    pub(super) walk: &'a Walk,
    pub(super) cursors: &'a Cursors,
    pub(super) steps: &'a [Step],
    pub(super) pause: Duration,
    /// After how many changed rows the table is vacuumed, if it is.
    pub(super) vacuum_every: Option<u64>,
    pub(super) changed_since_vacuum: Mutex<u64>,
    pub(super) progress: Mutex<Progress>,
    /// Set when a part has failed: the others end their batch and stop, so that no connection is left in a transaction.
    pub(super) has_failed: AtomicBool,
}

/// One part.
#[derive(Debug)]
pub(super) struct Lane<'a> {
    shared: &'a Shared<'a>,
    connection: &'a mut PgConnection,
    cursor: Cursor,
    pace: Pace,
    /// The rows of the next batches, as far as they were looked for.
    ahead: VecDeque<Stretch>,
}

impl<'a> Lane<'a> {
    /// The part that this cursor tells of.
    pub(super) fn new(
        shared: &'a Shared<'a>,
        connection: &'a mut PgConnection,
        cursor: Cursor,
        batch_rows: u64,
        target: Duration,
    ) -> Self {
        Self { shared, connection, cursor, pace: Pace::new(batch_rows, target), ahead: VecDeque::new() }
    }

    /// Fills the part to its end, or until another part has failed; its cursor as it then stands.
    pub(super) async fn fill(self) -> Result<Cursor, DbErr> {
        let has_failed = &self.shared.has_failed;
        self.fill_to_end().await.inspect_err(|_| has_failed.store(true, Ordering::SeqCst))
    }

    async fn fill_to_end(mut self) -> Result<Cursor, DbErr> {
        while !self.shared.has_failed.load(Ordering::SeqCst) {
            let started = Instant::now();
            let Some(done) = self.batch_until_it_succeeds().await? else {
                if self.extend().await? {
                    continue;
                }
                break;
            };
            let n_rows = done.counted.rows - self.cursor.counted.rows;
            let n_changed = done.counted.changed - self.cursor.counted.changed;
            self.cursor = done;
            self.pace.learn(n_rows, started.elapsed());
            lock(&self.shared.progress).add(n_rows);
            self.vacuum(n_changed).await?;
            if !self.shared.pause.is_zero() {
                Delay::new(self.shared.pause).await;
            }
        }
        Ok(self.cursor)
    }

    /// One batch, tried again with fewer rows as long as it only meets the application.
    async fn batch_until_it_succeeds(&mut self) -> Result<Option<Cursor>, DbErr> {
        let mut patience = Patience::new();
        loop {
            match self.batch().await {
                Err(error) if is_contention(&error) => {
                    self.ahead.clear();
                    self.pace.back_off();
                    patience.wait(self.shared.online.origin(), &self.shared.table.name, error).await?;
                }
                done => return done,
            }
        }
    }

    /// One batch in one transaction: the cursor behind it, or `None` if there are no more rows.
    async fn batch(&mut self) -> Result<Option<Cursor>, DbErr> {
        let Shared { table, walk, .. } = *self.shared;
        let place = &self.cursor.place;
        let mut tx = session::begin(self.connection, LIMITS).await?;
        if self.ahead.is_empty() {
            let (after, until) = (place.after.as_ref(), place.until.as_ref());
            self.ahead = walk.next(&mut tx, table, after, until, self.pace.rows()).await?;
        }
        let Some(stretch) = self.ahead.pop_front() else { return Ok(None) };
        let next = run_batch(self.shared, tx, &self.cursor, stretch).await?;
        Ok(Some(next))
    }

    /// Goes on, once, to the blocks that were added behind the end; whether there are any. Once is enough: what is
    /// behind these was written later still, by this backfill or under the migration's trigger.
    async fn extend(&mut self) -> Result<bool, DbErr> {
        if !self.cursor.place.is_extensible {
            return Ok(false);
        }
        let mut next = self.cursor.clone();
        next.place.is_extensible = false;
        let end = Position::Block(self.shared.table.n_blocks(self.connection).await?);
        let has_more = next.place.until.as_ref() != Some(&end);
        next.place.until = Some(end);
        self.shared.cursors.advance(self.connection, &self.cursor, &next).await?;
        self.cursor = next;
        Ok(has_more)
    }

    /// Vacuums the table if enough rows were changed since the last time, by any part. Where somebody is at work on it
    /// that a vacuum would be skipped for, mostly another vacuum, it is tried again after the next batch.
    async fn vacuum(&mut self, n_changed: u64) -> Result<(), DbErr> {
        let Shared { online, table, vacuum_every, changed_since_vacuum, .. } = self.shared;
        let Some(every) = *vacuum_every else { return Ok(()) };
        let since = {
            let mut since = lock(changed_since_vacuum);
            *since += n_changed;
            *since
        };
        if since < every {
            return Ok(());
        }
        let wanted = TableLock::new(online.schema(), &table.name, LockMode::ShareUpdateExclusive);
        if table_lock::holders(self.connection, &[wanted]).await?.is_empty() {
            space::vacuum_rows(self.connection, table).await?;
            *lock(changed_since_vacuum) = 0;
        }
        Ok(())
    }
}

/// Runs the statements over a stretch, moves the cursor behind it, and commits both.
pub(super) async fn run_batch(
    shared: &Shared<'_>,
    mut tx: Transaction<'_, Postgres>,
    cursor: &Cursor,
    stretch: Stretch,
) -> Result<Cursor, DbErr> {
    let Stretch { end, condition, n_rows } = stretch;
    let mut next = cursor.clone();
    next.place.after = Some(end);
    next.counted.rows += n_rows;
    next.counted.batches += 1;
    for step in shared.steps {
        let n_rows = session::execute(&mut tx, step.over(&condition)).await.inspect_err(|error| {
            if !is_contention(error) {
                let what = format!("`{}`: the batch failed where {condition}", shared.table.name);
                event::warning(shared.online.origin(), &what);
            }
        })?;
        match step {
            Step::Change(_) => next.counted.changed += n_rows,
            Step::Reject(_) => next.counted.rejected += n_rows,
        }
    }
    shared.cursors.advance(&mut tx, cursor, &next).await?;
    tx.commit().await.map_err(db_err)?;
    Ok(next)
}

/// A count stays right when a panic elsewhere poisoned its lock.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
