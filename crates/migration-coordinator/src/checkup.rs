//! What a run needs of a server and finds there: rights, room, who could be waited for. Reads only, and judges nothing.

use std::sync::Arc;
use std::time::SystemTime;

use migration_kit::{BOOKKEEPING, ServiceName, bookkeeping, literal};
use sea_orm::sqlx::{self, Row};

use crate::citus::{self, Citus};
use crate::connect_error::ConnectError;
use crate::connection_limits::{self, ConnectionLimit};
use crate::database::DatabaseUrl;
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::session::Session;
use crate::site::{Site, text_array};
use crate::surroundings::each_database;
use crate::survey::SurveyError;

/// What one database says of itself.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// The server's version.
    pub version: String,
    /// The encoding of the database.
    pub encoding: String,
    /// Our role.
    pub role: String,
    /// Whether the server replays another one.
    pub is_standby: bool,
    /// Whether our sessions cannot write, for whatever reason.
    pub is_read_only: bool,
    /// Why the session of a run would not be opened: a proxy may allow reading and still be in between.
    pub refused: Option<Arc<ConnectError>>,
    /// What Citus says, where it is there: tables may be on several nodes.
    pub citus: Option<Citus>,
    /// Whether our role may take the migration lock.
    pub may_lock: bool,
    /// Whether our role may create schemas.
    pub may_create_schemas: bool,
    /// By how many seconds the server's clock is ahead of ours.
    pub clock_ahead: f64,
    /// How many more sessions our role could have, as far as the server's limit goes.
    pub free_connections: i64,
    /// How many sessions our role may have at once, where that is limited.
    pub connection_limits: Vec<ConnectionLimit>,
    /// Transactions that have been open for more than a minute, the oldest first.
    pub long_transactions: Vec<LongTransaction>,
    /// Sessions of others of which our role may not see what they do.
    pub n_hidden_sessions: i64,
    /// Names of prepared transactions: they hold their locks until they are ended.
    pub prepared_transactions: Vec<String>,
    /// The standbys, and by how many seconds each is behind where that is known.
    pub standbys: Vec<(String, Option<f64>)>,
    /// What our role may do in each service's schema.
    pub rights: Vec<Rights>,
}

/// A transaction that has been open for long: what a table lock would wait for.
#[derive(Debug, Clone, PartialEq)]
pub struct LongTransaction {
    /// Its server process.
    pub pid: i32,
    /// Its `application_name`.
    pub application: String,
    /// For how many seconds it has been open.
    pub seconds: f64,
    /// Whether it does nothing at the moment.
    pub is_idle: bool,
}

/// What our role may do in a service's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// The service.
    pub service: ServiceName,
    /// Its schema.
    pub schema: String,
    /// Whether the schema is there.
    pub exists: bool,
    /// Whether our role may create something in it.
    pub may_create: bool,
    /// Tables of the service that belong to a role whose rights ours does not have: it cannot alter them.
    pub of_others: Vec<String>,
}

/// Asks each database what a run of these services needs to know of it, all if none is named, in the order of the deployment;
/// `None` where none of them lives.
pub async fn checkups(
    deployment: &Deployment,
    services: &[ServiceName],
) -> Vec<Option<Result<Checkup, Arc<SurveyError>>>> {
    let mut found = each_database(deployment, services, read).await;
    for (url, found) in deployment.databases().iter().zip(&mut found) {
        if let Some(Ok(checkup)) = found {
            checkup.refused = try_session(url).await.err().map(Arc::new);
        }
    }
    found
}

/// Opens the session that a run would have, which proves that it leads to one server process, and ends it.
async fn try_session(url: &DatabaseUrl) -> Result<(), ConnectError> {
    let session = Session::open(url, "migrate", "pg_catalog", None).await?;
    session.close().await;
    Ok(())
}

async fn read(reading: &mut Reading<'_>, placed: &[&Placed]) -> Result<Checkup, sqlx::Error> {
    reading.begin().await?;
    let asked = SystemTime::now();
    let server = one(
        reading,
        bookkeeping!(
            "SELECT pg_catalog.current_setting('server_version'), current_user::text, pg_catalog.pg_is_in_recovery(), \
             pg_catalog.has_function_privilege('pg_catalog.pg_try_advisory_lock(bigint)', 'EXECUTE'), \
             pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), \
             extract(epoch FROM pg_catalog.clock_timestamp())::float8, \
             pg_catalog.current_setting('default_transaction_read_only') = 'on' AND NOT pg_catalog.pg_is_in_recovery(), \
             pg_catalog.current_setting('max_connections')::int8 - (SELECT count(*) FROM pg_catalog.pg_stat_activity \
               WHERE backend_type = 'client backend') \
             - CASE WHEN (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) THEN 0 \
               ELSE pg_catalog.current_setting('superuser_reserved_connections')::int8 END, \
             pg_catalog.current_setting('server_encoding')"
        ),
    )
    .await?;
    let answered = SystemTime::now();
    let halfway = asked + answered.duration_since(asked).unwrap_or_default() / 2;
    let ours = halfway.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let long = reading
        .rows(bookkeeping!(
            "SELECT pid, application_name, extract(epoch FROM pg_catalog.clock_timestamp() - xact_start)::float8, \
               state LIKE 'idle in transaction%' \
             FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() AND pid <> pg_catalog.pg_backend_pid() \
               AND xact_start < pg_catalog.clock_timestamp() - interval '1 minute' ORDER BY xact_start"
        ))
        .await?;
    let hidden = one(
        reading,
        bookkeeping!(
            "SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE datname = pg_catalog.current_database() \
               AND backend_type IS NULL AND query = '<insufficient privilege>'"
        ),
    )
    .await?;
    let prepared = reading
        .rows(bookkeeping!(
            "SELECT gid::text FROM pg_catalog.pg_prepared_xacts WHERE database = pg_catalog.current_database() ORDER BY prepared"
        ))
        .await?;
    let standbys = reading
        .rows(bookkeeping!(
            "SELECT application_name, extract(epoch FROM replay_lag)::float8 FROM pg_catalog.pg_stat_replication ORDER BY 1"
        ))
        .await?;
    let citus = citus::read(reading, placed).await?;
    let connection_limits = connection_limits::read(reading).await?;
    let mut rights = Vec::new();
    for placed in placed {
        rights.push(rights_of(reading, &placed.site).await?);
    }
    Ok(Checkup {
        version: server.try_get(0)?,
        encoding: server.try_get(8)?,
        role: server.try_get(1)?,
        is_standby: server.try_get(2)?,
        is_read_only: server.try_get(6)?,
        refused: None,
        citus,
        may_lock: server.try_get(3)?,
        may_create_schemas: server.try_get(4)?,
        clock_ahead: server.try_get::<f64, _>(5)? - ours,
        free_connections: server.try_get(7)?,
        connection_limits,
        long_transactions: long
            .iter()
            .map(|row| {
                Ok(LongTransaction {
                    pid: row.try_get(0)?,
                    application: row.try_get(1)?,
                    seconds: row.try_get(2)?,
                    is_idle: row.try_get::<Option<bool>, _>(3)?.unwrap_or_default(),
                })
            })
            .collect::<Result<_, sqlx::Error>>()?,
        n_hidden_sessions: hidden.try_get(0)?,
        prepared_transactions: prepared.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?,
        standbys: standbys
            .iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<_, sqlx::Error>>()?,
        rights,
    })
}

async fn rights_of(reading: &mut Reading<'_>, site: &Site) -> Result<Rights, sqlx::Error> {
    let bookkeeping = site.bookkeeping_tables();
    let own = text_array(site.tables.iter().chain(&bookkeeping));
    let sql = format!(
        "{BOOKKEEPING}SELECT n.oid IS NOT NULL, coalesce(pg_catalog.has_schema_privilege(n.oid, 'CREATE'), false), \
           (SELECT pg_catalog.array_agg(c.relname::text ORDER BY c.relname) FROM pg_catalog.pg_class c \
            WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relname = ANY ({}) \
              AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')) \
         FROM (SELECT) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = {}",
        own,
        literal(&site.schema),
    );
    let row = one(reading, &sql).await?;
    Ok(Rights {
        service: site.name().clone(),
        schema: site.schema.clone(),
        exists: row.try_get(0)?,
        may_create: row.try_get(1)?,
        of_others: row.try_get::<Option<Vec<String>>, _>(2)?.unwrap_or_default(),
    })
}

async fn one(reading: &mut Reading<'_>, sql: &str) -> Result<sqlx::postgres::PgRow, sqlx::Error> {
    reading.rows(sql).await?.into_iter().next().ok_or(sqlx::Error::RowNotFound)
}
