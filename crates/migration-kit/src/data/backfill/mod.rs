//! Backfills: filling existing rows of a table in small batches while the application works on.
//!
//! What a batch does is the migration's own SQL; here is decided which rows it takes, that it commits together with
//! its cursor, how big it is, and what is reported. A run that was killed continues at its cursor; one that is repeated walks
//! the table again, and statements that name only rows still to be filled change nothing.
//!
//! Rows that are written meanwhile are not its business: a trigger keeps those in step.

mod batches;
mod cursor;
mod pace;
mod strays;
mod walk;

use std::collections::VecDeque;
use std::time::Duration;

use migration_plan::counted;
use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use self::batches::{Batches, Shared};
use self::cursor::{Cursors, Place};
use self::pace::Pace;
use self::walk::{Position, Walk};
pub(super) use self::walk::{is_one_of, key_as_text};
use super::patience::{BATCH_LIMITS, Patience};
use super::progress::Progress;
use super::rejects::{self, Kind};
use crate::Online;
use crate::event;
use crate::session::{self, BOOKKEEPING, Isolation, Limits, db_err, refusal};
use crate::table::Table;

/// Stands in a statement for the rows of a batch.
const PLACEHOLDER: &str = "{batch}";

/// What holds inside a batch's transaction. All its statements meet the same rows: otherwise one of them could act on a row
/// that the application had moved into the batch after another had looked.
const LIMITS: Limits = Limits { isolation: Isolation::RepeatableRead, ..BATCH_LIMITS };

/// A backfill that is being described; [`Backfill::run`] runs it.
///
/// The table is walked by its primary key, of any types and any number of columns, or by its blocks: if it has no key, or if
/// its keys are not in the order of its blocks and [`Backfill::unfinished`] is given. In every statement `{batch}` becomes the condition that picks the rows of the batch
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
    /// Changes rows without the triggers that heed silence.
    Silent(String),
    /// Lists rows and fields that cannot be carried over.
    Reject(String),
    /// Lists rows that a rule changes.
    Note(String),
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
            unfinished: None,
        }
    }

    /// Adds a statement that changes rows, with `{batch}` for the rows of a batch. Of several, each must know by itself which rows
    /// are its own: beside an application, or where they change each other's rows, a batch may show them other ones.
    pub fn statement(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(Step::Change(sql.into()));
        self
    }

    /// Adds a statement as [`Self::statement`] does, for which triggers do not fire that are
    /// [`unless_silent`](crate::Trigger::unless_silent): what it writes is in the new place already. A trigger for each row
    /// takes several times as long as the row.
    pub fn silent_statement(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(Step::Silent(sql.into()));
        self
    }

    /// Adds a query that lists what cannot be carried over, with `{batch}` for the rows of a batch. Its columns: `key`
    /// (`jsonb`, the row's key), `field`, `value`, `reason` (text) and `row` (`jsonb`, or null). Each (key, field) is
    /// recorded once, however often the query lists it.
    pub fn rejects(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(Step::Reject(sql.into()));
        self
    }

    /// Adds a query as [`Self::rejects`] does, of rows that a rule changes, as reverting undoes: nothing is lost, and the
    /// entries are listed apart from losses.
    pub fn notes(mut self, sql: impl Into<String>) -> Self {
        self.steps.push(Step::Note(sql.into()));
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

    /// Says for which rows of `source` the statements have yet to act, as a condition. The table can then be walked by its
    /// blocks too, which is quicker where keys are random: neighbours by such a key lie in different blocks, so that a walk
    /// by key reads and logs each block once per row of it. Statistics of the key decide. The table needs a primary key.
    ///
    /// At the end of a walk by blocks, the rows for which the condition holds are looked for once, at one moment: the
    /// application may have moved them behind the walk. What becomes unfinished later is not waited for.
    pub fn unfinished(mut self, condition: impl Into<String>) -> Self {
        self.unfinished = Some(condition.into());
        self
    }

    /// Runs it, or continues where an earlier run of the same backfill was stopped.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if a statement lacks `{batch}`, there is none, the table does not exist or cannot be walked,
    /// or another run fills it at the same time; otherwise what a statement answers, with all earlier batches kept.
    pub async fn run(self) -> Result<BackfillReport, DbErr> {
        self.check()?;
        let online = self.online;
        let mut connection = online.acquire().await?;
        let table = Table::find(&mut connection, online.schema(), &self.table).await?;
        let (chosen, other) = Walk::choose(&mut connection, &table, self.unfinished.is_some()).await?;
        let cursors = Cursors::new(online.schema(), online.origin(), &self.table);
        cursors.install(&mut connection).await?;
        if self.steps.iter().any(|step| matches!(step, Step::Reject(_) | Step::Note(_))) {
            rejects::install_in(&mut connection, online.schema(), &online.origin().service).await?;
        }
        let (schema, service) = (online.schema(), &online.origin().service);
        rejects::gather_statistics(&mut connection, schema, service, 0).await?;
        let steps = self.steps.iter().map(|step| step.complete(online, &self.table)).collect::<Vec<_>>();

        // A run that was begun is continued by its walk, whatever the statistics say by now.
        let mut open = None;
        for walk in other.iter().chain([&chosen]) {
            let work = self.identify(&mut connection, walk).await?;
            if let Some(cursor) = cursors.load(&mut connection, &work).await? {
                open = Some((walk, cursor));
            }
        }
        let (walk, cursor) = if let Some(open) = open {
            open
        } else {
            rehearse(&mut connection, online, &self.table, &steps).await?;
            let work = self.identify(&mut connection, &chosen).await?;
            let place = self.place(&mut connection, &table, &chosen, work).await?;
            (&chosen, cursors.begin(&mut connection, place).await?)
        };
        let BackfillReport { rows: rows_before, batches: batches_before, .. } = cursor.counted;
        if batches_before > 0 {
            event::notice(
                online.origin(),
                &format!(
                    "`{}`: continuing after {} of an earlier run",
                    self.table,
                    counted(rows_before, "row", "rows")
                ),
            );
        }
        let total = table.n_rows(&mut connection).await?;
        let mut progress = Progress::new(online.origin(), &self.table, rows_before, total);
        let key = table.primary_key(&mut connection).await?;
        let shared = Shared { online, table: &table, walk, key: &key, cursors: &cursors, steps: &steps };
        let batches = Batches {
            shared: &shared,
            connection: &mut connection,
            cursor,
            pace: Pace::new(self.batch_rows, self.target),
            pause: self.pause,
            progress: &mut progress,
            vacuum_every: total.checked_div(u64::from(self.vacuum_times)),
            changed_since_vacuum: 0,
            ahead: VecDeque::new(),
        };
        let mut done = batches.fill().await?;
        if let (Walk::Blocks, Some(unfinished)) = (walk, &self.unfinished) {
            done = strays::fill(&mut connection, &shared, done, unfinished).await?;
        }
        cursors.finish(&mut connection).await?;
        progress.finish();
        rejects::gather_statistics(&mut connection, schema, service, done.counted.rejected).await?;
        drop(connection);
        online.report_rejected(&self.table, done.counted.rejected).await?;
        Ok(done.counted)
    }

    /// Identifies the statements and a walk.
    async fn identify(&self, connection: &mut PgConnection, walk: &Walk) -> Result<String, DbErr> {
        Cursors::identify(connection, &format!("{walk:?}{:?}", self.steps)).await
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

    /// Where a backfill that begins starts and ends.
    async fn place(
        &self,
        connection: &mut PgConnection,
        table: &Table,
        walk: &Walk,
        work: String,
    ) -> Result<Place, DbErr> {
        // By key it ends where there are no more rows; by block, where the table ends now, and then it covers what was
        // appended meanwhile, including rows that the backfill itself moved. Where unfinished rows are looked
        // for at the end, those behind are found then.
        let until = match walk {
            Walk::Keys(_) => None,
            Walk::Blocks => Some(Position::Block(table.n_blocks(connection).await?)),
        };
        let is_extensible = until.is_some() && self.unfinished.is_none();
        Ok(Place { work, after: None, until, is_extensible })
    }
}

impl Step {
    fn sql(&self) -> &str {
        let (Self::Change(sql) | Self::Silent(sql) | Self::Reject(sql) | Self::Note(sql)) = self;
        sql
    }

    /// The statement as it runs: a query of rejects becomes the statement that records them.
    fn complete(&self, online: &Online, table: &str) -> Self {
        let recording =
            |query: &str, kind| rejects::recording(online.schema(), online.origin(), table, query, kind);
        match self {
            Self::Change(_) | Self::Silent(_) => self.clone(),
            Self::Reject(query) => Self::Reject(recording(query, Kind::Loss)),
            Self::Note(query) => Self::Note(recording(query, Kind::Change)),
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
            Err(error) => patience.wait(connection, online.origin(), table, error).await?,
        }
    }
}
