//! Rows that must leave their table: a duplicate, an orphan. They are kept whole as rejects.
//!
//! One statement deletes the rows of a batch and keeps them, so that there is no moment at which a row is in neither
//! place, nor in both. What is to go is looked for once, at one moment, and found again by its key: rows that the application
//! makes later are not waited for, so that this ends whatever it does. It does not decide which rows go, and refuses to let others go along through a foreign key.

mod batch;

use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use super::backfill::{is_one_of, key_as_text};
use super::oversized;
use super::patience::Patience;
use super::progress::Progress;
use super::rejects;
use crate::session::{self, BOOKKEEPING, Limits, db_err, refusal};
use crate::table::{Column, Table};
use crate::{Online, literal, quote_identifier};

use batch::{Batch, Source, dependents};

/// Rows a batch: each is locked until the batch commits.
const BATCH_ROWS: u32 = 1_000;
/// How often rows without a key may be there and not leave, before something other than a concurrent change must keep them.
const MOST_TRIES: u32 = 20;
/// The rows of a batch, and all that there are.
const OF_A_BATCH: Option<u32> = Some(BATCH_ROWS);
const ALL: Option<u32> = None;

/// Holds the keys of the rows on the server, past the transaction that has found them.
const CURSOR: &str = "migration_moves";

/// What makes the text form of a value the same in every session that writes or reads it.
pub(super) const TEXT_FORM: &str = "SELECT set_config('DateStyle', 'ISO, YMD', true), \
    set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '1', true), \
    set_config('bytea_output', 'hex', true)";

/// A move of rows into the rejects that is being described; [`MoveToRejects::run`] runs it.
///
/// ```text
/// online
///     .move_to_rejects(
///         "run",
///         "NOT EXISTS (SELECT FROM bot WHERE bot.bot_id = source.bot_id)",
///         "its bot does not exist",
///     )
///     .run()
///     .await?;
/// ```
#[derive(Debug)]
#[must_use = "no row is moved until it is run"]
pub struct MoveToRejects<'a> {
    online: &'a Online,
    table: String,
    rows: String,
    reason: String,
}

impl<'a> MoveToRejects<'a> {
    pub(super) fn new(online: &'a Online, table: &str, rows: String, reason: String) -> Self {
        Self { online, table: table.to_owned(), rows, reason }
    }

    /// Moves the rows; how many this run moved. A killed run continues when it is run again: what was moved is gone.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not exist, or rows of another table would be deleted or changed along through
    /// `ON DELETE`; otherwise what the server answers, with all earlier batches kept.
    pub async fn run(self) -> Result<u64, DbErr> {
        let online = self.online;
        let mut connection = online.acquire().await?;
        let table = Table::find(&mut connection, online.schema(), &self.table).await?;
        rejects::install_in(&mut connection, online.schema(), &online.origin().service).await?;
        let source = Source {
            dependents: dependents(&mut connection, &table).await?,
            key: table.primary_key(&mut connection).await?,
            columns: table.columns(&mut connection).await?,
            table,
        };
        let moved = self.move_all(&mut connection, &source).await;
        let n_moved = match moved {
            Ok(n_moved) => n_moved,
            Err(error) => {
                return Err(
                    oversized::named(&mut connection, &source.table, &source.key, &self.rows, error).await
                );
            }
        };
        drop(connection);
        online.report_rejected(&self.table, n_moved).await?;
        Ok(n_moved)
    }

    /// Moves the rows; how many this run moved.
    async fn move_all(&self, connection: &mut PgConnection, source: &Source) -> Result<u64, DbErr> {
        let online = self.online;
        let batch = self.batch(source, self.rows.clone());
        let what = format!("{} to rejects", self.table);
        let mut progress = Progress::new(online.origin(), &what, 0, 0);
        // A trace shows the statement once, however often it runs: the repetitions are bookkeeping.
        let mut n_moved = self.move_batch(connection, &batch, "").await?;
        progress.add(n_moved);
        if source.key.is_empty() {
            if n_moved == u64::from(BATCH_ROWS) {
                n_moved += self.move_as_many(connection, &batch, &mut progress).await?;
            }
            let all = self.statement(source, &self.rows, ALL);
            n_moved += self.move_rest(connection, &batch, &all).await?;
        } else {
            n_moved += self.move_by_key(connection, source, &mut progress).await?;
        }
        Ok(n_moved)
    }

    /// The batch of those rows of the table for which the condition holds.
    fn batch<'s>(&self, source: &'s Source, rows: String) -> Batch<'s> {
        let name = &source.table.qualified;
        Batch {
            lock: format!("SELECT FROM {name} AS source WHERE ({rows}) FOR UPDATE OF source"),
            move_: self.statement(source, &rows, OF_A_BATCH),
            any_left: format!("SELECT EXISTS (SELECT 1 FROM {name} AS source WHERE ({rows}))"),
            rows,
            source,
        }
    }

    /// Moves a batch, again while it only meets the application.
    async fn move_batch(
        &self,
        connection: &mut PgConnection,
        batch: &Batch<'_>,
        mark: &str,
    ) -> Result<u64, DbErr> {
        let mut patience = Patience::new();
        loop {
            match batch.run(connection, mark).await {
                Err(error) => patience.wait(connection, self.online.origin(), &self.table, error).await?,
                moved => return moved,
            }
        }
    }

    /// Moves batches of rows without a key, until there are none or as many have gone as there are now: an application
    /// that makes some all the time is not waited for.
    async fn move_as_many(
        &self,
        connection: &mut PgConnection,
        batch: &Batch<'_>,
        progress: &mut Progress,
    ) -> Result<u64, DbErr> {
        let count = format!(
            "{BOOKKEEPING}SELECT count(*) FROM {} AS source WHERE ({})",
            batch.source.table.qualified, batch.rows
        );
        let n_now = session::value::<i64>(connection, count).await?.unwrap_or(0);
        let mut n_moved = 0;
        while i64::try_from(n_moved).is_ok_and(|n_moved| n_moved < n_now) {
            match self.move_batch(connection, batch, BOOKKEEPING).await? {
                0 => break,
                n_rows => n_moved += n_rows,
            }
            progress.add(u64::from(BATCH_ROWS));
        }
        Ok(n_moved)
    }

    /// Moves at one moment all rows without a key that are left, locked first, so that none escapes by an update.
    async fn move_rest(
        &self,
        connection: &mut PgConnection,
        batch: &Batch<'_>,
        all: &str,
    ) -> Result<u64, DbErr> {
        let (mut patience, mut n_tries) = (Patience::new(), 0);
        loop {
            match batch.run_to_the_end(connection, all).await {
                Ok(Some(n_rows)) => return Ok(n_rows),
                // One that was made and changed between two statements is chosen and not met.
                Ok(None) if n_tries < MOST_TRIES => n_tries += 1,
                Ok(None) => return Err(self.kept()),
                Err(error) => patience.wait(connection, self.online.origin(), &self.table, error).await?,
            }
        }
    }

    /// Moves the rows that there are now, found again by their key wherever an update has put them since.
    async fn move_by_key(
        &self,
        connection: &mut PgConnection,
        source: &Source,
        progress: &mut Progress,
    ) -> Result<u64, DbErr> {
        let declare = format!(
            "{BOOKKEEPING}DECLARE {CURSOR} NO SCROLL CURSOR WITH HOLD FOR SELECT {} FROM {} AS source WHERE ({})",
            key_as_text(&source.key),
            source.table.qualified,
            self.rows,
        );
        let mut tx = session::begin(connection, source.table.limits(Limits::default())).await?;
        session::execute(&mut tx, declare).await?;
        tx.commit().await.map_err(db_err)?;
        let moved = self.move_found(connection, source, progress).await;
        let closed = session::execute(connection, format!("{BOOKKEEPING}CLOSE {CURSOR}")).await;
        let moved = moved?;
        closed?;
        Ok(moved)
    }

    async fn move_found(
        &self,
        connection: &mut PgConnection,
        source: &Source,
        progress: &mut Progress,
    ) -> Result<u64, DbErr> {
        let fetch = format!("{BOOKKEEPING}FETCH {BATCH_ROWS} FROM {CURSOR}");
        let mut n_moved = 0;
        loop {
            let found = session::rows(connection, fetch.as_str()).await?;
            if found.is_empty() {
                return Ok(n_moved);
            }
            let rows = format!("{} AND ({})", is_one_of(&source.key, &found)?, self.rows);
            let batch = self.batch(source, rows);
            let mut patience = Patience::new();
            loop {
                match batch.run_locked(connection).await {
                    Ok((_, true)) => return Err(self.kept()),
                    Ok((n_rows, false)) => {
                        n_moved += n_rows;
                        progress.add(n_rows);
                        break;
                    }
                    Err(error) => patience.wait(connection, self.online.origin(), &self.table, error).await?,
                }
            }
        }
    }

    fn kept(&self) -> DbErr {
        refusal(format!("rows of `{}` do not leave it: does a trigger keep them?", self.table))
    }

    /// The statement that moves so many rows; that for all of them gives the number of those that it chose and of those that
    /// went.
    fn statement(&self, source: &Source, rows: &str, limit: Option<u32>) -> String {
        let Source { table, key, columns, .. } = source;
        let (online, name) = (self.online, &table.qualified);
        let rejects = rejects::qualified(online.schema(), &online.origin().service);
        let (migration, table_name) = (literal(&online.origin().migration), literal(&table.name));
        // Where there is no key, place and version name this one row for ever: no two rows share both.
        let key = if key.is_empty() {
            "jsonb_build_object('ctid', source.ctid::text, 'xmin', source.xmin::text)".to_owned()
        } else {
            let field = |column: &Column| {
                format!("{}, source.{}", literal(&column.name), quote_identifier(&column.name))
            };
            format!("jsonb_build_object({})", key.iter().map(field).collect::<Vec<_>>().join(", "))
        };
        let names: Vec<String> = columns.iter().map(|column| literal(&column.name)).collect();
        let values: Vec<String> =
            columns.iter().map(|column| format!("source.{}::text", quote_identifier(&column.name))).collect();
        let (limit, between, end) = match limit {
            Some(n_rows) => (format!("LIMIT {n_rows} "), " ", ""),
            None => (
                String::new(),
                ", moved AS (",
                " RETURNING id) SELECT (SELECT count(*) FROM chosen), (SELECT count(*) FROM moved)",
            ),
        };
        // A row with the key of an entry that exists is kept beside it, with a field that tells the two apart.
        format!(
            "WITH chosen AS MATERIALIZED (SELECT source.tableoid AS part, source.ctid AS place FROM {name} AS source \
             WHERE ({rows}) {limit}FOR UPDATE OF source), \
             gone AS (DELETE FROM {name} AS source USING chosen WHERE source.tableoid = chosen.part \
             AND source.ctid = chosen.place RETURNING {key} AS row_key, source.xmin::text AS version, \
             jsonb_object(ARRAY[{}]::text[], ARRAY[{}]::text[]) AS row_data){between}\
             INSERT INTO {rejects} (migration, table_name, row_key, field, reason, moved, row_data) \
             SELECT {migration}, {table_name}, gone.row_key, CASE WHEN EXISTS (SELECT FROM {rejects} AS kept \
             WHERE kept.migration = {migration} AND kept.table_name = {table_name} AND kept.row_key = gone.row_key \
             AND kept.field = '') THEN 'version ' || gone.version ELSE '' END, {}, true, gone.row_data FROM gone{end}",
            names.join(", "),
            values.join(", "),
            literal(&self.reason),
        )
    }
}
