//! The two questions of a survey, and reading their answers: what there is, then what was done.

use std::collections::BTreeMap;
use std::fmt::Write;

use migration_kit::{MigrationName, literal};
use migration_plan::AppliedMigration;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{Access, Holder, JournalFacts, ServerFacts, ServiceFacts, SurveyError};
use crate::deployment::{Deployment, Placed, qualified};
use crate::reading::Reading;
use crate::session::{ConnectError, Session};

/// Oldest server that is supported, as `server_version_num`.
const OLDEST: i32 = 150_000;

/// Asks a database about its services, in one `READ ONLY` transaction.
pub(super) async fn ask(
    deployment: &Deployment,
    database: usize,
    placed: &[&Placed],
) -> Result<(ServerFacts, Vec<ServiceFacts>), SurveyError> {
    let url = &deployment.databases()[database];
    let mut reading = Reading::open(url).await?;
    let failed = |source| SurveyError::Query { database: url.to_string(), source };
    let answer = read(&mut reading, placed).await.map_err(failed)?;
    reading.close().await;
    let (server, services, version_num) = answer;
    if version_num < OLDEST {
        return Err(ConnectError::TooOld { database: url.to_string(), version: server.version }.into());
    }
    Ok((server, services))
}

/// Asks on a session that is in use: no transaction, no connection of its own.
pub(super) async fn ask_on(session: &Session, placed: &[&Placed]) -> Result<Vec<ServiceFacts>, sqlx::Error> {
    let facts = session.rows(&facts_query(placed)).await?;
    let (_, mut services) = read_facts(&facts, placed)?;
    if let Some(query) = history_query(placed, &services, &facts) {
        fill(&mut services, &session.rows(&query).await?)?;
    }
    Ok(services)
}

async fn read(
    reading: &mut Reading<'_>,
    placed: &[&Placed],
) -> Result<(ServerFacts, Vec<ServiceFacts>, i32), sqlx::Error> {
    reading.begin().await?;
    let facts = reading.rows(&facts_query(placed)).await?;
    let version_num = facts.first().ok_or(sqlx::Error::RowNotFound)?.try_get("version_num")?;
    let (server, mut services) = read_facts(&facts, placed)?;
    if let Some(query) = history_query(placed, &services, &facts) {
        fill(&mut services, &reading.rows(&query).await?)?;
    }
    Ok((server, services, version_num))
}

/// What there is: one row a service, the server's facts repeated in each.
fn facts_query(placed: &[&Placed]) -> String {
    let mut values = String::new();
    for (ordinal, p) in placed.iter().enumerate() {
        let externals: Vec<String> =
            p.service.externals().iter().map(|e| literal(&qualified(e.schema, e.table))).collect();
        write!(
            values,
            "{}({ordinal}, {}, {}, {}, {}, ARRAY[{}]::text[])",
            if ordinal == 0 { "" } else { ", " },
            literal(&p.schema),
            literal(p.service.version_table()),
            literal(&p.journal_name()),
            literal(&p.lock_key()),
            externals.join(", "),
        )
        .expect("writing to a string cannot fail");
    }
    format!(
        "/* migrate */ WITH held AS MATERIALIZED (\
           SELECT (l.classid::int8 << 32) | l.objid::int8 AS key, l.pid FROM pg_catalog.pg_lock_status() l \
           WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
         SELECT s.ordinal, current_setting('server_version') AS version, \
                current_setting('server_version_num')::int4 AS version_num, \
                current_database()::text AS database, current_user::text AS \"user\", \
                pg_catalog.pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only, \
                pg_catalog.has_database_privilege(current_database(), 'CREATE') AS may_create_schema, \
                extract(epoch FROM pg_catalog.clock_timestamp())::int8 AS now, \
                s.n IS NOT NULL AS schema_exists, s.v IS NOT NULL AS version_exists, s.j IS NOT NULL AS journal_exists, \
                coalesce(has_schema_privilege(s.n, 'USAGE') AND has_table_privilege(s.v, 'SELECT'), false) AS may_read, \
                coalesce(has_schema_privilege(s.n, 'USAGE') AND has_table_privilege(s.j, 'SELECT'), false) AS may_read_journal, \
                coalesce(has_schema_privilege(s.n, 'CREATE'), has_database_privilege(current_database(), 'CREATE')) AS may_create, \
                coalesce(has_table_privilege(s.v, 'INSERT') AND has_table_privilege(s.v, 'DELETE'), true) \
                  AND coalesce(has_table_privilege(s.j, 'INSERT'), true) AS may_write, \
                ARRAY(SELECT to_regclass(e) IS NOT NULL FROM unnest(s.externals) WITH ORDINALITY AS x(e, o) ORDER BY o) AS externals, \
                h.pid, coalesce(a.application_name, '') AS application, \
                coalesce(pg_catalog.host(a.client_addr), 'local socket') AS host, \
                coalesce(extract(epoch FROM a.backend_start)::int8, 0) AS since \
         FROM (SELECT s.*, n.oid AS n, {version_table} AS v, {journal} AS j \
               FROM (VALUES {values}) AS s(ordinal, schema_name, version_table, journal, lock_key, externals) \
               LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema_name OFFSET 0) AS s \
         LEFT JOIN held h ON h.key = pg_catalog.hashtextextended(s.lock_key, 0) \
         LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(h.pid) a ON h.pid IS NOT NULL \
         ORDER BY s.ordinal",
        version_table = table_in_schema("s.version_table"),
        journal = table_in_schema("s.journal"),
    )
}

/// The number of the table of this name in the schema `n`. One look into an index for each: a new session, which is what
/// asks, plans that faster than joins and finds it faster than by reading the catalog.
fn table_in_schema(name: &str) -> String {
    format!(
        "(SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname = {name} AND c.relnamespace = n.oid \
         AND c.relkind IN ('r', 'p'))"
    )
}

fn read_facts(rows: &[PgRow], placed: &[&Placed]) -> Result<(ServerFacts, Vec<ServiceFacts>), sqlx::Error> {
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let server = ServerFacts {
        version: first.try_get::<String, _>("version")?.split(' ').next().unwrap_or_default().to_owned(),
        database: first.try_get("database")?,
        user: first.try_get("user")?,
        read_only: first.try_get("read_only")?,
        may_create_schema: first.try_get("may_create_schema")?,
        now: first.try_get("now")?,
    };
    let mut services = Vec::with_capacity(placed.len());
    for (row, p) in rows.iter().zip(placed) {
        let version_exists: bool = row.try_get("version_exists")?;
        let access = match (version_exists, row.try_get("may_read")?) {
            (false, _) => Access::Absent,
            (true, true) => Access::Read,
            (true, false) => Access::Forbidden,
        };
        let holder = match row.try_get::<Option<i32>, _>("pid")? {
            Some(pid) => Some(Holder {
                pid,
                application: row.try_get("application")?,
                host: row.try_get("host")?,
                since: row.try_get("since")?,
            }),
            None => None,
        };
        services.push(ServiceFacts {
            service: p.name().clone(),
            access,
            schema_exists: row.try_get("schema_exists")?,
            may_create: row.try_get("may_create")?,
            may_write: row.try_get("may_write")?,
            installed: version_exists && row.try_get("journal_exists")?,
            applied: Vec::new(),
            journal: BTreeMap::new(),
            holder,
            externals: row.try_get("externals")?,
        });
    }
    Ok((server, services))
}

/// What version tables and journals say, of those that exist and may be read; `None` if there are none.
fn history_query(placed: &[&Placed], services: &[ServiceFacts], facts: &[PgRow]) -> Option<String> {
    let (mut versions, mut journals) = (Vec::new(), Vec::new());
    for (ordinal, ((p, found), row)) in placed.iter().zip(services).zip(facts).enumerate() {
        if found.access == Access::Read {
            versions.push(format!(
                "SELECT {ordinal} AS ordinal, true AS version, version::text AS name, applied_at::int8 AS applied_at, \
                 NULL::text AS direction, NULL::text AS outcome, NULL::text AS checksum, NULL::bool AS begun FROM {}",
                p.version_table()
            ));
        }
        if row.get::<bool, _>("journal_exists") && row.get::<bool, _>("may_read_journal") {
            journals.push(format!(
                "SELECT {ordinal} AS ordinal, migration, id, direction, outcome, checksum FROM {}",
                p.journal()
            ));
        }
    }
    let mut parts = versions;
    if !journals.is_empty() {
        // One aggregate over all journals: planning one for each would take longer than running it.
        parts.push(format!(
            "SELECT ordinal, false, migration::text, NULL, (array_agg(direction ORDER BY id DESC))[1], \
             (array_agg(outcome ORDER BY id DESC))[1], (array_agg(checksum ORDER BY id DESC) \
             FILTER (WHERE outcome = 'succeeded' AND direction = 'apply'))[1], \
             coalesce(max(id) FILTER (WHERE outcome = 'running'), 0) \
               > coalesce(max(id) FILTER (WHERE outcome = 'succeeded'), 0) FROM ({}) AS journal GROUP BY ordinal, migration",
            journals.join(" UNION ALL ")
        ));
    }
    if parts.is_empty() {
        return None;
    }
    Some(format!("/* migrate */ {} ORDER BY ordinal, applied_at, name", parts.join(" UNION ALL ")))
}

fn fill(services: &mut [ServiceFacts], rows: &[PgRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        let ordinal = usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX);
        let Some(facts) = services.get_mut(ordinal) else { continue };
        // A name in a version table is never empty in practice; one that is cannot be planned with and is passed over.
        let Ok(name) = row.try_get::<String, _>("name")?.parse::<MigrationName>() else { continue };
        if row.try_get("version")? {
            let applied_at = row.try_get("applied_at")?;
            facts.applied.push(AppliedMigration { name, applied_at });
        } else {
            let journal = JournalFacts {
                direction: row.try_get("direction")?,
                outcome: row.try_get("outcome")?,
                checksum: row.try_get("checksum")?,
                begun: row.try_get("begun")?,
            };
            facts.journal.insert(name, journal);
        }
    }
    Ok(())
}
