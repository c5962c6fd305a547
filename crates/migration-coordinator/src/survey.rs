//! Reading: what the servers say of all services, at one moment, without changing anything.
//!
//! One session a server, one `READ ONLY` transaction, two questions: what there is (catalogs, rights, locks), then what
//! the version tables and journals say. It works on a standby and for a role that may only `SELECT`; a table that the
//! role may not read is reported as such, never as empty.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use futures_util::future::join_all;
use migration_kit::{MigrationName, ServiceName, literal};
use migration_plan::{AppliedMigration, History};
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, Connection, Row};

use crate::deployment::{Deployment, Placed, qualified};
use crate::session::{self, ConnectError, Session};

/// Oldest server that is supported, as `server_version_num`.
const OLDEST: i32 = 150_000;

/// Why a database could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The server could not answer.
    #[error("`{database}` could not be read")]
    Query {
        /// The database, without its password.
        database: String,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
}

/// What all servers say, at one moment each.
#[derive(Debug, Clone)]
pub struct Survey {
    /// One entry a database, in the order of [`Deployment::databases`].
    pub databases: Vec<Result<ServerFacts, Arc<SurveyError>>>,
    /// One entry a service that was asked for, in the order of the deployment.
    pub services: Vec<ServiceFacts>,
}

/// What a server says of itself and of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Version as the server writes it: `15.18`.
    pub version: String,
    /// Database that we are connected to.
    pub database: String,
    /// Role that we are.
    pub user: String,
    /// Whether nothing can be written: a standby, or read-only by setting.
    pub read_only: bool,
    /// Whether we may create schemas.
    pub may_create_schema: bool,
    /// The server's clock, in seconds since 1970.
    pub now: i64,
}

/// Whether a service's version table can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It was read.
    Read,
    /// There is none.
    Absent,
    /// There is one, and our role may not read it.
    Forbidden,
    /// The database could not be asked.
    Unreachable,
}

/// What the server says of one service.
#[derive(Debug, Clone)]
pub struct ServiceFacts {
    /// The service.
    pub service: ServiceName,
    /// Whether its version table could be read.
    pub access: Access,
    /// Whether its schema exists.
    pub schema_exists: bool,
    /// Whether we may create tables in its schema, or create the schema.
    pub may_create: bool,
    /// Whether we may write its version table and journal, where they exist.
    pub may_write: bool,
    /// Whether version table, journal and reject table all exist.
    pub installed: bool,
    /// What the version table says, in the order of application as far as it tells.
    pub applied: Vec<AppliedMigration>,
    /// What the journal says last of each migration that it knows.
    pub journal: BTreeMap<MigrationName, JournalFacts>,
    /// Who holds the migration lock.
    pub holder: Option<Holder>,
    /// Which of the service's external tables exist, in the order in which it declares them.
    pub externals: Vec<bool>,
}

/// What the journal says last of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFacts {
    /// `apply` or `revert`.
    pub direction: String,
    /// `running`, `succeeded`, `failed` or `interrupted`.
    pub outcome: String,
    /// Checksum of the SQL when it was last applied with success.
    pub checksum: Option<String>,
}

/// Who holds a migration lock.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Holder {
    /// Process id of the server process.
    pub pid: i32,
    /// Its `application_name`: the tool, and the migration it runs.
    pub application: String,
    /// Where it connects from.
    pub host: String,
    /// Since when it is connected, in seconds since 1970.
    pub since: i64,
}

impl Survey {
    /// Asks all databases of a deployment at once.
    pub async fn take(deployment: &Deployment) -> Self {
        let all: Vec<&Placed> = deployment.placements().iter().collect();
        let asked = (0..deployment.databases().len()).map(|index| {
            let placed: Vec<&Placed> = all.iter().copied().filter(|p| p.database == index).collect();
            async move { ask(deployment, index, &placed).await }
        });
        let mut databases = Vec::new();
        let mut found: BTreeMap<&ServiceName, ServiceFacts> = BTreeMap::new();
        for (index, answer) in join_all(asked).await.into_iter().enumerate() {
            let placed = all.iter().filter(|p| p.database == index);
            match answer {
                Ok((server, services)) => {
                    found.extend(placed.map(|p| p.name()).zip(services));
                    databases.push(Ok(server));
                }
                Err(error) => {
                    found.extend(placed.map(|p| (p.name(), ServiceFacts::unreachable(p))));
                    databases.push(Err(Arc::new(error)));
                }
            }
        }
        let services = all.iter().filter_map(|p| found.remove(p.name())).collect();
        Self { databases, services }
    }

    /// Asks again on a session that holds the migration locks of these services.
    pub(crate) async fn take_on(
        session: &Session,
        placed: &[&Placed],
    ) -> Result<Vec<ServiceFacts>, sqlx::Error> {
        let facts = session.rows(&facts_query(placed)).await?;
        let (_, mut services) = read_facts(&facts, placed)?;
        if let Some(query) = history_query(placed, &services, &facts) {
            fill(&mut services, &session.rows(&query).await?)?;
        }
        Ok(services)
    }

    /// What the version tables say, for planning.
    #[must_use]
    pub fn history(&self) -> History {
        history(&self.services)
    }

    /// What was found of a service.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceFacts> {
        self.services.iter().find(|facts| facts.service == *name)
    }

    /// The latest clock among the servers, in seconds since 1970; 0 if none answered.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.databases.iter().flatten().map(|server| server.now).max().unwrap_or(0)
    }
}

/// What the version tables of these services say, for planning.
pub(crate) fn history(services: &[ServiceFacts]) -> History {
    let mut history = History::new();
    for facts in services {
        match facts.access {
            Access::Read => history.record(facts.service.clone(), facts.applied.clone()),
            Access::Absent => history.record_absent(facts.service.clone()),
            Access::Forbidden | Access::Unreachable => {}
        }
    }
    history
}

impl ServiceFacts {
    fn unreachable(placed: &Placed) -> Self {
        Self {
            service: placed.name().clone(),
            access: Access::Unreachable,
            schema_exists: false,
            may_create: false,
            may_write: false,
            installed: false,
            applied: Vec::new(),
            journal: BTreeMap::new(),
            holder: None,
            externals: vec![false; placed.service.externals().len()],
        }
    }
}

async fn ask(
    deployment: &Deployment,
    database: usize,
    placed: &[&Placed],
) -> Result<(ServerFacts, Vec<ServiceFacts>), SurveyError> {
    let url = &deployment.databases()[database];
    let mut connection = session::connect_to_read(url).await?;
    let failed = |source| SurveyError::Query { database: url.to_string(), source };
    let answer = read(&mut connection, placed).await.map_err(failed)?;
    // The answer is complete; how the connection ends changes nothing.
    drop(connection.close().await);
    let (server, services, version_num) = answer;
    if version_num < OLDEST {
        return Err(ConnectError::TooOld { database: url.to_string(), version: server.version }.into());
    }
    Ok((server, services))
}

async fn read(
    connection: &mut PgConnection,
    placed: &[&Placed],
) -> Result<(ServerFacts, Vec<ServiceFacts>, i32), sqlx::Error> {
    session::rows(connection, "/* migrate */ BEGIN TRANSACTION READ ONLY").await?;
    let facts = session::rows(connection, &facts_query(placed)).await?;
    let version_num = facts.first().ok_or(sqlx::Error::RowNotFound)?.try_get("version_num")?;
    let (server, mut services) = read_facts(&facts, placed)?;
    if let Some(query) = history_query(placed, &services, &facts) {
        fill(&mut services, &session::rows(connection, &query).await?)?;
    }
    session::rows(connection, "/* migrate */ COMMIT").await?;
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
            "{}({ordinal}, {}, {}, {}, {}, {}, ARRAY[{}]::text[])",
            if ordinal == 0 { "" } else { ", " },
            literal(&p.schema),
            literal(&p.service.version_table()),
            literal(&p.journal_name()),
            literal(&format!("migration_reject_{}", p.name())),
            literal(&p.lock_key()),
            externals.join(", "),
        )
        .expect("writing to a string cannot fail");
    }
    format!(
        "/* migrate */ WITH held AS MATERIALIZED (\
           SELECT (l.classid::int8 << 32) | l.objid::int8 AS key, l.pid, coalesce(a.application_name, '') AS application, \
                  coalesce(pg_catalog.host(a.client_addr), 'local socket') AS host, \
                  coalesce(extract(epoch FROM a.backend_start)::int8, 0) AS since \
           FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid \
           WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
         SELECT s.ordinal, current_setting('server_version') AS version, \
                current_setting('server_version_num')::int4 AS version_num, \
                current_database()::text AS database, current_user::text AS \"user\", \
                pg_catalog.pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only, \
                pg_catalog.has_database_privilege(current_database(), 'CREATE') AS may_create_schema, \
                extract(epoch FROM pg_catalog.clock_timestamp())::int8 AS now, \
                n.oid IS NOT NULL AS schema_exists, v.oid IS NOT NULL AS version_exists, j.oid IS NOT NULL AS journal_exists, \
                r.oid IS NOT NULL AS reject_exists, \
                coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(v.oid, 'SELECT'), false) AS may_read, \
                coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(j.oid, 'SELECT'), false) AS may_read_journal, \
                coalesce(has_schema_privilege(n.oid, 'CREATE'), has_database_privilege(current_database(), 'CREATE')) AS may_create, \
                coalesce(has_table_privilege(v.oid, 'INSERT, DELETE'), true) \
                  AND coalesce(has_table_privilege(j.oid, 'INSERT'), true) AS may_write, \
                ARRAY(SELECT to_regclass(e) IS NOT NULL FROM unnest(s.externals) WITH ORDINALITY AS x(e, o) ORDER BY o) AS externals, \
                h.pid, h.application, h.host, h.since \
         FROM (VALUES {values}) AS s(ordinal, schema_name, version_table, journal, reject, lock_key, externals) \
         LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema_name \
         LEFT JOIN pg_catalog.pg_class v ON v.relnamespace = n.oid AND v.relname = s.version_table AND v.relkind IN ('r', 'p') \
         LEFT JOIN pg_catalog.pg_class j ON j.relnamespace = n.oid AND j.relname = s.journal AND j.relkind IN ('r', 'p') \
         LEFT JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid AND r.relname = s.reject AND r.relkind IN ('r', 'p') \
         LEFT JOIN held h ON h.key = pg_catalog.hashtextextended(s.lock_key, 0) \
         ORDER BY s.ordinal"
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
            installed: version_exists && row.try_get("journal_exists")? && row.try_get("reject_exists")?,
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
    let mut parts = Vec::new();
    for (ordinal, ((p, found), row)) in placed.iter().zip(services).zip(facts).enumerate() {
        if found.access == Access::Read {
            parts.push(format!(
                "SELECT {ordinal} AS ordinal, true AS version, version::text AS name, applied_at::int8 AS applied_at, \
                 NULL::text AS direction, NULL::text AS outcome, NULL::text AS checksum FROM {}",
                p.version_table()
            ));
        }
        if row.get::<bool, _>("journal_exists") && row.get::<bool, _>("may_read_journal") {
            parts.push(format!(
                "SELECT {ordinal}, false, migration::text, NULL, (array_agg(direction ORDER BY id DESC))[1], \
                 (array_agg(outcome ORDER BY id DESC))[1], (array_agg(checksum ORDER BY id DESC) \
                 FILTER (WHERE outcome = 'succeeded' AND direction = 'apply'))[1] FROM {} GROUP BY migration",
                p.journal()
            ));
        }
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
            };
            facts.journal.insert(name, journal);
        }
    }
    Ok(())
}
