//! Taking over: what the version table of an earlier tool stands for, and recording it as applied; nothing else is done.
//!
//! Whether the database is as these migrations would have made it is for the caller to find out beforehand.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use migration_kit::{BOOKKEEPING, Listed, MigrationName, ServiceName, literal, qualified, quote_identifier};
use migration_plan::{Direction, KnownService};
use sea_orm::sqlx::{self, Row};
use sea_orm::{ConnectionTrait, TransactionTrait};

use crate::bookkeeping::{self, Entry, Outcome};
use crate::deployment::{Deployment, Placed};
use crate::earlier_tool::EarlierTool;
use crate::lock::LockedSession;
use crate::reading::Reading;
use crate::relocate::{Relocation, relocate};
use crate::run::RunOptions;
use crate::survey::ServiceFacts;
use crate::upkeep::{self, Place, UpkeepError};

/// What the version table of an earlier tool holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EarlierHistory {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub name: String,
    /// The ids in it, in their order.
    pub ids: Vec<String>,
}

impl EarlierHistory {
    /// The table, with its schema.
    #[must_use]
    pub fn table(&self) -> String {
        format!("{}.{}", self.schema, self.name)
    }
}

/// A table of an earlier tool that gets another name, so that the tool does not find it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retirement {
    /// Schema of the table.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Its new name.
    pub becomes: String,
}

/// Reads the version tables of an earlier tool in the database of a service, in all schemas or in one. `table` is what the
/// table is called, with or without its schema, if it was renamed.
///
/// # Errors
/// [`UpkeepError`] if the service is unknown, or one of the tables cannot be read.
pub async fn earlier_histories(
    deployment: &Deployment,
    service: &ServiceName,
    tool: EarlierTool,
    table: Option<&str>,
) -> Result<Vec<EarlierHistory>, UpkeepError> {
    let placed = upkeep::find(deployment, service)?;
    let failed = |source| UpkeepError::Read { service: service.clone(), source: upkeep::driver(source) };
    let mut reading = Reading::open(&deployment.databases()[placed.site.database]).await?;
    reading.begin().await.map_err(failed)?;
    let histories = read(deployment, placed, &mut reading, tool, table.unwrap_or(tool.table())).await;
    reading.close().await;
    histories.map_err(failed)
}

async fn read(
    deployment: &Deployment,
    placed: &Placed,
    reading: &mut Reading<'_>,
    tool: EarlierTool,
    table: &str,
) -> Result<Vec<EarlierHistory>, sqlx::Error> {
    let (schema, name) = table.split_once('.').map_or((None, table), |(schema, name)| (Some(schema), name));
    let within = schema.map_or_else(String::new, |schema| format!(" AND n.nspname = {}", literal(schema)));
    let sql = format!(
        "{BOOKKEEPING}SELECT n.nspname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = {} AND c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%'{within} ORDER BY 1",
        literal(name)
    );
    let mut histories = Vec::new();
    for row in reading.rows(&sql).await? {
        let schema: String = row.try_get(0)?;
        let is_ours = |p: &Placed| {
            let site = &p.site;
            (site.database, site.schema.as_str(), site.version_table.as_str())
                == (placed.site.database, schema.as_str(), name)
        };
        if deployment.placements().iter().any(is_ours) {
            continue;
        }
        let [id, applied] = tool.ids();
        let sql = format!(
            "{BOOKKEEPING}SELECT ({id})::text FROM {} WHERE {applied} ORDER BY 1",
            qualified(&schema, name)
        );
        let ids = reading.rows(&sql).await?.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        histories.push(EarlierHistory { schema, name: name.to_owned(), ids });
    }
    Ok(histories)
}

/// The migrations of a service that ids of an earlier tool stand for, in the order of the list: those that bear such a name
/// themselves, or replace one. A migration that replaces several stands for all of them together, so that some are not enough;
/// except where a tool keeps only the newest ids: then everything up to the last one that is named was applied.
#[must_use]
pub fn stands_for(service: &KnownService, tool: EarlierTool, ids: &[String]) -> Vec<MigrationName> {
    let is_there = |id: &str| ids.iter().any(|there| there == id);
    let migrations = &service.migrations;
    if tool == EarlierTool::Alembic {
        let is_named = |migration: &migration_plan::KnownMigration| {
            is_there(migration.name.as_str()) || migration.replaces.iter().any(|id| is_there(id))
        };
        let last = migrations.iter().rposition(is_named).map_or(0, |last| last + 1);
        return migrations.iter().take(last).map(|migration| migration.name.clone()).collect();
    }
    let stands = |migration: &&migration_plan::KnownMigration| {
        let replaces = &migration.replaces;
        is_there(migration.name.as_str()) || !replaces.is_empty() && replaces.iter().all(|id| is_there(id))
    };
    migrations.iter().filter(stands).map(|migration| migration.name.clone()).collect()
}

/// Migrations of a service that are to count as applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The service.
    pub service: ServiceName,
    /// Its migrations, in the order of the list.
    pub migrations: Vec<MigrationName>,
    /// What the journal says of how this was decided, words apart by spaces.
    pub consent: String,
    /// What of the service moves into another schema in the same transaction.
    pub relocation: Option<Relocation>,
    /// The earlier tool's version table that gets another name in the same transaction.
    pub retirement: Option<Retirement>,
}

/// Records the migrations of a claim as applied, in one transaction under the service's migration lock, each with a line in the
/// journal, and moves the service into another schema if that is claimed too. `known` is what was read of the service when the claim was made. Returns how many were not recorded before.
///
/// # Errors
/// [`UpkeepError`], with nothing recorded; [`UpkeepError::Moved`] if the service's history is another one by now.
pub async fn record(
    deployment: &Deployment,
    claim: &Claim,
    known: &ServiceFacts,
    options: &RunOptions,
) -> Result<usize, UpkeepError> {
    let placed = upkeep::find(deployment, &claim.service)?;
    let work = async |locked: &LockedSession<'_>| {
        let read = |source| UpkeepError::Read { service: claim.service.clone(), source };
        let facts = locked.survey(deployment, options.table_locks.patience).await;
        let facts = facts.map_err(upkeep::driver).map_err(read)?;
        if let Some(locked) = facts.unread.as_ref().filter(|unread| unread.is_locked()) {
            return Err(UpkeepError::Unread(locked.clone()));
        }
        if history(&facts) != history(known) || facts.unread.is_some() {
            return Err(UpkeepError::Moved { service: claim.service.clone() });
        }
        write(locked, placed, claim, &facts, options).await
    };
    Box::pin(upkeep::locked(Place::InUse, deployment, placed, options.wait, &options.cancellation, work))
        .await?
}

/// What a decision to record migrations was made on.
fn history(facts: &ServiceFacts) -> (HashSet<&MigrationName>, bool) {
    (facts.applied.iter().map(|row| &row.name).collect(), facts.installed)
}

async fn write(
    locked: &LockedSession<'_>,
    placed: &Placed,
    claim: &Claim,
    facts: &ServiceFacts,
    options: &RunOptions,
) -> Result<usize, UpkeepError> {
    let failed = |source| UpkeepError::Database { service: claim.service.clone(), source };
    let run = format!("{:016x}", fastrand::u64(..));
    let tx = locked.writer().db().begin().await.map_err(failed)?;
    bookkeeping::wait_at_most(&tx, options.table_locks.patience).await.map_err(failed)?;
    if !facts.installed {
        let statements = bookkeeping::install_statements(&placed.site, facts.schema_exists).join("; ");
        tx.execute_unprepared(&format!("{BOOKKEEPING}{statements}")).await.map_err(failed)?;
    }
    let entry = |migration| Entry {
        run: &run,
        migration,
        direction: Direction::Apply,
        outcome: Outcome::Succeeded,
        elapsed: Duration::ZERO,
        checksum: placed.lock_file.checksum(migration),
        error: None,
        first_install: false,
        consent: Some(claim.consent.clone()),
    };
    let mut n_new = 0;
    let at_most = at_most(placed, facts, &claim.migrations);
    for (migration, at_most) in claim.migrations.iter().zip(at_most) {
        let adopting = bookkeeping::adopt(&tx, &placed.site, &options.caller, entry(migration), at_most);
        n_new += usize::from(adopting.await.map_err(failed)?);
    }
    if let Some(relocation) = &claim.relocation {
        if let (0, Some(newest)) = (n_new, facts.applied.last()) {
            let recording = bookkeeping::record(&tx, &placed.site, &options.caller, entry(&newest.name));
            recording.await.map_err(failed)?;
        }
        relocate(&tx, &placed.site, relocation).await?;
    }
    if let Some(Retirement { schema, name, becomes }) = &claim.retirement {
        let sql = format!(
            "{BOOKKEEPING}ALTER TABLE {} RENAME TO {}",
            qualified(schema, name),
            quote_identifier(becomes)
        );
        tx.execute_unprepared(&sql).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)?;
    Ok(n_new)
}

/// When each of these migrations counts as applied at the latest: what follows it in the list and is applied stands on it,
/// and must be reverted before it. A contract step after it soaks from then on, as it does for what follows.
fn at_most(placed: &Placed, facts: &ServiceFacts, migrations: &[MigrationName]) -> Vec<Option<i64>> {
    let applied: HashMap<_, _> = facts.applied.iter().map(|row| (&row.name, row.applied_at)).collect();
    let mut least: Option<i64> = None;
    let mut of = HashMap::new();
    let listed: Vec<_> = placed.service.migrations().map(Listed::name).collect();
    for name in listed.into_iter().rev() {
        of.insert(name, least);
        least = applied.get(name).copied().into_iter().chain(least).min();
    }
    migrations.iter().map(|name| of.get(name).copied().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use migration_kit::{Details, Service};

    use super::*;

    /// Migrations `a` to `d`; each replaces the revision of its name, `c` the two branches that it joins as well.
    fn service() -> KnownService {
        let files = ["a.sql", "b.sql", "c.sql", "d.sql"].map(|file| (file, &b"SELECT 1"[..]));
        let mut service = Service::from_sql_files("shop", files).expect("the files are migrations");
        for (name, replaced) in
            [("a", &["ra"][..]), ("b", &["rb"]), ("c", &["rc", "left", "right"]), ("d", &["rd"])]
        {
            let details = replaced.iter().fold(Details::expand(), |details, id| details.replaces(*id));
            service = service.with_details(name, details).expect("it is there");
        }
        service.known()
    }

    #[test]
    fn rows_of_alembic_stand_for_all_up_to_the_last_and_others_for_themselves() {
        for (tool, ids, expected) in [
            (EarlierTool::Alembic, &["rb"][..], "a b"),
            // Several heads, those of branches that were not merged, and one that another depends on.
            (EarlierTool::Alembic, &["rb", "rd"], "a b c d"),
            // One parent of a merge is enough; that the other one is missing shows when schemas are compared.
            (EarlierTool::Alembic, &["left"], "a b c"),
            (EarlierTool::Alembic, &["rc"], "a b c"),
            (EarlierTool::Alembic, &["of another project"], ""),
            (EarlierTool::Alembic, &[], ""),
            (EarlierTool::Diesel, &["rb"], "b"),
            (EarlierTool::Diesel, &["ra", "rc", "left"], "a"),
            (EarlierTool::Diesel, &["rc", "left", "right"], "c"),
        ] {
            let ids: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
            let names: Vec<String> =
                stands_for(&service(), tool, &ids).iter().map(ToString::to_string).collect();
            assert_eq!(names.join(" "), expected, "{tool:?} {ids:?}");
        }
    }
}
