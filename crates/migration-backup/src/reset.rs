//! Resetting one service: everything that it owns is dropped, and nothing else; its history stays and says so. Afterwards it is
//! as before its first migration.

use std::collections::BTreeSet;
use std::time::Duration;

use migration_coordinator::{
    Caller, Cancellation, Deployment, Reading, RunError, Survey, WITH_ITS_RELATION, not_of_others, on_its_own,
};
use migration_kit::{ServiceName, literal, qualified, quote_identifier};
use sqlx::{PgConnection, Row};

use crate::attached::in_others;
use crate::error::read;
use crate::owned::{Owned, Relation, begin_locked, identified, list, n_rows, rows, send};
use crate::{BackupError, TableRows};

/// How a service is reset.
#[derive(Clone)]
pub struct ResetOptions {
    /// How long to wait for the migration lock, and for table locks of others.
    pub wait: Duration,
    /// Whether rows may be dropped.
    pub lose_rows: bool,
    /// Whether only to look.
    pub dry_run: bool,
    /// Who does it, for the journal.
    pub caller: Caller,
    /// Stops it.
    pub cancellation: Cancellation,
}

/// What was dropped, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reset {
    /// Its tables, with the number of their rows.
    pub tables: Vec<TableRows>,
    /// Views, sequences, functions and types, in words.
    pub others: Vec<String>,
    /// Migrations that are applied and would be pending.
    pub migrations: Vec<String>,
    /// What of others uses what is dropped, in words: it stops a reset.
    pub used_by: Vec<String>,
    /// Whether it was done.
    pub done: bool,
}

/// Drops what a service owns, in one transaction under its migration lock.
///
/// # Errors
/// [`BackupError`], with nothing changed: [`BackupError::StillUsed`] if others use something of it, [`BackupError::WouldLose`] if
/// it has rows and there is no consent.
pub async fn reset(
    deployment: &Deployment,
    service: &ServiceName,
    options: &ResetOptions,
) -> Result<Reset, BackupError> {
    let survey = options.cancellation.unless_cancelled(Survey::take(deployment)).await;
    let survey = survey.ok_or(RunError::Interrupted)?;
    let required_by = required_by(deployment, &survey, service)?;
    let Some(facts) = survey.service(service).filter(|facts| facts.schema_exists) else {
        return Ok(Reset::default());
    };
    not_of_others(deployment, facts)?;
    let applied = facts.anything_applied().map_err(RunError::Survey)?;
    let migrations: Vec<String> = facts.applied.iter().map(|row| row.name.to_string()).collect();
    let looked_at = |found: Reset| {
        let mut used_by = required_by.clone();
        used_by.extend(found.used_by);
        Reset { migrations: migrations.clone(), used_by, ..found }
    };
    let placed = deployment.service(service).map(|(_, _, database)| database);
    let url = &deployment.databases()[placed.unwrap_or_default()];
    let mut reading = Reading::open(url).await?;
    reading.begin().await.map_err(read(service))?;
    let looking = reading.ask(async |connection| {
        let owned = Owned::read(connection, deployment, service, applied).await?;
        look(connection, deployment, service, &owned).await
    });
    let looked = options.cancellation.unless_cancelled(looking).await.ok_or(RunError::Interrupted)?;
    let before = looked_at(looked.map_err(read(service))?);
    reading.close().await;
    if options.dry_run {
        return Ok(before);
    }
    permit(service, &before, options)?;
    let looked_at = &looked_at;
    let done =
        on_its_own(deployment, service, options.wait, &options.cancellation, |db, applied| async move {
            let pool = db.get_postgres_connection_pool();
            let mut connection = pool.acquire().await.map_err(read(service))?;
            let owned = begin_locked(&mut connection, options.wait, not_reset(service), async |connection| {
                let owned =
                    Owned::read(connection, deployment, service, applied).await.map_err(read(service))?;
                owned.try_lock(connection).await.map_err(read(service))?;
                Ok(owned)
            });
            let owned = owned.await?;
            let done = async {
                let found =
                    look(&mut connection, deployment, service, &owned).await.map_err(read(service))?;
                permit(service, &looked_at(found.clone()), options)?;
                carry_out(&mut connection, deployment, service, &owned, &options.caller).await?;
                Ok::<_, BackupError>(found)
            };
            let done = Box::pin(done).await;
            let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
            let ended = execute(&mut connection, service, end).await;
            done.and_then(|found| ended.map(|()| found))
        });
    Ok(Reset { done: true, ..looked_at(done.await??) })
}

/// Refuses what others use, and what has rows unless that is wanted.
fn permit(service: &ServiceName, found: &Reset, options: &ResetOptions) -> Result<(), BackupError> {
    if !found.used_by.is_empty() {
        return Err(BackupError::StillUsed { service: service.clone(), by: found.used_by.clone() });
    }
    let filled: Vec<TableRows> = found.tables.iter().filter(|table| table.rows > 0).cloned().collect();
    if filled.is_empty() || options.lose_rows {
        return Ok(());
    }
    Err(BackupError::WouldLose { service: service.clone(), tables: filled })
}

/// Applied migrations of other services that require one of this service. One whose history could not be read may.
fn required_by(
    deployment: &Deployment,
    survey: &Survey,
    service: &ServiceName,
) -> Result<Vec<String>, BackupError> {
    if let Some(error) = survey.service(service).and_then(|facts| facts.unread.clone()) {
        return Err(RunError::Survey(error).into());
    }
    let mut by = BTreeSet::new();
    for requirement in deployment.catalog().requirements() {
        let (dependent, required) = (requirement.dependent, requirement.required);
        if required.service != *service || dependent.service == *service {
            continue;
        }
        let Some(facts) = survey.service(&dependent.service) else { continue };
        if let Some(error) = facts.unread.clone() {
            return Err(RunError::Survey(error).into());
        }
        if facts.applied.iter().any(|row| row.name == dependent.name) {
            by.insert(format!("migration {dependent}, which requires {}", required.name));
        }
    }
    Ok(by.into_iter().collect())
}

/// The tables that stay: the first two, the version table and the journal, and those in place of another runner's.
fn kept(deployment: &Deployment, service: &ServiceName) -> Vec<String> {
    let tables = deployment.bookkeeping_tables(service);
    tables.iter().take(2).chain(tables.iter().skip(4)).cloned().collect()
}

/// What is in the service's own schema beside what a reset leaves there; nothing where there is none.
pub(crate) async fn beside_history(
    connection: &mut PgConnection,
    deployment: &Deployment,
    service: &ServiceName,
) -> Result<Vec<String>, sqlx::Error> {
    let schema = deployment.service(service).map_or("", |(_, schema, _)| schema);
    remains(connection, schema, &kept(deployment, service)).await
}

/// The service's relations that go.
fn going<'o>(owned: &'o Owned, kept: &'o [String]) -> impl Iterator<Item = &'o Relation> {
    owned.own().filter(|relation| relation.schema != owned.schemas[0] || !kept.contains(&relation.name))
}

/// What would be dropped, and what of others uses it.
async fn look(
    connection: &mut PgConnection,
    deployment: &Deployment,
    service: &ServiceName,
    owned: &Owned,
) -> Result<Reset, sqlx::Error> {
    // Names that the server writes have their schema then.
    rows(connection, "SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)").await?;
    let (kept, bookkeeping) = (kept(deployment, service), deployment.bookkeeping_tables(service));
    let mut found = Reset::default();
    for relation in going(owned, &kept) {
        let Relation { schema, name, kind, .. } = relation;
        let is_bookkeeping = *schema == owned.schemas[0] && bookkeeping.contains(name);
        match kind.as_str() {
            "r" | "p" if !is_bookkeeping => {
                let rows = n_rows(connection, schema, name).await?;
                found.tables.push(TableRows { schema: schema.clone(), name: name.clone(), rows });
            }
            "v" => found.others.push(format!("view {schema}.{name}")),
            "m" => found.others.push(format!("materialized view {schema}.{name}")),
            "f" => found.others.push(format!("foreign table {schema}.{name}")),
            "S" if !relation.follows => found.others.push(format!("sequence {schema}.{name}")),
            _ => {}
        }
    }
    let statements = routines_and_types(connection, owned).await?;
    found.others.extend(statements.into_iter().map(|(what, _)| what));
    found.used_by = used_by(connection, owned).await?;
    // A table that is in one of others depends on that, and not that on it; its rows are gone from there all the same.
    let parents = in_others(connection, owned).await?;
    found.used_by.extend(parents.into_iter().map(|of| format!("table {}", of.parent)));
    Ok(found)
}

/// A condition on the number of a function or type in the first schema: all of them, or the service's own.
fn own(owned: &Owned, oid: &str) -> String {
    if !owned.shares {
        return "true".to_owned();
    }
    let numbers: Vec<String> = owned.own_routines_and_types.iter().map(ToString::to_string).collect();
    format!("{oid}::int8 = ANY (ARRAY[{}]::int8[])", numbers.join(", "))
}

/// The service's functions and types in words, each with the statement that drops it.
async fn routines_and_types(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let schema = literal(&owned.schemas[0]);
    let sql = format!(
        "SELECT 'function ' || p.oid::pg_catalog.regprocedure, \
           'DROP ROUTINE IF EXISTS ' || p.oid::pg_catalog.regprocedure || ' CASCADE' \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         WHERE n.nspname = {schema} AND {of_functions} AND {no_member_p} \
         UNION ALL SELECT 'type ' || pg_catalog.format_type(y.oid, NULL), \
           format('DROP TYPE IF EXISTS %I.%I CASCADE', n.nspname, y.typname) \
         FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace \
         LEFT JOIN pg_catalog.pg_class k ON k.oid = y.typrelid \
         WHERE n.nspname = {schema} AND (y.typtype IN ('e', 'd', 'r') OR k.relkind = 'c') AND {of_types} AND {no_member_y} \
         ORDER BY 1",
        of_functions = own(owned, "p.oid"),
        of_types = own(owned, "y.oid"),
        no_member_p = no_member("pg_proc", "p.oid"),
        no_member_y = no_member("pg_type", "y.oid"),
    );
    rows(connection, &sql).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// That an object is no extension's.
fn no_member(catalog: &str, oid: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass \
         AND x.objid = {oid} AND x.deptype = 'e')"
    )
}

/// What depends on something of the service and is not its own, in the server's words. A membership in a publication, a cast
/// and rights that will be given go with what they are of.
async fn used_by(connection: &mut PgConnection, owned: &Owned) -> Result<Vec<String>, sqlx::Error> {
    let names: Vec<String> = owned
        .own()
        .map(|Relation { schema, name, .. }| format!("({}, {})", literal(schema), literal(name)))
        .collect();
    let relations = if names.is_empty() { "('', '')".to_owned() } else { names.join(", ") };
    let whole = || owned.schemas.iter().skip(usize::from(owned.shares));
    let (whole, identified) = (list(whole()), identified(whole()));
    let first = literal(&owned.schemas[0]);
    let sql = format!(
        "WITH relation AS (\
           SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE (n.nspname::text, c.relname::text) IN ({relations}) OR n.nspname IN ({whole})), \
         own AS (\
           SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid AS classid, oid AS objid FROM relation \
           UNION SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid FROM pg_catalog.pg_index \
             WHERE indrelid IN (SELECT oid FROM relation) \
           UNION SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid FROM pg_catalog.pg_type \
             WHERE typrelid IN (SELECT oid FROM relation) \
           UNION SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, y.oid FROM pg_catalog.pg_type y \
             JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace WHERE n.nspname IN ({whole}) \
               OR n.nspname = {first} AND {of_types} AND (y.typtype <> 'b' OR y.typelem <> 0) AND y.typrelid = 0 \
           UNION SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid FROM pg_catalog.pg_proc p \
             JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ({whole}) \
               OR n.nspname = {first} AND {of_functions}), \
         own_and_arrays AS (SELECT * FROM own UNION SELECT classid, y.typarray FROM own JOIN pg_catalog.pg_type y ON y.oid = objid \
           WHERE classid = 'pg_catalog.pg_type'::pg_catalog.regclass) \
         SELECT DISTINCT CASE WHEN w.oid IS NOT NULL \
             THEN pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, w.ev_class, 0) \
             ELSE pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) END \
         FROM own_and_arrays o JOIN pg_catalog.pg_depend d ON d.refclassid = o.classid AND d.refobjid = o.objid \
         {WITH_ITS_RELATION} \
         LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid \
         WHERE d.deptype IN ('n', 'a', 'i') AND c.relkind IS DISTINCT FROM 't' \
           AND d.classid NOT IN ('pg_catalog.pg_publication_rel'::pg_catalog.regclass, \
             'pg_catalog.pg_publication_namespace'::pg_catalog.regclass, 'pg_catalog.pg_default_acl'::pg_catalog.regclass, \
             'pg_catalog.pg_cast'::pg_catalog.regclass) \
           AND NOT EXISTS (SELECT FROM own_and_arrays WHERE (classid, objid) = CASE WHEN home.relation IS NOT NULL \
             THEN ('pg_catalog.pg_class'::pg_catalog.regclass::oid, home.relation) \
             WHEN k.contypid <> 0 THEN ('pg_catalog.pg_type'::pg_catalog.regclass::oid, k.contypid) \
             ELSE (d.classid, d.objid) END) \
           AND NOT coalesce((pg_catalog.pg_identify_object(d.classid, d.objid, d.objsubid)).schema IN ({identified}), false) \
         ORDER BY 1",
        of_functions = own(owned, "p.oid"),
        of_types = own(owned, "y.oid"),
    );
    rows(connection, &sql).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Drops it, and writes into the history that it is gone.
async fn carry_out(
    connection: &mut PgConnection,
    deployment: &Deployment,
    service: &ServiceName,
    owned: &Owned,
    caller: &Caller,
) -> Result<(), BackupError> {
    let schema = &owned.schemas[0];
    let kept = kept(deployment, service);
    let is_there =
        |table: &String| owned.own().any(|relation| relation.schema == *schema && relation.name == *table);
    let history = deployment.history_sql(service, &caller.tool);
    if let Some(history) = history.filter(|_| !kept[..2].iter().all(is_there)) {
        for sql in history.install() {
            execute(connection, service, &sql).await?;
        }
    }
    let statements = routines_and_types(connection, owned).await.map_err(read(service))?;
    let own = |relation: &&Relation| relation.schema == *schema && !relation.follows;
    for relation in going(owned, &kept).filter(own) {
        let sql = format!("DROP {} IF EXISTS {} CASCADE", relation.keyword(), relation.qualified());
        execute(connection, service, &sql).await?;
    }
    for (_, sql) in statements {
        execute(connection, service, &sql).await?;
    }
    for further in owned.schemas.iter().skip(1) {
        let sql = format!("DROP SCHEMA IF EXISTS {} CASCADE", quote_identifier(further));
        execute(connection, service, &sql).await?;
    }
    if !owned.shares {
        let remains = remains(connection, schema, &kept).await.map_err(read(service))?;
        if !remains.is_empty() {
            return Err(BackupError::Remains { service: service.clone(), what: remains });
        }
    }
    let [versions, journal] = [0, 1].map(|place| qualified(schema, &kept[place]));
    let record = format!(
        "INSERT INTO {journal} (run, migration, direction, started_at, finished_at, outcome, host, tool, first_install, consent) \
         SELECT {}, migration, 'revert', pg_catalog.now(), pg_catalog.clock_timestamp(), 'succeeded', {}, {}, true, 'reset' \
         FROM (SELECT version::text AS migration, applied_at FROM {versions} \
           UNION SELECT migration, 0 FROM {journal} GROUP BY migration \
             HAVING max(id) FILTER (WHERE outcome = 'running') > \
               coalesce(max(id) FILTER (WHERE outcome IN ('succeeded', 'unchanged')), 0)) AS gone \
         ORDER BY applied_at DESC, migration DESC",
        literal(&format!("{:016x}", fastrand::u64(..))),
        literal(&caller.host),
        literal(&caller.tool),
    );
    execute(connection, service, &record).await?;
    for table in kept.iter().filter(|table| **table != kept[1]) {
        execute(connection, service, &format!("DELETE FROM {}", qualified(schema, table))).await?;
    }
    Ok(())
}

/// What is left in the service's own schema beside these tables: kinds of objects that are not dropped by kind.
async fn remains(
    connection: &mut PgConnection,
    schema: &str,
    kept: &[String],
) -> Result<Vec<String>, sqlx::Error> {
    let sql = format!(
        "WITH kept AS (SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relnamespace = {schema} AND c.relname IN ({kept})) \
         SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_depend d \
         WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND d.refobjid = {schema} AND d.deptype = 'n' \
           AND d.classid NOT IN ('pg_catalog.pg_extension'::pg_catalog.regclass, 'pg_catalog.pg_default_acl'::pg_catalog.regclass, \
             'pg_catalog.pg_publication_namespace'::pg_catalog.regclass) \
           AND NOT (d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND (d.objid IN (SELECT oid FROM kept) \
             OR d.objid IN (SELECT objid FROM pg_catalog.pg_depend WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND refobjid IN (SELECT oid FROM kept)))) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x WHERE x.classid = d.classid AND x.objid = d.objid AND x.deptype = 'e') \
         ORDER BY 1",
        schema = format!("{}::pg_catalog.regnamespace", literal(&quote_identifier(schema))),
        kept = list(kept),
    );
    rows(connection, &sql).await?.iter().map(|row| row.try_get(0)).collect()
}

async fn execute(connection: &mut PgConnection, service: &ServiceName, sql: &str) -> Result<(), BackupError> {
    send(connection, sql).await.map_err(not_reset(service))
}

fn not_reset(service: &ServiceName) -> impl Fn(sqlx::Error) -> BackupError {
    move |source| BackupError::NotReset { service: service.clone(), source }
}
