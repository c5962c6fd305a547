//! Backfills: filling existing rows of a table in small batches while the application works on.
//!
//! What a batch does stands in the migration's own SQL; here stands which rows it takes, that it commits together with
//! its cursor, how big it is, and what is told. A run that was killed goes on at its cursor; one that is repeated walks
//! the table again, and statements that name only rows still to be filled change nothing.
//!
//! Rows that are written meanwhile are not its business: a trigger keeps those in step.

mod cursor;
mod lane;
mod pace;
mod strays;
mod walk;

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::DbErr;
use sea_orm::sqlx::{Connection, PgConnection};

use self::cursor::{Cursor, Cursors, Place};
use self::lane::{Lane, Shared};
use self::walk::{Position, Walk};
use super::patience::{BATCH_LIMITS, Patience};
use super::progress::Progress;
use super::rejects;
use super::table::Table;
use crate::event;
use crate::session::{self, BOOKKEEPING, Isolation, Limits, db_err, refusal};
use crate::{Online, worker};

/// Stands in a statement for the rows of a batch.
const PLACEHOLDER: &str = "{batch}";

/// What holds inside a batch's transaction. All its statements meet the same rows: otherwise one of them could act on a row
/// that the application had moved into the batch after another had looked.
const LIMITS: Limits = Limits { isolation: Isolation::RepeatableRead, ..BATCH_LIMITS };

/// A backfill that is being described; [`Backfill::run`] runs it.
///
/// The table is walked by its primary key, of any types and any number of columns, or by its blocks if it has none or
/// [`Backfill::by_blocks`] says so. In every statement `{batch}` becomes the condition that picks the rows of the batch
/// from the table under the alias `source`. The statements of a batch run in the order in which they were given, in one
/// transaction (`REPEATABLE READ`): they meet the same rows, and a batch that the application overtakes is done again.
///
/// Write them so that repeating them changes nothing: a killed run repeats none, but the contract step sweeps once more.
///
/// ```text
/// online
///     .backfill("messages")
///     .statement("UPDATE messages AS source SET length = length(source.content) WHERE {batch} AND source.length IS NULL")
///     .run()
///     .await?;
/// ```
#[derive(Debug)]
#[must_use = "a backfill does nothing until it is run"]
pub struct Backfill<'a> {
    online: &'a Online,
    table: String,
    steps: Vec<Step>,
    batch_rows: u64,
    target: Duration,
    pause: Duration,
    vacuum_times: u32,
    workers: u32,
    unfinished: Option<String>,
}

/// What a backfill did, earlier runs of the same backfill included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BackfillReport {
    /// Rows that were visited.
    pub rows: u64,
    /// Rows that the statements changed.
    pub changed: u64,
    /// Entries added to the rejects.
    pub rejected: u64,
    /// Batches that had rows to visit.
    pub batches: u64,
}

/// One statement of a batch, with `{batch}` for its rows.
#[derive(Debug, Clone)]
enum Step {
    /// Changes rows.
    Change(String),
    /// Lists rows and fields that cannot be carried over.
    Reject(String),
}

impl<'a> Backfill<'a> {
    pub(super) fn new(online: &'a Online, table: &str) -> Self {
        Self {
            online,
            table: table.to_owned(),
            steps: Vec::new(),
            batch_rows: 1_000,
            target: Duration::from_millis(40),
            pause: Duration::ZERO,
            vacuum_times: 0,
            workers: 1,
            unfinished: None,
        }
    }

    /// Adds a statement that changes rows, with `{batch}` for the rows of a batch.
    pub fn statement(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(Step::Change(sql.into()));
        self
    }

    /// Adds a query that lists what cannot be carried over, with `{batch}` for the rows of a batch. Its columns: `key`
    /// (`jsonb`, the row's key), `field`, `value`, `reason` (text) and `row` (`jsonb`, or null). Each (key, field) is
    /// recorded once, however often the query lists it.
    pub fn rejects(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(Step::Reject(sql.into()));
        self
    }

    /// How many rows the first batch takes (1,000); later ones take what fits the target.
    pub fn batch_rows(mut self, n_rows: u64) -> Self {
        self.batch_rows = n_rows;
        self
    }

    /// How long a batch should take (40 ms): this long, at most, an application statement waits for it.
    pub fn target(mut self, duration: Duration) -> Self {
        self.target = duration;
        self
    }

    /// How long to rest after each batch (not at all): leaves disk and replicas to others.
    pub fn pause(mut self, duration: Duration) -> Self {
        self.pause = duration;
        self
    }

    /// Vacuums the table so many times on the way (never), so that new versions of rows take the space of dead ones:
    /// without it, an update of all rows doubles the table. Index entries are left to autovacuum.
    pub fn vacuum_times(mut self, n_times: u32) -> Self {
        self.vacuum_times = n_times;
        self
    }

    /// How many parts of the table are filled side by side (1). Each part beyond the first opens a connection of its own.
    pub fn workers(mut self, n_workers: u32) -> Self {
        self.workers = n_workers.max(1);
        self
    }

    /// Walks the table by its blocks instead of its primary key, where most rows are to be changed and keys are random:
    /// neighbours by such a key lie in different blocks, so that a walk by key reads and logs each block once a row of
    /// it. A partitioned table is walked by its key all the same.
    ///
    /// `unfinished` is a condition over `source` that holds for rows on which the statements have yet to act. At the end
    /// the rows for which it holds are looked for once more: the application may have moved them behind the walk.
    pub fn by_blocks(mut self, unfinished: impl Into<String>) -> Self {
        self.unfinished = Some(unfinished.into());
        self
    }

    /// Runs it, or goes on where an earlier run of the same backfill was stopped.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if a statement lacks `{batch}`, there is none, the table does not exist or cannot be walked,
    /// or another run fills it at the same time; otherwise what a statement answers, with all earlier batches kept.
    pub async fn run(self) -> Result<BackfillReport, DbErr> {
        self.check()?;
        let online = self.online;
        let mut connection = online.acquire().await?;
        let table = Table::find(&mut connection, online.schema(), &self.table).await?;
        let walk = Walk::choose(&mut connection, &table, self.unfinished.is_some()).await?;
        let cursors = Cursors::new(online.schema(), online.origin(), &self.table);
        cursors.install(&mut connection).await?;
        if self.steps.iter().any(|step| matches!(step, Step::Reject(_))) {
            rejects::install_in(&mut connection, online.schema(), &online.origin().service).await?;
        }
        let steps = self.steps.iter().map(|step| step.complete(online, &self.table)).collect::<Vec<_>>();

        let work = Cursors::identify(&mut connection, &format!("{walk:?}{:?}", self.steps)).await?;
        let mut open = cursors.load(&mut connection, &work).await?;
        if open.is_empty() {
            rehearse(&mut connection, online, &self.table, &steps).await?;
            let places = self.places(&mut connection, &table, &walk, &work).await?;
            cursors.begin(&mut connection, &places).await?;
            open = cursors.load(&mut connection, &work).await?;
        }

        let before = BackfillReport::sum(&open);
        if before.batches > 0 {
            let n_rows = before.rows;
            event::notice(
                online.origin(),
                &format!("`{}`: going on after {n_rows} rows of an earlier run", self.table),
            );
        }
        let total = table.n_rows(&mut connection).await?;
        let shared = Shared {
            online,
            table: &table,
            walk: &walk,
            cursors: &cursors,
            steps: &steps,
            pause: self.pause,
            vacuum_every: total.checked_div(u64::from(self.vacuum_times)),
            changed_since_vacuum: Mutex::new(0),
            progress: Mutex::new(Progress::new(online.origin(), &self.table, before.rows, total)),
            has_failed: AtomicBool::new(false),
        };
        let mut done = self.fill(&mut connection, &shared, open).await?;
        if let (Walk::Blocks, Some(unfinished), Some(last)) = (&walk, &self.unfinished, done.last_mut()) {
            *last = strays::fill(&mut connection, &shared, last.clone(), unfinished).await?;
        }
        cursors.finish(&mut connection).await?;
        shared.progress.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner).finish();
        let report = BackfillReport::sum(&done);
        online.tell_rejected(&self.table, report.rejected);
        Ok(report)
    }

    fn check(&self) -> Result<(), DbErr> {
        if self.steps.is_empty() {
            return Err(refusal(format!("the backfill of `{}` has no statement", self.table)));
        }
        match self.steps.iter().map(Step::sql).find(|sql| !sql.contains(PLACEHOLDER)) {
            Some(sql) => Err(refusal(format!(
                "a statement of the backfill of `{}` lacks `{PLACEHOLDER}` and would run over the whole table in every \
                 batch: {sql}",
                self.table
            ))),
            None => Ok(()),
        }
    }

    /// Where each part of a backfill that begins starts and ends.
    async fn places(
        &self,
        connection: &mut PgConnection,
        table: &Table,
        walk: &Walk,
        work: &str,
    ) -> Result<Vec<Place>, DbErr> {
        let mut borders: Vec<Option<Position>> = vec![None];
        if self.workers > 1 {
            let between = walk.split(connection, table, u64::from(self.workers)).await?;
            borders.extend(between.into_iter().map(Some));
        }
        // By key the last part ends where there are no more rows; by block, where the table ends now, and then once
        // more at what was added behind meanwhile, the rows that the backfill itself moved there among it. Where unfinished
        // rows are looked for at the end, those behind are found then.
        let end = match walk {
            Walk::Keys(_) => None,
            Walk::Blocks => Some(Position::Block(table.n_blocks(connection).await?)),
        };
        borders.push(end);
        let n_parts = borders.len() - 1;
        let parts = borders.windows(2).enumerate().map(|(part, border)| Place {
            work: work.to_owned(),
            after: border[0].clone(),
            until: border[1].clone(),
            is_extensible: matches!(walk, Walk::Blocks) && self.unfinished.is_none() && part + 1 == n_parts,
        });
        Ok(parts.collect())
    }

    /// Fills all parts; what their cursors say at the end.
    async fn fill(
        &self,
        connection: &mut PgConnection,
        shared: &Shared<'_>,
        open: Vec<Cursor>,
    ) -> Result<Vec<Cursor>, DbErr> {
        let mut others = Vec::new();
        for _ in 1..open.len() {
            others.push(worker::connect(self.online.pool(), self.online.schema()).await?);
        }
        let connections = std::iter::once(connection).chain(&mut others);
        let lanes = connections.zip(open).map(|(connection, cursor)| {
            Lane::new(shared, connection, cursor, self.batch_rows, self.target).fill()
        });
        let done = join_all(lanes).await.into_iter().collect::<Result<Vec<_>, _>>()?;
        for other in others {
            other.close().await.map_err(db_err)?;
        }
        Ok(done)
    }
}

impl Step {
    fn sql(&self) -> &str {
        let (Self::Change(sql) | Self::Reject(sql)) = self;
        sql
    }

    /// The statement as it runs: a query of rejects becomes the statement that records them.
    fn complete(&self, online: &Online, table: &str) -> Self {
        match self {
            Self::Change(_) => self.clone(),
            Self::Reject(query) => {
                Self::Reject(rejects::recording(online.schema(), online.origin(), table, query))
            }
        }
    }

    /// The statement for the rows of a batch. How often it runs, and over which keys, depends on the table and not on the
    /// migration, so a trace takes it for bookkeeping: the migration's own SQL is what was rehearsed.
    fn over(&self, condition: &str) -> String {
        format!("{BOOKKEEPING}{}", self.sql().replace(PLACEHOLDER, &format!("({condition})")))
    }

    /// The statement for no row.
    fn over_nothing(&self) -> String {
        self.sql().replace(PLACEHOLDER, "(false)")
    }
}

impl BackfillReport {
    fn sum(cursors: &[Cursor]) -> Self {
        cursors.iter().fold(Self::default(), |sum, Cursor { counted, .. }| Self {
            rows: sum.rows + counted.rows,
            changed: sum.changed + counted.changed,
            rejected: sum.rejected + counted.rejected,
            batches: sum.batches + counted.batches,
        })
    }
}

/// Runs the statements over no row, so that a mistake in them shows on an empty table too, and so that a trace of the
/// migration shows them whatever the table holds.
async fn rehearse(
    connection: &mut PgConnection,
    online: &Online,
    table: &str,
    steps: &[Step],
) -> Result<(), DbErr> {
    let mut patience = Patience::new();
    loop {
        let rehearsed = async {
            let mut tx = session::begin(connection, LIMITS).await?;
            for step in steps {
                session::execute(&mut tx, step.over_nothing()).await?;
            }
            tx.commit().await.map_err(db_err)
        };
        match rehearsed.await {
            Ok(()) => return Ok(()),
            Err(error) => patience.wait(online.origin(), table, error).await?,
        }
    }
}
