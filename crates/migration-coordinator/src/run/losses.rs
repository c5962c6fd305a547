//! What reverting would lose: asked of the tables before anything is reverted, so that no rows are lost by a slip.
//!
//! A migration says in its details what reverting it loses. Where nothing is known of it, since it has neither details nor
//! an entry in a lock file, it is taken to lose what the service has. Empty tables lose nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use migration_kit::table_lock::LockMode;
use migration_kit::{BOOKKEEPING, Listed, LostRows, MigrationId, quote_identifier};
use migration_plan::{Direction, Plan, Step, few_words};
use sea_orm::sqlx::{self, Row};

use super::{RunError, RunOptions};
use crate::belongings::is_table_of;
use crate::connect_error::is_undefined;
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::verify;

/// Rows are counted up to this many.
const COUNTED: i64 = 1_000_000;

/// What reverting one migration loses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevertLoss {
    /// The migration.
    pub id: MigrationId,
    /// What is lost, in the words of its author.
    pub what: String,
    /// Tables that have rows which it may concern: at least one.
    pub tables: Vec<Filled>,
}

/// A table with rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Table, with its schema.
    pub table: String,
    /// Number of its rows, counted up to a million; more than that are a million and one.
    pub n_rows: i64,
}

/// Refuses a plan whose reverts lose rows, unless that is wanted.
///
/// # Errors
/// [`RunError::RevertLoss`] with all of them; [`RunError::Survey`] if a table could not be read.
pub(super) async fn consented(
    deployment: &Deployment,
    plan: &Plan,
    options: &RunOptions,
) -> Result<(), RunError> {
    let reverts = || plan.steps().iter().filter(|step| step.direction == Direction::Revert);
    if options.allow_data_loss || reverts().next().is_none() {
        return Ok(());
    }
    let mut losses = Vec::new();
    let services: BTreeSet<_> = reverts().map(|step| &step.id.service).collect();
    for placed in services.into_iter().filter_map(|service| deployment.placed(service)) {
        let steps: Vec<(&Step, String)> = reverts()
            .filter(|step| step.id.service == *placed.name())
            .filter_map(|step| says(placed, step).map(|what| (step, what)))
            .collect();
        if !steps.is_empty() {
            losses.extend(of_service(deployment, placed, &steps, options).await?);
        }
    }
    if losses.is_empty() { Ok(()) } else { Err(RunError::RevertLoss { losses }) }
}

/// What is said to be lost, if anything.
fn says(placed: &Placed, step: &Step) -> Option<String> {
    let declared = placed.service.migration(&step.id.name)?.details().loses_on_revert.clone();
    let is_unknown = || placed.lock_file.entry(&step.id.name).is_none();
    declared.or_else(|| is_unknown().then(|| "whatever it drops, which nobody has declared".to_owned()))
}

/// The steps of a service that concern rows.
async fn of_service(
    deployment: &Deployment,
    placed: &Placed,
    steps: &[(&Step, String)],
    options: &RunOptions,
) -> Result<Vec<RevertLoss>, RunError> {
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open_within(url, options.table_locks.patience).await?;
    let losses = losses(&mut reading, placed, steps).await;
    reading.close().await;
    losses.map_err(|source| RunError::unread(url, source))
}

async fn losses(
    reading: &mut Reading<'_>,
    placed: &Placed,
    steps: &[(&Step, String)],
) -> Result<Vec<RevertLoss>, sqlx::Error> {
    let filled = filled(reading, placed).await?;
    let mut losses = Vec::new();
    for (step, what) in steps {
        let named = placed.service.migration(&step.id.name).map(Listed::details);
        let named = named.map_or(&[][..], |details| details.lost_rows.as_slice());
        let mut tables = Vec::new();
        for rows in named {
            let Some(&n_rows) = filled.get(&rows.table) else { continue };
            let n_rows = lost(reading, placed, rows).await?.unwrap_or(n_rows);
            if n_rows > 0 {
                tables.push(Filled { table: format!("{}.{}", placed.site.schema, rows.table), n_rows });
            }
        }
        if named.is_empty() {
            let altered: BTreeSet<&str> = placed
                .lock_file
                .locks(&step.id.name, Direction::Revert)
                .iter()
                .filter(|lock| lock.mode == LockMode::AccessExclusive)
                .map(|lock| lock.relation.as_str())
                .collect();
            let concerned =
                filled.iter().filter(|(table, _)| altered.is_empty() || altered.contains(table.as_str()));
            tables.extend(concerned.map(|(table, n_rows)| Filled {
                table: format!("{}.{table}", placed.site.schema),
                n_rows: *n_rows,
            }));
        }
        if !tables.is_empty() {
            losses.push(RevertLoss { id: step.id.clone(), what: what.clone(), tables });
        }
    }
    Ok(losses)
}

/// How many of these rows there are, if their condition can be asked: what it names may be gone already, or come back only
/// while later migrations are reverted.
async fn lost(
    reading: &mut Reading<'_>,
    placed: &Placed,
    rows: &LostRows,
) -> Result<Option<i64>, sqlx::Error> {
    verify::begin(reading, placed).await?;
    let counted = count(reading, placed, &rows.table, &rows.condition).await;
    reading.end().await;
    match counted {
        Ok(n_rows) => Ok(Some(n_rows)),
        Err(error) if is_undefined(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Counts the rows of a table of the service for which a condition holds, as far as it matters.
async fn count(
    reading: &mut Reading<'_>,
    placed: &Placed,
    table: &str,
    condition: &str,
) -> Result<i64, sqlx::Error> {
    let sql = format!(
        "{BOOKKEEPING}SELECT count(*) FROM (SELECT 1 FROM {}.{} WHERE {condition} LIMIT {COUNTED} + 1) AS counted",
        quote_identifier(&placed.site.schema),
        quote_identifier(table),
    );
    reading.rows(&sql).await?.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
}

/// The service's tables that have rows, with their number.
async fn filled(reading: &mut Reading<'_>, placed: &Placed) -> Result<BTreeMap<String, i64>, sqlx::Error> {
    reading.begin().await?;
    let tables = format!(
        "{BOOKKEEPING}SELECT c.relname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE {} AND c.relkind <> 'f'",
        is_table_of(&placed.site)
    );
    let mut filled = BTreeMap::new();
    for row in reading.rows(&tables).await? {
        let table: String = row.try_get(0)?;
        let n_rows = count(reading, placed, &table, "TRUE").await?;
        if n_rows > 0 {
            filled.insert(table, n_rows);
        }
    }
    reading.end().await;
    Ok(filled)
}

impl fmt::Display for RevertLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        let tables = few_words(&self.tables, SHOWN);
        let more = if self.tables.len() > SHOWN { " tables" } else { "" };
        write!(f, "reverting `{}` loses for good: {} ({tables}{more})", self.id, self.what)
    }
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.n_rows {
            1 => write!(f, "1 row of `{}`", self.table),
            n_rows if n_rows > COUNTED => write!(f, "more than {COUNTED} rows of `{}`", self.table),
            n_rows => write!(f, "{n_rows} rows of `{}`", self.table),
        }
    }
}
