//! A backfill at work: batch after batch over one connection, from its cursor to its end.
//!
//! It decides when a batch is tried again and how big the next one is.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use migration_plan::counted;
use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;
use tracing::Instrument;

use super::cursor::{Cursor, Cursors};
use super::pace::Pace;
use super::walk::{Position, Stretch, Walk, is_one_of, key_as_text};
use super::{LIMITS, Step};
use crate::Online;
use crate::data::oversized;
use crate::data::patience::{BATCH_LIMITS, Patience, is_contention};
use crate::data::progress::Progress;
use crate::data::space;
use crate::event;
use crate::session::{self, BOOKKEEPING, db_err};
use crate::table::{Column, Table};
use crate::table_lock::{self, LockMode, TableLock};

/// After so many tries a batch locks its rows before it changes them.
const LOCK_AFTER: u32 = 4;

/// What every batch of a backfill needs.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    pub(super) online: &'a Online,
    pub(super) table: &'a Table,
    pub(super) walk: &'a Walk,
    /// The primary key; empty if there is none.
    pub(super) key: &'a [Column],
    pub(super) cursors: &'a Cursors,
    pub(super) steps: &'a [Step],
}

/// The batches of one run.
#[derive(Debug)]
pub(super) struct Batches<'a> {
    pub(super) shared: &'a Shared<'a>,
    pub(super) connection: &'a mut PgConnection,
    pub(super) cursor: Cursor,
    pub(super) pace: Pace,
    pub(super) pause: Duration,
    pub(super) progress: &'a mut Progress,
    /// After how many changed rows the table is vacuumed, if it is.
    pub(super) vacuum_every: Option<u64>,
    pub(super) changed_since_vacuum: u64,
    /// The rows of the next batches, as far as they were looked for.
    pub(super) ahead: VecDeque<Stretch>,
}

impl Batches<'_> {
    /// Fills the table to its end; the cursor as it is then.
    pub(super) async fn fill(mut self) -> Result<Cursor, DbErr> {
        loop {
            let started = Instant::now();
            let Some(done) = self.batch_until_it_succeeds().await? else {
                if self.extend().await? {
                    continue;
                }
                return Ok(self.cursor);
            };
            let n_rows = done.counted.rows - self.cursor.counted.rows;
            self.changed_since_vacuum += done.counted.changed - self.cursor.counted.changed;
            self.cursor = done;
            self.pace.learn(n_rows, started.elapsed());
            self.progress.add(n_rows);
            self.vacuum().await?;
            if !self.pause.is_zero() {
                session::pause(self.connection, self.pause).await?;
            }
        }
    }

    /// One batch, tried again with fewer rows as long as it only meets the application.
    async fn batch_until_it_succeeds(&mut self) -> Result<Option<Cursor>, DbErr> {
        let mut patience = Patience::new();
        let mut n_tries = 0;
        loop {
            n_tries += 1;
            let locks_first = n_tries > LOCK_AFTER && !self.shared.key.is_empty();
            let span = event::batch(self.shared.online.origin(), &self.shared.table.name);
            match self.batch(locks_first).instrument(span.clone()).await {
                Err(error) if is_contention(&error) => {
                    self.ahead.clear();
                    self.pace.back_off();
                    let (origin, table) = (self.shared.online.origin(), &self.shared.table.name);
                    patience.wait(self.connection, origin, table, error).await?;
                }
                done => {
                    if let Ok(Some(next)) = &done {
                        span.record("n_rows", next.counted.rows - self.cursor.counted.rows);
                    }
                    return done;
                }
            }
        }
    }

    /// One batch in one transaction: the cursor behind it, or `None` if there are no more rows. With `locks_first` it does
    /// not depend on the application's leaving its rows alone for as long as it takes.
    async fn batch(&mut self, locks_first: bool) -> Result<Option<Cursor>, DbErr> {
        let Shared { table, walk, key, .. } = *self.shared;
        let place = &self.cursor.place;
        let limits = table.limits(if locks_first { BATCH_LIMITS } else { LIMITS });
        let mut tx = session::begin(self.connection, limits).await?;
        if self.ahead.is_empty() {
            let (after, until) = (place.after.as_ref(), place.until.as_ref());
            self.ahead = walk.next(&mut tx, table, after, until, self.pace.rows()).await?;
        }
        let Some(mut stretch) = self.ahead.pop_front() else { return Ok(None) };
        if locks_first {
            stretch.condition = lock_rows(&mut tx, table, key, &stretch.condition).await?;
        }
        let condition = stretch.condition.clone();
        match run_batch(self.shared, &mut tx, &self.cursor, stretch).await {
            Ok(next) => {
                tx.commit().await.map_err(db_err)?;
                Ok(Some(next))
            }
            Err(error) => {
                drop(tx);
                Err(oversized::named(self.connection, table, key, &condition, error).await)
            }
        }
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

    /// Vacuums the table if enough rows were changed since the last time. Where another session is at work on it for which a vacuum
    /// would be skipped, mostly another vacuum, it is tried again after the next batch.
    async fn vacuum(&mut self) -> Result<(), DbErr> {
        let Shared { online, table, .. } = self.shared;
        if self.vacuum_every.is_none_or(|every| self.changed_since_vacuum < every) {
            return Ok(());
        }
        let wanted = TableLock::new(online.schema(), &table.name, LockMode::ShareUpdateExclusive);
        if table_lock::holders(self.connection, &[wanted]).await?.is_empty() {
            space::vacuum_rows(self.connection, table).await?;
            self.changed_since_vacuum = 0;
        }
        Ok(())
    }
}

/// Locks the rows for which the condition holds, wherever they are by then; the condition that a row is one of them.
///
/// From here to the end of the transaction no other session changes them, so that all statements meet the same rows although each
/// has a snapshot of its own. An application that writes a row without pause queues like any other session.
pub(super) async fn lock_rows(
    tx: &mut PgConnection,
    table: &Table,
    key: &[Column],
    condition: &str,
) -> Result<String, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT {} FROM {} AS source WHERE {condition} FOR NO KEY UPDATE OF source",
        key_as_text(key),
        table.qualified,
    );
    is_one_of(key, &session::rows(tx, sql).await?)
}

/// The statement that begins or ends the silence that triggers may heed; it ends with the transaction at the latest.
fn silence(state: &str) -> String {
    format!("{BOOKKEEPING}SET LOCAL migration.silent = {state}")
}

/// Runs the statements over a stretch and moves the cursor behind it; both are to be committed together.
pub(super) async fn run_batch(
    shared: &Shared<'_>,
    tx: &mut PgConnection,
    cursor: &Cursor,
    stretch: Stretch,
) -> Result<Cursor, DbErr> {
    let Stretch { end, condition, n_rows } = stretch;
    let mut next = cursor.clone();
    next.place.after = Some(end);
    next.counted.rows += n_rows;
    next.counted.batches += 1;
    for step in shared.steps {
        let is_silent = matches!(step, Step::Silent(_));
        if is_silent {
            session::execute(tx, silence("on")).await?;
        }
        let n_rows = session::execute(tx, step.over(&condition)).await.inspect_err(|error| {
            if !is_contention(error) {
                let what =
                    format!("`{}`: a batch of {} failed", shared.table.name, counted(n_rows, "row", "rows"));
                event::warning(shared.online.origin(), &what);
            }
        })?;
        if is_silent {
            session::execute(tx, silence("off")).await?;
        }
        match step {
            Step::Change(_) | Step::Silent(_) => next.counted.changed += n_rows,
            Step::Reject(_) | Step::Note(_) => next.counted.rejected += n_rows,
        }
    }
    shared.cursors.advance(tx, cursor, &next).await?;
    Ok(next)
}
