//! Carrying a decision out: under the service's migration lock, from what is read then, in one transaction with a line in the
//! journal. Indexes are dropped concurrently, each before the line that says so.

use std::time::Duration;

use migration_kit::{BOOKKEEPING, MigrationName, ServiceName, qualified};
use sea_orm::sqlx::Row;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::{ConnectionTrait, DbErr, TransactionTrait};

use super::decision::{Found, Journalled, Line};
use super::{Change, Decision, Trouble, invalid_sql, read_invalid};
use crate::bookkeeping::{self, Entry, Outcome};
use crate::deployment::{Deployment, Placed};
use crate::journal_mark;
use crate::lock::LockedSession;
use crate::reading::Reading;
use crate::run::RunOptions;
use crate::survey::{Access, ServiceFacts, Survey};
use crate::upkeep::{self, Place, UpkeepError};

/// What was changed, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mended {
    /// The changes, in their order.
    pub changes: Vec<Change>,
    /// Whether they were made.
    pub done: bool,
}

/// Mends one trouble of a service as an operator decided; only looks what that comes to if `dry_run`.
///
/// # Errors
/// [`UpkeepError::NothingToMend`] if the decision fits nothing; otherwise as for other upkeep, with nothing changed.
pub async fn mend(
    deployment: &Deployment,
    service: &ServiceName,
    decision: &Decision,
    options: &RunOptions,
    dry_run: bool,
) -> Result<Mended, UpkeepError> {
    let placed = upkeep::find(deployment, service)?;
    if dry_run {
        let survey = Survey::take(deployment).await;
        let facts = survey.service(service).ok_or_else(|| unknown(service))?;
        let mut reading = Reading::open(&deployment.databases()[placed.site.database]).await?;
        let failed = |source| UpkeepError::Read { service: service.clone(), source: upkeep::driver(source) };
        reading.begin().await.map_err(failed)?;
        let indexes = reading.rows(&invalid_sql(placed)).await.map_err(failed)?;
        let rows = match facts.access {
            Access::Lost => reading.rows(&journalled_sql(placed)).await.map_err(failed)?,
            _ => Vec::new(),
        };
        reading.close().await;
        let changes = decide(deployment, placed, facts, decision, (&indexes, &rows))?;
        return Ok(Mended { changes, done: false });
    }
    let work = async |locked: &LockedSession<'_>| {
        let session = locked.session();
        let failed = |source| UpkeepError::Read { service: service.clone(), source: upkeep::driver(source) };
        let facts = locked.survey(deployment, options.table_locks.patience).await;
        let facts = facts.map_err(failed)?;
        let indexes = session.rows(&invalid_sql(placed)).await.map_err(failed)?;
        let rows = match facts.access {
            Access::Lost => session.rows(&journalled_sql(placed)).await.map_err(failed)?,
            _ => Vec::new(),
        };
        let changes = decide(deployment, placed, &facts, decision, (&indexes, &rows))?;
        let made = make(locked, placed, &facts, &changes, options).await;
        made.map_err(|source| UpkeepError::Database { service: service.clone(), source })?;
        Ok(Mended { changes, done: true })
    };
    Box::pin(upkeep::locked(Place::InUse, deployment, placed, options.wait, &options.cancellation, work))
        .await?
}

fn unknown(service: &ServiceName) -> UpkeepError {
    UpkeepError::UnknownService { service: service.clone() }
}

/// The changes that a decision comes to, from what was read.
fn decide(
    deployment: &Deployment,
    placed: &Placed,
    facts: &ServiceFacts,
    decision: &Decision,
    (indexes, rows): (&[PgRow], &[PgRow]),
) -> Result<Vec<Change>, UpkeepError> {
    let service = placed.name();
    let failed = |source| UpkeepError::Read { service: service.clone(), source: upkeep::driver(source) };
    let is_mended =
        facts.access == Access::Lost || facts.has_lost_its_journal() && *decision == Decision::RewriteJournal;
    if let Some(error) = facts.unread.as_ref().filter(|_| !is_mended) {
        return Err(UpkeepError::Unread(error.clone()));
    }
    let invalid: Vec<Trouble> = read_invalid(deployment, facts, indexes).map_err(failed)?;
    let mut journalled = Vec::new();
    for row in rows {
        let name: String = row.try_get(0).map_err(failed)?;
        let Ok(name) = name.parse::<MigrationName>() else { continue };
        let (at, recorded) = (row.try_get(1).map_err(failed)?, row.try_get(2).map_err(failed)?);
        journalled.push(Journalled { name, at, recorded });
    }
    let found = Found { deployment, placed, facts, invalid: &invalid, journalled: &journalled };
    let nothing = |message| UpkeepError::NothingToMend { service: service.clone(), message };
    found.changes(decision).map_err(nothing)
}

/// The query for the migrations whose last success was to be applied, each with when that was and whether
/// nothing was run then, in this order.
fn journalled_sql(placed: &Placed) -> String {
    format!(
        "{BOOKKEEPING}SELECT migration::text, applied_at, recorded FROM (\
           SELECT DISTINCT ON (migration) id, migration, direction, \
             extract(epoch FROM coalesce(finished_at, started_at))::int8 AS applied_at, \
             coalesce(consent ~ '^(adopted|repair:)', false) AS recorded \
           FROM {} WHERE outcome = 'succeeded' ORDER BY migration, id DESC) AS last \
         WHERE direction = 'apply' ORDER BY id",
        placed.site.journal()
    )
}

async fn make(
    locked: &LockedSession<'_>,
    placed: &Placed,
    facts: &ServiceFacts,
    changes: &[Change],
    options: &RunOptions,
) -> Result<(), DbErr> {
    let (site, db) = (&placed.site, locked.writer().db());
    let run = format!("{:016x}", fastrand::u64(..));
    for change in changes {
        if let Change::DropIndex(index) = change {
            let sql =
                format!("{BOOKKEEPING}DROP INDEX CONCURRENTLY IF EXISTS {}", qualified(&site.schema, index));
            locked.writer().execute(&sql).await.map_err(upkeep::driver)?;
        }
    }
    let tx = db.begin().await?;
    bookkeeping::wait_at_most(&tx, options.table_locks.patience).await?;
    let versions = site.qualified_version_table();
    for change in changes {
        match change {
            Change::DropIndex(_) => {}
            Change::NoteLines => bookkeeping::execute(&tx, &journal_mark::statement(site)).await?,
            Change::Install => {
                for statement in bookkeeping::install_statements(site, facts.schema_exists) {
                    bookkeeping::execute(&tx, &statement).await?;
                }
            }
            Change::DeleteRow(name) => {
                let sql = format!("DELETE FROM {versions} WHERE version = $1");
                write(&tx, &sql, [name.as_str().into()]).await?;
            }
            Change::RenameRow { from, to } => {
                let sql = format!("UPDATE {versions} SET version = $2 WHERE version = $1");
                write(&tx, &sql, [from.as_str().into(), to.as_str().into()]).await?;
            }
            Change::InsertRow { migration, applied_at } => {
                let sql = format!(
                    "INSERT INTO {versions} (version, applied_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
                );
                write(&tx, &sql, [migration.as_str().into(), (*applied_at).into()]).await?;
            }
            Change::Journal(Line { migration, direction, counts, checksum, consent }) => {
                let entry = Entry {
                    run: &run,
                    migration,
                    direction: *direction,
                    outcome: if *counts { Outcome::Succeeded } else { Outcome::Accepted },
                    elapsed: Duration::ZERO,
                    checksum: checksum.as_deref(),
                    error: None,
                    first_install: facts.first_install,
                    consent: Some(consent.clone()),
                };
                bookkeeping::record(&tx, site, &options.caller, entry).await?;
            }
        }
    }
    tx.commit().await
}

async fn write<C: ConnectionTrait>(
    tx: &C,
    sql: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<(), DbErr> {
    tx.execute_raw(bookkeeping::statement(&format!("{BOOKKEEPING}{sql}"), values)).await.map(drop)
}
