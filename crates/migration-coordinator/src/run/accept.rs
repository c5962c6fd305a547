//! Accepting by name that something is not as its migration makes it: an adopted table may differ in what its service does
//! not mind.
//!
//! What is accepted is decided from what differs before anything is written, and recorded in the journal under the migration
//! lock: later runs, and whoever verifies, read it there.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::time::Duration;

use migration_kit::{BOOKKEEPING, Check, Listed, MigrationName, ServiceName, literal};
use migration_plan::{Direction, Plan, nearest};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{Run, RunError, RunOptions};
use crate::bookkeeping::{self, Entry, Outcome};
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::site::text_array;
use crate::survey::Survey;
use crate::verify;

/// Something that may differ from what the migrations of a service make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acceptance {
    /// The service.
    pub service: ServiceName,
    /// The object as checks name it: `table`, `table.column`, `table.constraint`, or the name of an index or a type.
    pub object: String,
}

impl fmt::Display for Acceptance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.object)
    }
}

/// A difference that a run has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedDifference {
    /// What was accepted.
    pub acceptance: Acceptance,
    /// The migration that makes it otherwise.
    pub migration: MigrationName,
    /// How it differs.
    pub difference: String,
}

/// What differs among that which is to be accepted, and was not accepted before. Reads only.
///
/// # Errors
/// [`RunError::UnknownObject`] if no check of the service knows the name, [`RunError::NothingToAccept`] if nothing differs in
/// it, [`RunError::Survey`] if it could not be asked.
pub(super) async fn decide(
    deployment: &Deployment,
    survey: &Survey,
    plan: &Plan,
    options: &RunOptions,
) -> Result<Vec<AcceptedDifference>, RunError> {
    let mut accepted = Vec::new();
    for acceptance in &options.accept {
        let service = deployment.catalog().named(&acceptance.service)?.name.clone();
        let (Some(placed), Some(facts)) = (deployment.placed(&service), survey.service(&service)) else {
            continue;
        };
        if let Some(error) = &facts.unread {
            return Err(RunError::Survey(error.clone()));
        }
        let applied: HashSet<&MigrationName> = facts.applied.iter().map(|applied| &applied.name).collect();
        let pending = plan.steps_of(&service).filter(|step| step.direction == Direction::Apply);
        let pending: HashSet<&MigrationName> = pending.map(|step| &step.id.name).collect();
        let all = applied.union(&pending).copied().collect();
        let is_known = |object: &str| {
            let mut checks = placed.service.migrations().flat_map(|listed| &listed.details().checks);
            checks.any(|check| check.objects().iter().any(|known| known == object))
        };
        // An index may be named with its table, as a comparison writes it.
        let without_table =
            acceptance.object.split_once('.').map(|(_, name)| name).filter(|name| is_known(name));
        let object =
            if is_known(&acceptance.object) { Some(acceptance.object.as_str()) } else { without_table };
        let Some(object) = object else {
            if let Some((object, migration)) =
                besides(deployment, placed, &all, &acceptance.object, options).await?
            {
                let difference = "is there, and no migration makes it".to_owned();
                let acceptance = Acceptance { service, object };
                accepted.push(AcceptedDifference { acceptance, migration, difference });
                continue;
            }
            let objects = placed.service.migrations().flat_map(|listed| &listed.details().checks);
            let names = objects.flat_map(Check::objects).map(String::as_str);
            return Err(RunError::UnknownObject {
                nearest: nearest(&acceptance.object, names).map(str::to_owned),
                acceptance: acceptance.clone(),
            });
        };
        let acceptance = Acceptance { service, object: object.to_owned() };
        let of_object = |check: &&Check| check.objects().contains(&acceptance.object);
        let checks: Vec<(&MigrationName, &Check)> =
            placed.checks_of(&all, &all).filter(|(_, check)| of_object(check)).collect();
        let differ = differing(deployment, placed, &checks, facts.installed, options).await?;
        // What a pending migration has yet to make is not accepted to be missing; but what it adopts is made.
        let adopting =
            if differ.is_empty() { HashSet::new() } else { adopting(deployment, placed, options).await? };
        let differ = differ.into_iter().filter(|(migration, found)| {
            let is_made = applied.contains(migration) || adopting.contains(migration);
            found.object == acceptance.object && (is_made || !found.difference.starts_with("is missing"))
        });
        let differ: Vec<_> = differ.collect();
        if differ.is_empty() {
            return Err(RunError::NothingToAccept { acceptance });
        }
        if let Some((_, absent)) = differ.iter().find(|(_, found)| found.is_absence()) {
            return Err(RunError::NotAcceptable { acceptance, difference: absent.difference.clone() });
        }
        let new = differ.into_iter().filter(|(_, found)| found.accepted.is_none());
        accepted.extend(new.map(|(migration, found)| AcceptedDifference {
            acceptance: acceptance.clone(),
            migration: migration.clone(),
            difference: found.difference,
        }));
    }
    Ok(accepted)
}

/// Of an object that no check knows, if it exists: its name as checks write it, and the migration that makes its table, or may
/// adopt that.
async fn besides(
    deployment: &Deployment,
    placed: &Placed,
    migrations: &HashSet<&MigrationName>,
    object: &str,
    options: &RunOptions,
) -> Result<Option<(String, MigrationName)>, RunError> {
    let none = HashSet::new();
    let checks = placed.checks_of(migrations, &none);
    let tables: BTreeMap<&str, &MigrationName> = checks
        .flat_map(|(migration, check)| check.objects().iter().map(move |object| (object.as_str(), migration)))
        .collect();
    let sql = format!(
        "{BOOKKEEPING}SELECT t.relname::text, o.object FROM pg_catalog.pg_class t \
         JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace \
         CROSS JOIN LATERAL (\
           SELECT t.relname || '.' || attname AS object, '' AS qualified FROM pg_catalog.pg_attribute \
           WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped \
           UNION ALL SELECT t.relname || '.' || conname, '' FROM pg_catalog.pg_constraint WHERE conrelid = t.oid \
           UNION ALL SELECT t.relname || '.' || tgname, '' FROM pg_catalog.pg_trigger WHERE tgrelid = t.oid \
           UNION ALL SELECT i.relname, t.relname || '.' || i.relname \
           FROM pg_catalog.pg_index JOIN pg_catalog.pg_class i ON i.oid = indexrelid WHERE indrelid = t.oid) AS o \
         WHERE n.nspname = {} AND t.relkind IN ('r', 'p') AND {} IN (o.object, o.qualified) ORDER BY o.qualified",
        literal(&placed.site.schema),
        literal(object)
    );
    let rows = read(deployment, placed, &sql, options).await?;
    let texts = |row: &PgRow| Ok((row.try_get::<String, _>(0)?, row.try_get::<String, _>(1)?));
    let found = rows.iter().map(texts).collect::<Result<Vec<_>, sqlx::Error>>();
    let url = &deployment.databases()[placed.site.database];
    let found = found.map_err(|source| RunError::unread(url, source))?;
    let known = |(table, object): (String, String)| Some((object, (*tables.get(table.as_str())?).clone()));
    Ok(found.into_iter().find_map(known))
}

/// The migrations that would adopt a table that is there.
async fn adopting<'p>(
    deployment: &Deployment,
    placed: &'p Placed,
    options: &RunOptions,
) -> Result<HashSet<&'p MigrationName>, RunError> {
    let tables: BTreeSet<&str> = placed.service.adoptable().map(String::as_str).collect();
    if tables.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "{BOOKKEEPING}SELECT c.relname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = ANY ({}) AND c.relkind IN ('r', 'p')",
        literal(&placed.site.schema),
        text_array(tables)
    );
    let there: Vec<String> = read(deployment, placed, &sql, options)
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect::<Result<_, _>>()
        .map_err(|source| RunError::unread(&deployment.databases()[placed.site.database], source))?;
    let adopts = |listed: &&Listed| listed.details().adopts.iter().any(|table| there.contains(table));
    Ok(placed.service.migrations().filter(adopts).map(Listed::name).collect())
}

/// The rows of a query, in a transaction of its own.
async fn read(
    deployment: &Deployment,
    placed: &Placed,
    sql: &str,
    options: &RunOptions,
) -> Result<Vec<PgRow>, RunError> {
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open_within(url, options.table_locks.patience).await?;
    let rows = async {
        reading.begin().await?;
        reading.rows(sql).await
    }
    .await;
    reading.close().await;
    rows.map_err(|source| RunError::unread(url, source))
}

/// What is not as these checks say, with the migration of each.
async fn differing<'p>(
    deployment: &Deployment,
    placed: &Placed,
    checks: &[(&'p MigrationName, &Check)],
    has_journal: bool,
    options: &RunOptions,
) -> Result<Vec<(&'p MigrationName, verify::Difference)>, RunError> {
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open_within(url, options.table_locks.patience).await?;
    let mut found = Vec::new();
    let mut failed = None;
    for (migration, check) in checks {
        match verify::differences(&mut reading, placed, [*check].into_iter(), has_journal).await {
            Ok(differences) => found.extend(differences.into_iter().map(|found| (*migration, found))),
            Err(source) => failed = Some(RunError::unread(url, source)),
        }
    }
    reading.close().await;
    failed.map_or(Ok(found), Err)
}

impl Run<'_> {
    /// Writes what was accepted into the journals of its services, each under its migration lock.
    pub(super) async fn record(&self, accepted: &[AcceptedDifference]) -> Result<(), RunError> {
        let services: BTreeSet<&ServiceName> =
            accepted.iter().map(|accepted| &accepted.acceptance.service).collect();
        for placed in services.into_iter().filter_map(|service| self.deployment.placed(service)) {
            let session = self.open(placed).await?;
            let recorded = self.record_of(placed, &session, accepted).await;
            session.close().await;
            recorded?;
        }
        Ok(())
    }

    async fn record_of(
        &self,
        placed: &Placed,
        session: &crate::session::Session,
        accepted: &[AcceptedDifference],
    ) -> Result<(), RunError> {
        let locked = self.take_lock((placed, session)).await?;
        self.read_and_install(&locked).await?;
        for AcceptedDifference { acceptance, migration, difference } in accepted {
            if acceptance.service != *placed.name() {
                continue;
            }
            let entry = Entry {
                run: &self.context.run,
                migration,
                direction: Direction::Apply,
                outcome: Outcome::Accepted,
                elapsed: Duration::ZERO,
                checksum: None,
                error: Some(difference.clone()),
                first_install: false,
                consent: Some(acceptance.object.clone()),
            };
            bookkeeping::record(locked.writer().db(), &placed.site, &self.context.caller, entry)
                .await
                .map_err(|source| RunError::Accept { acceptance: acceptance.clone(), source })?;
        }
        Ok(())
    }
}
