//! Rows that must leave their table: a duplicate, an orphan. They are kept whole as rejects.
//!
//! One statement deletes the rows of a batch and keeps them, so that there is no moment at which a row is in neither
//! place, nor in both. What is to go is looked for once, at one moment, and found again by its key: rows that the application
//! makes later are not waited for, so that this ends whatever it does. It does not decide which rows go, and refuses to let others go along through a foreign key.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use super::backfill::{is_one_of, key_as_text};
use super::patience::{BATCH_LIMITS, Patience};
use super::progress::Progress;
use super::rejects;
use super::table::{Column, Table};
use crate::session::{self, BOOKKEEPING, Limits, db_err, refusal};
use crate::{Online, literal, quote_identifier};

/// Rows a batch: each is locked until the batch commits.
const BATCH_ROWS: u32 = 1_000;
/// How often rows without a key may be there and not leave, before something other than a concurrent change must keep them.
const MOST_TRIES: u32 = 20;

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
///     .move_to_rejects("run")
///     .rows("NOT EXISTS (SELECT FROM bot WHERE bot.bot_id = source.bot_id)")
///     .reason("its bot does not exist")
///     .run()
///     .await?;
/// ```
#[derive(Debug)]
#[must_use = "no row is moved until it is run"]
pub struct MoveToRejects<'a> {
    online: &'a Online,
    table: String,
    rows: Option<String>,
    reason: Option<String>,
}

/// A foreign key that would delete or change rows of another table along with those that are moved.
struct Dependent {
    constraint: String,
    table: String,
    /// Whether a row of the other table, `dependent`, refers to `source`.
    condition: String,
}

impl<'a> MoveToRejects<'a> {
    pub(super) fn new(online: &'a Online, table: &str) -> Self {
        Self { online, table: table.to_owned(), rows: None, reason: None }
    }

    /// Which rows leave, as an SQL condition over the table under the alias `source`. It is asked anew for each batch of
    /// 1,000 rows, so it must not name more rows because some have left. Of a table with a primary key those leave that it
    /// names when they are looked for; have a constraint or a trigger refuse new ones before.
    pub fn rows(mut self, condition: impl Into<String>) -> Self {
        self.rows = Some(condition.into());
        self
    }

    /// Why they leave.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Moves the rows; how many this run moved. A killed run goes on when it is run again: what was moved is gone.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if rows or reason are not given, the table does not exist, or rows of another table would be
    /// deleted or changed along through `ON DELETE`; otherwise what the server answers, with all earlier batches kept.
    pub async fn run(self) -> Result<u64, DbErr> {
        let (Some(rows), Some(reason)) = (&self.rows, &self.reason) else {
            return Err(refusal(format!("to move rows of `{}`, say which and why", self.table)));
        };
        let online = self.online;
        let mut connection = online.acquire().await?;
        let table = Table::find(&mut connection, online.schema(), &self.table).await?;
        rejects::install_in(&mut connection, online.schema(), &online.origin().service).await?;
        let dependents = dependents(&mut connection, &table).await?;
        let key = table.primary_key(&mut connection).await?;
        let columns = table.columns(&mut connection).await?;
        let batch = Batch {
            lock: format!("SELECT FROM {} AS source WHERE ({rows}) FOR UPDATE OF source", table.qualified),
            move_: self.statement(&table, &key, &columns, rows, reason),
            any_left: format!("SELECT EXISTS (SELECT FROM {} AS source WHERE ({rows}))", table.qualified),
            rows: rows.clone(),
            table: &table,
            dependents: &dependents,
        };

        let what = format!("{} to rejects", self.table);
        let mut progress = Progress::new(online.origin(), &what, 0, 0);
        let mut n_moved = 0;
        let (mut patience, mut n_tries) = (Patience::new(), 0);
        // A trace shows the statement once, however often it runs: the repetitions are bookkeeping.
        let mut mark = "";
        loop {
            match batch.run(&mut connection, mark).await {
                Ok(n_rows) if !key.is_empty() => {
                    n_moved += n_rows;
                    progress.add(n_rows);
                    n_moved +=
                        self.move_by_key(&mut connection, &batch, &key, &columns, &mut progress).await?;
                    break;
                }
                Ok(0) if !batch.is_any_left(&mut connection).await? => break,
                // A row that another session changed while the batch waited for it is not in the batch's view.
                Ok(0) if n_tries < MOST_TRIES => n_tries += 1,
                Ok(0) => return Err(self.kept()),
                Ok(n_rows) => {
                    n_moved += n_rows;
                    progress.add(n_rows);
                    (patience, n_tries, mark) = (Patience::new(), 0, BOOKKEEPING);
                }
                Err(error) => patience.wait(&mut connection, online.origin(), &self.table, error).await?,
            }
        }
        online.tell_rejected(&self.table, n_moved);
        Ok(n_moved)
    }

    /// Moves the rows that there are now, found again by their key wherever an update has put them since.
    async fn move_by_key(
        &self,
        connection: &mut PgConnection,
        first: &Batch<'_>,
        key: &[Column],
        columns: &[Column],
        progress: &mut Progress,
    ) -> Result<u64, DbErr> {
        let declare = format!(
            "{BOOKKEEPING}DECLARE {CURSOR} NO SCROLL CURSOR WITH HOLD FOR SELECT {} FROM {} AS source WHERE ({})",
            key_as_text(key),
            first.table.qualified,
            first.rows,
        );
        let mut tx = session::begin(connection, Limits::default()).await?;
        session::execute(&mut tx, declare).await?;
        tx.commit().await.map_err(db_err)?;
        let moved = self.move_found(connection, first, key, columns, progress).await;
        let closed = session::execute(connection, format!("{BOOKKEEPING}CLOSE {CURSOR}")).await;
        let moved = moved?;
        closed?;
        Ok(moved)
    }

    async fn move_found(
        &self,
        connection: &mut PgConnection,
        first: &Batch<'_>,
        key: &[Column],
        columns: &[Column],
        progress: &mut Progress,
    ) -> Result<u64, DbErr> {
        let fetch = format!("{BOOKKEEPING}FETCH {BATCH_ROWS} FROM {CURSOR}");
        let mut n_moved = 0;
        loop {
            let found = session::rows(connection, fetch.as_str()).await?;
            if found.is_empty() {
                return Ok(n_moved);
            }
            let rows = format!("{} AND ({})", is_one_of(key, &found)?, first.rows);
            let batch = Batch {
                lock: format!(
                    "SELECT FROM {} AS source WHERE {rows} FOR UPDATE OF source",
                    first.table.qualified
                ),
                move_: self.statement(
                    first.table,
                    key,
                    columns,
                    &rows,
                    self.reason.as_deref().unwrap_or_default(),
                ),
                any_left: format!(
                    "SELECT EXISTS (SELECT FROM {} AS source WHERE {rows})",
                    first.table.qualified
                ),
                rows,
                table: first.table,
                dependents: first.dependents,
            };
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

    /// The statement that moves a batch.
    fn statement(
        &self,
        table: &Table,
        key: &[Column],
        columns: &[Column],
        rows: &str,
        reason: &str,
    ) -> String {
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
        // A row with the key of an entry that exists is kept beside it, with a field that tells the two apart.
        format!(
            "WITH chosen AS MATERIALIZED (SELECT source.tableoid AS part, source.ctid AS place FROM {name} AS source \
             WHERE ({rows}) LIMIT {BATCH_ROWS} FOR UPDATE OF source), \
             gone AS (DELETE FROM {name} AS source USING chosen WHERE source.tableoid = chosen.part \
             AND source.ctid = chosen.place RETURNING {key} AS row_key, source.xmin::text AS version, \
             jsonb_object(ARRAY[{}]::text[], ARRAY[{}]::text[]) AS row_data) \
             INSERT INTO {rejects} (migration, table_name, row_key, field, reason, moved, row_data) \
             SELECT {migration}, {table_name}, gone.row_key, CASE WHEN EXISTS (SELECT FROM {rejects} AS kept \
             WHERE kept.migration = {migration} AND kept.table_name = {table_name} AND kept.row_key = gone.row_key \
             AND kept.field = '') THEN 'version ' || gone.version ELSE '' END, {}, true, gone.row_data FROM gone",
            names.join(", "),
            values.join(", "),
            literal(reason),
        )
    }
}

/// What one batch runs.
struct Batch<'a> {
    lock: String,
    move_: String,
    any_left: String,
    rows: String,
    table: &'a Table,
    dependents: &'a [Dependent],
}

impl Batch<'_> {
    /// Moves one batch, its statement marked so for a trace; the number of rows.
    async fn run(&self, connection: &mut PgConnection, mark: &str) -> Result<u64, DbErr> {
        let mut tx = session::begin(connection, BATCH_LIMITS).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{TEXT_FORM}")).await?;
        if !self.dependents.is_empty() {
            // Locked rows get no new references until the end of the transaction.
            session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.lock)).await?;
            for dependent in self.dependents {
                self.check(&mut tx, dependent).await?;
            }
        }
        let n_moved = session::execute(&mut tx, format!("{mark}{}", self.move_)).await?;
        tx.commit().await.map_err(db_err)?;
        Ok(n_moved)
    }

    /// Moves one batch of rows that are locked first, so that each statement meets them as they are then: an application that
    /// writes a row without pause cannot keep it. The number of rows, and whether one stayed; then nothing is moved.
    async fn run_locked(&self, connection: &mut PgConnection) -> Result<(u64, bool), DbErr> {
        let mut tx = session::begin(connection, BATCH_LIMITS).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{TEXT_FORM}")).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.lock)).await?;
        for dependent in self.dependents {
            self.check(&mut tx, dependent).await?;
        }
        let n_moved = session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.move_)).await?;
        if session::value(&mut tx, format!("{BOOKKEEPING}{}", self.any_left)).await? == Some(true) {
            return Ok((n_moved, true));
        }
        tx.commit().await.map_err(db_err)?;
        Ok((n_moved, false))
    }

    async fn is_any_left(&self, connection: &mut PgConnection) -> Result<bool, DbErr> {
        let left = session::value(connection, format!("{BOOKKEEPING}{}", self.any_left)).await?;
        Ok(left == Some(true))
    }

    /// Refuses if a row that is to be moved would take rows of another table along.
    async fn check(&self, tx: &mut PgConnection, dependent: &Dependent) -> Result<(), DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT count(*) FROM {} AS dependent WHERE EXISTS \
             (SELECT FROM {} AS source WHERE {} AND ({}))",
            dependent.table, self.table.qualified, dependent.condition, self.rows,
        );
        match session::value::<i64>(tx, sql).await?.unwrap_or(0) {
            0 => Ok(()),
            n_rows => Err(refusal(format!(
                "moving rows of `{}` would delete or change {n_rows} rows of `{}` along, through `{}`: \
                 move or detach those first",
                self.table.name, dependent.table, dependent.constraint
            ))),
        }
    }
}

/// The foreign keys through which deleting a row deletes or changes rows elsewhere.
async fn dependents(connection: &mut PgConnection, table: &Table) -> Result<Vec<Dependent>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT k.conname::text, format('%I.%I', n.nspname, c.relname), \
         (SELECT string_agg(format('dependent.%I = source.%I', a.attname, f.attname), ' AND ') \
          FROM unnest(k.conkey, k.confkey) AS pair (own, other) \
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.own \
          JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = pair.other) \
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE k.contype = 'f' AND k.confrelid = {}::regclass AND k.confdeltype IN ('c', 'n', 'd') \
         AND k.conparentid = 0 ORDER BY k.conname",
        table.literal(),
    );
    let mut dependents = Vec::new();
    for row in session::rows(connection, sql).await? {
        dependents.push(Dependent {
            constraint: row.try_get(0).map_err(db_err)?,
            table: row.try_get(1).map_err(db_err)?,
            condition: row.try_get(2).map_err(db_err)?,
        });
    }
    Ok(dependents)
}
