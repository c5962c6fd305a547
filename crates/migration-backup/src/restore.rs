//! Restoring one service: what is there is set aside, what the archive holds is made in its place and checked, all in one
//! transaction under the service's migration lock. What was set aside stays until an operator drops it.
//! It is long because what is looked at before is beside what is refused for it.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use migration_coordinator::{
    Applied, Caller, Cancellation, Deployment, MoveMark, OwnRun, Place, Reading, RunError, ServiceFacts,
    Survey, SurveyError, WITH_ITS_RELATION, not_of_others, on_its_own, under_lock,
};
use migration_kit::{ServiceName, quote_identifier};
use postgres_sandbox::Search;
use sqlx::{PgConnection, Row};

mod former_names;
pub(crate) mod replace;

use self::replace::{Work, execute};
use crate::aside::Aside;
use crate::attached::is_in_no_other;
use crate::error::read;
use crate::manifest::{External, Server};
use crate::moving::marked;
use crate::needs;
use crate::outside::missing;
use crate::owned::{Owned, list, rows};
use crate::{BackupError, Manifest, TableRows, place};

/// How a backup is restored.
#[derive(Clone)]
pub struct RestoreOptions {
    /// How long to wait for the migration lock, and for table locks of others.
    pub wait: Duration,
    /// Whether rows that are there may be replaced.
    pub replace: bool,
    /// Whether owners and rights are left out.
    pub no_owner: bool,
    /// Whether the backup may be of another database than the one that it replaces a service of.
    pub from_elsewhere: bool,
    /// Whether only to look.
    pub dry_run: bool,
    /// Where PostgreSQL's programs are.
    pub search: Search,
    /// Who restores, for the journal.
    pub caller: Caller,
    /// The work that is taken back: services that others have changed since it began are refused.
    pub own: Option<OwnRun>,
    /// Stops it.
    pub cancellation: Cancellation,
}

/// What was restored, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// What the backup is.
    pub manifest: Manifest,
    /// Schemas in which that is kept which was there before.
    pub kept_in: Vec<String>,
    /// The tables, before and after.
    pub tables: Vec<RestoredTable>,
    /// Migrations that are applied now and are not in the backup: pending afterwards.
    pub pending_again: Vec<String>,
    /// Tablespaces of its tables and indexes that are not there, so that everything is in the one that is the database's own.
    pub absent_tablespaces: Vec<String>,
    /// Whether it was done.
    pub done: bool,
}

/// A table before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredTable {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// How many rows it has now; `None` if there is none.
    pub rows_before: Option<i64>,
    /// How many it has in the backup; `None` if it is not in there.
    pub rows_after: Option<i64>,
}

/// Restores a service from an archive.
///
/// # Errors
/// [`BackupError`], with nothing changed.
pub async fn restore(
    deployment: &Deployment,
    file: &Path,
    options: &RestoreOptions,
) -> Result<Restored, BackupError> {
    let manifest = whole(file)?;
    let unfit = |why: String| BackupError::Unfit { service: manifest.service.clone(), why };
    let name = manifest.service.parse::<ServiceName>().ok();
    let Some((name, (placed, schema, database))) =
        name.and_then(|name| Some((name.clone(), deployment.service(&name)?)))
    else {
        return Err(unfit("this program has no service of that name".to_owned()));
    };
    if schema != manifest.schema || placed.further_schemas() != manifest.further_schemas {
        return Err(unfit(format!("it lives in `{schema}`, and the backup is of `{}`", manifest.schema)));
    }
    let survey = options.cancellation.unless_cancelled(Survey::take(deployment)).await;
    let survey = survey.ok_or(RunError::Interrupted)?;
    let pending_again = fits(deployment, &survey, &name, &manifest).map_err(unfit)??;
    let url = &deployment.databases()[database];
    let failed = read(&name);
    let mut reading = Reading::open(url).await?;
    reading.begin().await.map_err(&failed)?;
    let there = survey.service(&name).filter(|facts| facts.schema_exists);
    let applied = there.map(ServiceFacts::anything_applied).transpose().map_err(RunError::Survey)?;
    let looking = reading.ask(async |connection| {
        let missing = missing(connection, &manifest.outside).await?;
        let owners = manifest.owners.iter().filter(|_| !options.no_owner);
        let roles =
            needs::absent_roles(connection, &owners.chain(&manifest.roles).cloned().collect()).await?;
        let tablespaces =
            needs::absent_tablespaces(connection, &manifest.tablespaces.iter().cloned().collect()).await?;
        let before = look(connection, deployment, &name, applied).await?;
        Ok::<_, sqlx::Error>((before, missing, roles, tablespaces))
    });
    let looked = options.cancellation.unless_cancelled(looking).await.ok_or(RunError::Interrupted)?;
    let (before, missing, absent_roles, absent_tablespaces) = looked.map_err(&failed)?;
    if let Some(own) = &options.own {
        reading.ask(|connection| own.is_alone(connection, deployment, &name)).await?;
    }
    if let Some(owned) = &before.owned {
        reading.ask(|connection| is_in_no_other(connection, &name, owned)).await?;
    }
    reading.close().await;
    let n_rows: i64 = before.tables.iter().map(|table| table.rows).sum();
    let is_elsewhere = (&before.server.identifier, &before.server.database)
        != (&manifest.server.identifier, &manifest.server.database);
    if is_elsewhere && n_rows > 0 && !options.from_elsewhere {
        let from = manifest.server;
        return Err(BackupError::Elsewhere {
            service: name.clone(),
            database: from.database,
            server: from.identifier,
        });
    }
    if let Some(missing) = missing {
        return Err(unfit(missing));
    }
    if !absent_roles.is_empty() {
        return Err(BackupError::NoRoles { service: name.clone(), done: "restored", roles: absent_roles });
    }
    let (from, to) = (manifest.server.major(), before.server.major());
    if from > to {
        return Err(unfit(format!("it is of PostgreSQL {from}, which is newer than the server's {to}")));
    }
    if let Some(dependants) = &before.dependants {
        return Err(unfit(format!("{dependants} would still use what is replaced")));
    }
    let n_schemas = before.owned.as_ref().map_or(0, |owned| owned.schemas.len());
    let mut restored = Restored {
        kept_in: Aside::BeforeRestore.schemas(&name, n_schemas),
        tables: side_by_side(&before.tables, &manifest.tables),
        manifest,
        pending_again,
        absent_tablespaces,
        done: false,
    };
    if options.dry_run {
        return Ok(restored);
    }
    if n_rows > 0 && !options.replace {
        return Err(BackupError::WouldReplace { service: name.clone(), n_rows });
    }
    let major = before.server.major();
    let found = options.search.clone().clients(major);
    let clients = found.map_err(|missing| BackupError::NoClients { major, missing: Box::new(missing) })?;
    let (consent, aside) = ("restored", Aside::BeforeRestore);
    let archive = file.with_extension("dump");
    let (restoring, clients, service) = (&restored, &clients, &name);
    let applied = applied.unwrap_or(Applied::Nothing);
    let work = Work {
        deployment,
        service,
        applied,
        file,
        archive,
        restored: restoring,
        clients,
        options,
        consent,
        aside,
    };
    let done = on_its_own(deployment, &name, options.wait, &options.cancellation, |db, applied| async move {
        let pool = db.get_postgres_connection_pool();
        let mut connection = pool.acquire().await.map_err(read(work.service))?;
        if let Some(own) = &work.options.own {
            own.is_alone(&mut connection, work.deployment, work.service).await?;
        }
        Box::pin(Work { applied, ..work }.carry_out(&mut connection)).await
    });
    Box::pin(done).await??;
    restored.done = true;
    Ok(restored)
}

/// Drops what was set aside when a service was restored or moved. Gives the schemas.
///
/// # Errors
/// [`BackupError`], with nothing dropped; [`BackupError::WouldDrop`] without consent.
pub async fn drop_old(
    deployment: &Deployment,
    service: &ServiceName,
    options: &RestoreOptions,
) -> Result<Vec<String>, BackupError> {
    // Who takes the way back renames what was set aside: the comment stays, and the schema is in use again.
    let in_use = deployment.services().map(|(_, schema, _)| schema.to_owned());
    let sql = format!(
        "SELECT n.nspname::text FROM pg_catalog.pg_namespace n \
         WHERE {} AND n.nspname NOT IN ({}) ORDER BY 1",
        Aside::is_one(service),
        list(in_use)
    );
    // While it waits for the lock, a restore may set more aside, which nobody has named.
    let Some((_, _, database)) = deployment.service(service) else { return Ok(Vec::new()) };
    let mut reading = Reading::open(&deployment.databases()[database]).await?;
    reading.begin().await.map_err(read(service))?;
    let named = reading.ask(|connection| schemas_of(connection, &sql)).await.map_err(read(service))?;
    reading.close().await;
    let dropping = under_lock(
        Place::Any,
        deployment,
        service,
        options.wait,
        &options.cancellation,
        |db| async move {
            let pool = db.get_postgres_connection_pool();
            let mut connection = pool.acquire().await.map_err(read(service))?;
            // It may be all that there is of it.
            let mark = marked(&mut connection, deployment, service).await.map_err(read(service))?;
            if let Some(arriving @ MoveMark::Arriving { .. }) = mark {
                let arriving = SurveyError::of_mark(service.clone(), arriving);
                return Err(RunError::Survey(Arc::new(arriving)).into());
            }
            let mut schemas = schemas_of(&mut connection, &sql).await.map_err(read(service))?;
            schemas.retain(|schema| named.contains(schema));
            let of = list(&schemas);
            let relations = format!(
                "SELECT c.oid::int8 FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname IN ({of})"
            );
            if let Some(others) =
                dependants(&mut connection, &relations, "true").await.map_err(read(service))?
            {
                let why = format!("{others} uses what was set aside");
                return Err(BackupError::Unfit { service: service.to_string(), why });
            }
            if schemas.is_empty() || options.dry_run {
                return Ok(schemas);
            }
            if !options.replace {
                return Err(BackupError::WouldDrop { service: service.clone(), schemas });
            }
            let names: Vec<String> = schemas.iter().map(|schema| quote_identifier(schema)).collect();
            let sql = format!("DROP SCHEMA {} CASCADE", names.join(", "));
            execute(&mut connection, service, &sql).await?;
            Ok(schemas)
        },
    );
    dropping.await?
}

/// The names that a question gives.
async fn schemas_of(connection: &mut PgConnection, sql: &str) -> Result<Vec<String>, sqlx::Error> {
    rows(connection, sql).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Reads the manifest, and looks whether the archive is as it says.
fn whole(file: &Path) -> Result<Manifest, BackupError> {
    let (archive, place) = (file.with_extension("dump"), file.with_extension("json"));
    let unreadable = |why: String| BackupError::Unreadable { file: file.to_owned(), why };
    let has_manifest = place.try_exists().unwrap_or(true);
    if file.is_dir() && file != archive && !has_manifest {
        return Err(unreadable("it is a directory".to_owned()));
    }
    match fs::File::open(&archive) {
        // Where there is a manifest, it is damaged.
        Err(error) if error.kind() == ErrorKind::NotFound && has_manifest => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let why =
                if file.exists() { "it is not the archive of a backup" } else { "there is no such file" };
            return Err(unreadable(why.to_owned()));
        }
        Err(error) => return Err(unreadable(error.to_string())),
        Ok(_) if !has_manifest => {
            let what = "it has no manifest beside it: it was interrupted, or is another program's".to_owned();
            return Err(BackupError::Damaged { file: file.to_owned(), what });
        }
        Ok(_) => {}
    }
    let text =
        fs::read(&place).map_err(|error| unreadable(format!("its manifest cannot be read: {error}")))?;
    let text = String::from_utf8_lossy(&text);
    let directory = file.parent().unwrap_or(Path::new("."));
    let listed = place::of_manifest(directory, &place, &text);
    let damaged = |what| BackupError::Damaged { file: file.to_owned(), what };
    match (listed.manifest, listed.problem) {
        (_, Some(place::Problem::Damaged(what) | place::Problem::Incomplete(what))) => Err(damaged(what)),
        (None, None) => Err(damaged("its manifest cannot be read".to_owned())),
        (Some(Manifest { external: Some(External { name, .. }), .. }), None) => {
            Err(BackupError::External { file: place, name })
        }
        (Some(manifest), None) if archive != directory.join(&manifest.archive) => {
            Err(damaged("its manifest is of another archive".to_owned()))
        }
        (Some(manifest), None) => Ok(manifest),
    }
}

/// Whether the backup's history fits this program and the other services, and what is pending again afterwards.
fn fits(
    deployment: &Deployment,
    survey: &Survey,
    name: &ServiceName,
    manifest: &Manifest,
) -> Result<Result<Vec<String>, BackupError>, String> {
    let catalog = deployment.catalog();
    let known = catalog.service(name).map_or(&[][..], |known| &known.migrations);
    let is_known = |applied: &&String| known.iter().any(|known| known.name.as_str() == applied.as_str());
    if let Some(unknown) = manifest.migrations.iter().find(|applied| !is_known(applied)) {
        return Err(format!("its history has `{unknown}`, which this build does not know"));
    }
    let Some(facts) = survey.service(name) else { return Err("its database was not asked".to_owned()) };
    if let Some(unread) = facts.unread.clone() {
        return Ok(Err(RunError::Survey(unread).into()));
    }
    if let Err(of_others) = not_of_others(deployment, facts) {
        return Ok(Err(of_others.into()));
    }
    let is_in_backup = |name: &str| manifest.migrations.iter().any(|applied| applied == name);
    for requirement in catalog.requirements() {
        let (dependent, required) = (requirement.dependent, requirement.required);
        let is_applied = |id: &migration_kit::MigrationId| {
            if id.service == *name {
                return is_in_backup(id.name.as_str());
            }
            survey
                .service(&id.service)
                .is_some_and(|facts| facts.applied.iter().any(|row| row.name == id.name))
        };
        let crosses = (dependent.service == *name) != (required.service == *name);
        if crosses && is_applied(dependent) && !is_applied(required) {
            return Err(format!("`{dependent}` is applied, and requires `{required}`, which would not be"));
        }
    }
    let now = facts.applied.iter().map(|row| row.name.to_string());
    Ok(Ok(now.filter(|applied| !is_in_backup(applied)).collect()))
}

/// What is there before.
struct Before {
    owned: Option<Owned>,
    tables: Vec<TableRows>,
    dependants: Option<String>,
    server: Server,
}

async fn look(
    connection: &mut PgConnection,
    deployment: &Deployment,
    service: &ServiceName,
    applied: Option<Applied>,
) -> Result<Before, sqlx::Error> {
    let (mut owned, mut tables, mut others) = (None, Vec::new(), None);
    if let Some(applied) = applied {
        let found = Owned::read(connection, deployment, service, applied).await?;
        tables = found.count(connection).await?;
        others = dependants(connection, &found.oids(), former_names::IS_NONE).await?;
        owned = Some(found);
    }
    let server = Server::read(connection).await?;
    Ok(Before { owned, tables, dependants: others, server })
}

/// What depends on these relations and is none of them, and of which a condition on `c` holds: views, foreign keys, defaults,
/// policies and columns of their row types; and functions of other schemas, as far as PostgreSQL knows what they use (`BEGIN ATOMIC`,
/// a row type in their signature).
pub(crate) async fn dependants(
    connection: &mut PgConnection,
    relations: &str,
    condition: &str,
) -> Result<Option<String>, sqlx::Error> {
    let sql = format!(
        "WITH own AS ({relations}), types AS (\
           SELECT t.oid FROM pg_catalog.pg_type t JOIN pg_catalog.pg_class r ON t.oid = r.reltype OR t.typelem = r.reltype \
           WHERE r.reltype <> 0 AND r.oid IN (SELECT oid::oid FROM own)), users AS (\
           SELECT d.classid, d.objid, \
             coalesce(home.relation, CASE WHEN d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass THEN d.objid END) AS relation \
           FROM pg_catalog.pg_depend d {WITH_ITS_RELATION} \
           WHERE (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid IN (SELECT oid::oid FROM own) \
             OR d.refclassid = 'pg_catalog.pg_type'::pg_catalog.regclass AND d.refobjid IN (SELECT oid FROM types)) \
             AND d.classid IN ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass, 'pg_catalog.pg_rewrite'::pg_catalog.regclass, 'pg_catalog.pg_constraint'::pg_catalog.regclass, \
               'pg_catalog.pg_attrdef'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass, \
               'pg_catalog.pg_class'::pg_catalog.regclass)) \
         SELECT DISTINCT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' ELSE 'table ' END \
           || '`' || n.nspname || '.' || c.relname || '`' \
         FROM users JOIN pg_catalog.pg_class c ON c.oid = users.relation \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid NOT IN (SELECT oid::oid FROM own) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' \
           AND {condition} \
         UNION SELECT 'function `' || n.nspname || '.' || p.proname || '`' \
         FROM users JOIN pg_catalog.pg_proc p ON users.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.oid = users.objid \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.oid NOT IN (SELECT r.relnamespace FROM pg_catalog.pg_class r WHERE r.oid IN (SELECT oid::oid FROM own)) ORDER BY 1"
    );
    let names: Result<Vec<String>, _> =
        rows(connection, &sql).await?.iter().map(|row| row.try_get(0)).collect();
    Ok(Some(names?.join(", ")).filter(|names| !names.is_empty()))
}

fn side_by_side(before: &[TableRows], after: &[TableRows]) -> Vec<RestoredTable> {
    let names: BTreeSet<(&str, &str)> =
        before.iter().chain(after).map(|table| (table.schema.as_str(), table.name.as_str())).collect();
    let of = |tables: &[TableRows], (schema, name): (&str, &str)| {
        tables.iter().find(|table| table.schema == schema && table.name == name).map(|table| table.rows)
    };
    let table = |(schema, name): (&str, &str)| RestoredTable {
        schema: schema.to_owned(),
        name: name.to_owned(),
        rows_before: of(before, (schema, name)),
        rows_after: of(after, (schema, name)),
    };
    names.into_iter().map(table).collect()
}
