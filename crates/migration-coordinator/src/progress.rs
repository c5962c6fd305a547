//! Watches a run of another process from a second connection: which migration it is in, how far it has come, which session
//! it waits for, and when it last did something, so that stuck differs from slow.
//!
//! All of it is read from what the server shows to our role: what it does not show is `None`, and never zero.

use migration_kit::table_lock::{TableLock, holders};
use migration_kit::{BOOKKEEPING, MigrationName, literal, qualified, quote_identifier};
use migration_plan::Direction;
use sea_orm::sqlx::{self, Row};

use crate::deployment::{Deployment, Placed};
use crate::event::Blocker;
use crate::holder::Holder;
use crate::reading::Reading;
use crate::survey::{ServiceFacts, Survey};
use crate::watch::blocker;

/// For how long a transaction has to be open before it counts as one that a migration waits for, in milliseconds.
const OLD_AFTER_MS: u128 = 1000;

/// How far the run of one service has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The service.
    pub service: String,
    /// The migration that it is in, if it is in one.
    pub migration: Option<String>,
    /// The session whose transaction it waits for, if it waits.
    pub waits_for: Option<Blocking>,
    /// When it did something last, in seconds since 1970.
    pub last_event_at: Option<i64>,
    /// Its backfills that are open.
    pub backfills: Vec<OpenBackfill>,
    /// The index that it builds.
    pub index: Option<IndexBuild>,
}

/// A session that another one waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocking {
    /// Its process; 0 of a prepared transaction.
    pub pid: i32,
    /// Its `application_name`.
    pub application: String,
    /// How old its transaction is, in milliseconds.
    pub age_ms: i64,
    /// The table that it uses, where that is what is waited for.
    pub table: Option<String>,
}

/// A backfill that has begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenBackfill {
    /// The migration.
    pub migration: String,
    /// The table.
    pub table: String,
    /// Rows that it has looked at.
    pub rows: i64,
    /// About how many there are; `None` if the server has never counted them.
    pub total: Option<i64>,
    /// When it was begun, in seconds since 1970.
    pub started_at: i64,
    /// When it advanced last, in seconds since 1970.
    pub updated_at: i64,
}

/// An index that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexBuild {
    /// The table.
    pub table: String,
    /// What the server does at the moment, in its words.
    pub phase: String,
    /// How much of that is done; the unit depends on the phase.
    pub done: i64,
    /// Of how much; 0 where the phase has no measure.
    pub total: i64,
}

/// The progress of the services of a survey of which a session holds the migration lock. One that cannot be asked is left out.
pub async fn progress(deployment: &Deployment, survey: &Survey) -> Vec<Progress> {
    let mut all = Vec::new();
    for (index, url) in deployment.databases().iter().enumerate() {
        let placed = deployment.placements().iter().filter(|placed| placed.site.database == index);
        let running: Vec<(&Placed, &ServiceFacts, &Holder)> = placed
            .filter_map(|placed| {
                let facts = survey.service(placed.name())?;
                Some((placed, facts, facts.holder.as_ref()?))
            })
            .collect();
        if running.is_empty() {
            continue;
        }
        let Ok(mut reading) = Reading::open(url).await else { continue };
        for (placed, facts, holder) in running {
            all.extend(progress_of(&mut reading, placed, facts, holder).await.ok());
            reading.end().await;
        }
        reading.close().await;
    }
    all
}

async fn progress_of(
    reading: &mut Reading<'_>,
    placed: &Placed,
    facts: &ServiceFacts,
    holder: &Holder,
) -> Result<Progress, sqlx::Error> {
    reading.begin().await?;
    let (site, pid) = (&placed.site, holder.pid);
    let cursors = qualified(&site.schema, &format!("migration_backfill_{}", site.name()));
    let state = format!(
        "{BOOKKEEPING}SELECT extract(epoch FROM greatest(a.query_start, a.state_change))::int8, \
           coalesce(a.query LIKE '%pg_sleep(%', false), pg_catalog.to_regclass({}) IS NOT NULL, \
           p.relid::regclass::text, p.phase, coalesce(nullif(p.blocks_done, 0), p.tuples_done), \
           coalesce(nullif(p.blocks_total, 0), p.tuples_total) \
         FROM (SELECT) one LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = {pid} \
         LEFT JOIN pg_catalog.pg_stat_progress_create_index p ON p.pid = {pid} AND p.relid IS NOT NULL",
        literal(&cursors)
    );
    let rows = reading.rows(&state).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (acted_at, sleeps, has_cursors): (Option<i64>, bool, bool) =
        (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let index = match row.try_get::<Option<String>, _>(3)? {
        Some(table) => Some(IndexBuild {
            table,
            phase: row.try_get(4)?,
            done: row.try_get::<Option<i64>, _>(5)?.unwrap_or(0),
            total: row.try_get::<Option<i64>, _>(6)?.unwrap_or(0),
        }),
        None => None,
    };
    let backfills = if has_cursors { backfills(reading, &site.schema, &cursors).await? } else { Vec::new() };
    let migration = migration_of(placed, holder);
    let mut waits_for = reading.ask(|connection| blocker(connection, pid)).await?.map(Blocking::of);
    // A table lock is asked for without queueing, with pauses between, so that the server knows of no session that waits.
    if let (None, true, true, Some(migration)) = (&waits_for, sleeps, backfills.is_empty(), migration) {
        waits_for = user_of_tables(reading, placed, facts, migration, pid).await?;
    }
    Ok(Progress {
        service: site.name().to_string(),
        migration: migration.map(ToString::to_string),
        waits_for,
        last_event_at: acted_at.into_iter().chain(backfills.iter().map(|open| open.updated_at)).max(),
        backfills,
        index,
    })
}

async fn backfills(
    reading: &mut Reading<'_>,
    schema: &str,
    cursors: &str,
) -> Result<Vec<OpenBackfill>, sqlx::Error> {
    let sql = format!(
        "{BOOKKEEPING}SELECT b.migration::text, b.table_name, b.rows, \
           (SELECT sum(leaf.reltuples)::int8 FROM pg_catalog.pg_class leaf WHERE leaf.relkind = 'r' AND leaf.reltuples >= 0 \
              AND (leaf.oid = c.oid OR leaf.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)))), \
           extract(epoch FROM b.started_at)::int8, extract(epoch FROM b.updated_at)::int8 \
         FROM {cursors} b LEFT JOIN pg_catalog.pg_class c \
           ON c.relname = b.table_name AND c.relnamespace = pg_catalog.to_regnamespace({}) \
         ORDER BY b.started_at, b.table_name",
        literal(&quote_identifier(schema))
    );
    let mut backfills = Vec::new();
    for row in reading.rows(&sql).await? {
        backfills.push(OpenBackfill {
            migration: row.try_get(0)?,
            table: row.try_get(1)?,
            rows: row.try_get(2)?,
            total: row.try_get(3)?,
            started_at: row.try_get(4)?,
            updated_at: row.try_get(5)?,
        });
    }
    Ok(backfills)
}

/// The migration that a session is in, by what it calls itself; PostgreSQL cuts that.
fn migration_of<'p>(placed: &'p Placed, holder: &Holder) -> Option<&'p MigrationName> {
    let called = holder.application.strip_prefix(&format!("migrate {}:", placed.name()))?;
    let mut fitting = placed.service.migrations().filter(|listed| listed.name().as_str().starts_with(called));
    let first = fitting.next()?.name();
    let is_cut = first.as_str() != called;
    (!is_cut || fitting.next().is_none()).then_some(first)
}

/// Who uses the tables that a migration has to lock, the oldest transaction.
async fn user_of_tables(
    reading: &mut Reading<'_>,
    placed: &Placed,
    facts: &ServiceFacts,
    migration: &MigrationName,
    pid: i32,
) -> Result<Option<Blocking>, sqlx::Error> {
    let is_applied = facts.applied.iter().any(|applied| applied.name == *migration);
    let direction = if is_applied { Direction::Revert } else { Direction::Apply };
    let recorded = placed.lock_file.locks(migration, direction).iter();
    let locks: Vec<TableLock> =
        recorded.map(|lock| TableLock::new(&placed.site.schema, &lock.relation, lock.mode)).collect();
    let found = reading.ask(|connection| holders(connection, &locks)).await;
    let found = found.map_err(|error| sqlx::Error::Protocol(error.to_string()))?;
    let other = found
        .into_iter()
        .find(|other| other.granted && other.pid != pid && other.age.as_millis() > OLD_AFTER_MS);
    Ok(other.map(|other| Blocking {
        pid: other.pid,
        application: other.application,
        age_ms: i64::try_from(other.age.as_millis()).unwrap_or(i64::MAX),
        table: Some(other.relation),
    }))
}

impl Blocking {
    fn of(found: Blocker) -> Self {
        Self { pid: found.pid, application: found.application, age_ms: found.age_ms, table: None }
    }
}
