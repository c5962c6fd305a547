//! Sessions: one connection each, never more.
//!
//! A [`Session`] can take a migration lock, and runs migrations once it has; sea-orm wants a pool, so it gets one that can connect
//! exactly once. A pool that replaced a lost connection would continue without the lock. Reading uses a plain connection.
//!
//! It is long because both ways to connect, and what is made of a connection that is refused, are in one place.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::TryStreamExt;
use log::LevelFilter;
use migration_kit::nodes::HAS_CITUS;
use migration_kit::table_lock::{self, TableLock};
use migration_kit::{BOOKKEEPING, bookkeeping, driver_error, literal, settings};
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::{
    PgConnectOptions, PgConnection, PgDatabaseError, PgPool, PgPoolOptions, PgRow, PgSeverity,
};
use sea_orm::sqlx::{self, AssertSqlSafe, ConnectOptions, Connection, Postgres, Row};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr};

use crate::cancel::within;
use crate::connect_error::{CANNOT_CONNECT_NOW, ConnectError, TOO_MANY_CONNECTIONS, code};
use crate::database::DatabaseUrl;
use crate::event;

/// A directory in which no server listens.
const NOWHERE: &str = "/dev/null";

/// How long a server may take to answer at all.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server that is starting up is waited for.
const STARTING: Duration = Duration::from_secs(10);

/// How long a connection that is ending, of ours perhaps, is waited for where there is room for no other.
const ENDING: Duration = Duration::from_secs(1);

/// How often a server is asked again that cannot take a connection yet.
const CONNECT_AGAIN: Duration = Duration::from_millis(250);

/// How long a statement waits for the session's only connection. It is free unless a migration holds it and asks for
/// it once more, which would wait for ever.
const ACQUIRE: Duration = Duration::from_secs(5);

/// How long ending a session may take.
const CLOSE: Duration = Duration::from_secs(3);

/// Whether an error means that the session is gone, so that the answer to its last message is not known.
pub(crate) fn is_lost(error: &DbErr) -> bool {
    match driver_error(error) {
        // 08: the connection failed. 57P: the server shuts down, or the session was ended. As an error and no more, the first is about
        // another node of Citus, and the session continues.
        Some(sqlx::Error::Database(reported)) => {
            let reported_as = reported.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
            let is_an_end = reported_as != Some(PgSeverity::Error);
            reported.code().is_some_and(|code| is_an_end && code.starts_with("08") || code.starts_with("57P"))
        }
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed,
        ) => true,
        _ => false,
    }
}

/// The error of a session that is gone, in words for it: the driver only sees that a file ended, or that [`NOWHERE`] is no
/// directory.
pub(crate) fn in_plain_words(error: DbErr) -> DbErr {
    match driver_error(&error) {
        Some(sqlx::Error::Io(_) | sqlx::Error::PoolClosed) => {
            DbErr::Custom("the connection to the server was lost".to_owned())
        }
        _ => error,
    }
}

/// Asks whether this node of Citus is the coordinator, and where that is. Ask where there is Citus.
pub(crate) const THIS_NODE: &str = bookkeeping!(
    "SELECT coalesce((SELECT groupid FROM pg_catalog.pg_dist_local_group), 0) = 0, \
     (SELECT nodename || ':' || nodeport FROM pg_catalog.pg_dist_node WHERE groupid = 0 AND noderole = 'primary')"
);

/// Refuses a node that is not the coordinator, by the answer to [`THIS_NODE`]: only there a lock keeps two runs apart; a worker
/// accepts what it should not, such as rows of the version table, and has no history of services that are elsewhere.
pub(crate) fn judge_node(url: &DatabaseUrl, answer: &[PgRow]) -> Result<(), ConnectError> {
    match answer.first() {
        Some(node) if !node.get::<bool, _>(0) => {
            Err(ConnectError::Worker { database: url.to_string(), coordinator: node.get(1) })
        }
        _ => Ok(()),
    }
}

/// One dedicated connection, which only reads until it holds a lock: [`Writer`].
pub(crate) struct Session {
    // Invariant: connects once; see the module.
    pool: PgPool,
    db: DatabaseConnection,
    pid: i32,
    /// Whether it leads to the coordinator of a Citus, whose tables are on other nodes.
    is_distributed: bool,
    given_up: AtomicBool,
}

impl Session {
    /// Connects, as this role if one is given, and proves that nothing is between us and one server process. A role that is set
    /// at the start is the one to which `RESET ROLE` returns.
    pub(crate) async fn open(
        url: &DatabaseUrl,
        application: &str,
        search_path: &str,
        role: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let marker = format!("{:032x}", fastrand::u128(..));
        let options = url
            .options()
            .clone()
            .application_name(application)
            .options(settings::at_start())
            .options([
                ("search_path", search_path),
                settings::NO_COMPILING,
                // What a backfill writes goes to the disk as it comes. Otherwise the system collects it for half a minute and
                // then writes it all at once, and every commit of the application waits for that: 0.2 s instead of 0.02 s.
                ("backend_flush_after", "256kB"),
                ("migration.session", &marker),
            ])
            .options(role.map(|role| ("role", role)))
            // `step/statement.rs` listens.
            .log_statements(LevelFilter::Trace)
            .log_slow_statements(LevelFilter::Off, Duration::MAX);
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .acquire_timeout(ACQUIRE)
            .connect_with(options.clone())
            .await;
        let pool = match pool {
            Ok(pool) => pool,
            Err(error) => {
                let error = match error {
                    sqlx::Error::PoolTimedOut => refused(url, &options).await,
                    error => ConnectError::classify(url, error),
                };
                return Err(of_other_engine(url, error).await);
            }
        };
        // A lost connection is not replaced: there is nothing at this address.
        pool.set_connect_options(PgConnectOptions::new_without_pgpass().socket(NOWHERE));
        let db = DatabaseConnection::from(pool.clone());
        let given_up = AtomicBool::new(false);
        let mut session = Self { pool, db, pid: 0, is_distributed: false, given_up };
        let (pid, has_citus) = session.prove(url, &marker).await?;
        (session.pid, session.is_distributed) = (pid, has_citus);
        let failed = |source| of_proxy_or(url, source);
        if has_citus {
            judge_node(url, &session.rows(THIS_NODE).await.map_err(failed)?)?;
        }
        session.rows(&settings::after_connecting()).await.map_err(failed)?;
        Ok(session)
    }

    /// A proxy that pools transactions drops the marker, or answers two transactions from two server processes.
    /// Gives the number of that process, and whether the database has Citus.
    async fn prove(&self, url: &DatabaseUrl, marker: &str) -> Result<(i32, bool), ConnectError> {
        let ask = format!(
            "{BOOKKEEPING}SELECT pg_catalog.pg_backend_pid(), \
             coalesce(pg_catalog.current_setting('migration.session', true), ''), pg_catalog.version(), {HAS_CITUS}"
        );
        let (mut pids, mut has_citus) = (Vec::new(), false);
        for _ in 0..2 {
            let rows = self.rows(&ask).await.map_err(|source| of_proxy_or(url, source))?;
            let row = rows.first().ok_or_else(|| ConnectError::proxied(url, "answers without rows"))?;
            ConnectError::judge(url, &row.get::<String, _>(2))?;
            if row.get::<String, _>(1) != marker {
                return Err(ConnectError::proxied(url, "drops start-up options"));
            }
            pids.push(row.get::<i32, _>(0));
            has_citus = row.get(3);
        }
        if pids[0] == pids[1] {
            Ok((pids[0], has_citus))
        } else {
            Err(ConnectError::proxied(url, "pools transactions"))
        }
    }

    /// Whether tables of this database are on other nodes.
    pub(crate) fn is_distributed(&self) -> bool {
        self.is_distributed
    }

    /// Process id of the server process behind the session.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Asks for the advisory lock of this name, and gives what may write if it was free.
    pub(crate) async fn try_lock(&self, name: &str) -> Result<Option<Writer<'_>>, sqlx::Error> {
        let ask = format!(
            "{BOOKKEEPING}SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended({}, 0))",
            literal(name)
        );
        let rows = self.rows(&ask).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(row.try_get::<bool, _>(0)?.then_some(Writer { session: self }))
    }

    /// Rows of one question outside a transaction, by the simple protocol: one message there, one back.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        rows(&mut connection, sql).await
    }

    /// Takes each of these rows as it arrives.
    pub(crate) async fn each_row(&self, sql: &str, take: impl TakeRow) -> Result<(), sqlx::Error> {
        let mut connection = self.pool.acquire().await?;
        each_row(&mut connection, sql, take).await
    }

    /// Which transactions keep these tables locked, oldest first.
    pub(crate) async fn holders(&self, locks: &[TableLock]) -> Result<Vec<table_lock::Holder>, DbErr> {
        let acquired = self.pool.acquire().await;
        let mut connection = acquired.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))?;
        table_lock::holders(&mut connection, locks).await
    }

    /// Takes note that the server no longer answers: nothing more is asked of it.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
    }

    /// Whether the server no longer answers.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::SeqCst)
    }

    /// Ends the session. Its locks are given up before, so that the next session finds them free although the server
    /// process may still be ending.
    pub(crate) async fn close(self) {
        if self.is_given_up() {
            return;
        }
        let closing = Box::pin(async {
            // A session that is lost has no locks left to give up.
            drop(self.rows(bookkeeping!("SELECT pg_catalog.pg_advisory_unlock_all()")).await);
            self.pool.close().await;
        });
        // Where it takes longer, the connection is dropped.
        within(CLOSE, closing).await;
    }
}

/// A session that holds an advisory lock, and may write. There is no other way to write than through one.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    // Invariant: made by `Session::try_lock` alone, and the session gives its locks up only when it is closed.
    session: &'a Session,
}

impl<'a> Writer<'a> {
    /// The session, for reading.
    pub(crate) fn session(self) -> &'a Session {
        self.session
    }

    /// The connection as sea-orm knows it.
    pub(crate) fn db(self) -> &'a DatabaseConnection {
        &self.session.db
    }

    /// The connection itself, until it is dropped; nothing else can use the session meanwhile.
    pub(crate) async fn connection(self) -> Result<PoolConnection<Postgres>, DbErr> {
        let acquired = self.session.pool.acquire().await;
        acquired.map_err(|error| DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))))
    }

    /// Executes one statement outside a transaction, by the simple protocol.
    pub(crate) async fn execute(self, sql: &str) -> Result<(), sqlx::Error> {
        self.session.rows(sql).await.map(drop)
    }
}

/// An engine that knows none of our start-up options refuses them before it can be asked what it is.
async fn of_other_engine(url: &DatabaseUrl, error: ConnectError) -> ConnectError {
    let ConnectError::Refused { source, .. } = &error else { return error };
    let is_about_options = code(source).is_some_and(|code| ["0A", "22", "42"].contains(&&code[..2]));
    if !is_about_options {
        return error;
    }
    let Ok(mut connection) = connect_to_read(url).await else { return error };
    match judge_engine(url, &mut connection).await {
        Err(other @ ConnectError::OtherEngine { .. }) => other,
        _ => error,
    }
}

/// Why a question that every server answers was not answered.
fn of_proxy_or(url: &DatabaseUrl, source: sqlx::Error) -> ConnectError {
    ConnectError::of_proxy(url, &source).unwrap_or_else(|| ConnectError::classify(url, source))
}

/// Asks the server what it is, and refuses it unless it is PostgreSQL of a supported version.
pub(crate) async fn judge_engine(
    url: &DatabaseUrl,
    connection: &mut PgConnection,
) -> Result<(), ConnectError> {
    const QUESTION: &str = bookkeeping!("SELECT pg_catalog.version()");
    let mut said = rows(connection, QUESTION).await;
    // A standby does not answer where transactions are serializable by default; other engines may not know the rest.
    if said.is_err() {
        let apart = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {QUESTION}; ROLLBACK");
        if let Ok(rows) = rows(connection, &apart).await {
            said = Ok(rows);
        }
    }
    let said = said.map_err(|source| of_proxy_or(url, source))?;
    let version = said.first().and_then(|row| row.try_get::<String, _>(0).ok()).unwrap_or_default();
    ConnectError::judge(url, &version)
}

/// Connects for looking, and for as long as one question takes. Limits of the role that would end the first statement are lifted by start-up
/// options; a proxy may refuse those, and then it is done without.
pub(crate) async fn connect_to_read(url: &DatabaseUrl) -> Result<PgConnection, ConnectError> {
    let plain: PgConnectOptions = url
        .options()
        .clone()
        .application_name("migrate")
        .statement_cache_capacity(0)
        .disable_statement_logging();
    let mut options = plain.clone().options(settings::limits_at_start());
    let mut is_plain = false;
    let begun = Instant::now();
    loop {
        let source = match connect(&options).await {
            Ok(connection) => return Ok(connection),
            Err(source) => source,
        };
        if !is_plain && is_of_options(&source) {
            (options, is_plain) = (plain.clone(), true);
            continue;
        }
        let patience = match code(&source).as_deref() {
            Some(CANNOT_CONNECT_NOW) => STARTING,
            Some(TOO_MANY_CONNECTIONS) => ENDING,
            _ => Duration::ZERO,
        };
        if begun.elapsed() >= patience {
            return Err(ConnectError::classify(url, source));
        }
        if begun.elapsed() >= ENDING {
            event::connecting_waiting(url, &source, begun.elapsed());
        }
        Delay::new(CONNECT_AGAIN).await;
    }
}

/// Whether a connection may be refused for its start-up options. What the server says of user, password, database and load is another matter.
fn is_of_options(source: &sqlx::Error) -> bool {
    const OF_OTHERS: [&str; 7] = ["28", "3D", "53", "57", "42501", "55000", "55006"];
    let code = code(source);
    code.is_some_and(|code| !OF_OTHERS.iter().any(|other| code.starts_with(other)))
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let connected = within(CONNECT, PgConnection::connect_with(options)).await;
    connected.unwrap_or_else(|| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into())))
}

/// Why a pool could not connect: it keeps to itself what the server said.
async fn refused(url: &DatabaseUrl, options: &PgConnectOptions) -> ConnectError {
    let source = match connect(options).await {
        Ok(_) => sqlx::Error::Io(io::ErrorKind::TimedOut.into()),
        Err(source) => source,
    };
    ConnectError::classify(url, source)
}

/// Rows of one statement on a plain connection, by the simple protocol.
pub(crate) async fn rows(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_all(connection).await
}

/// What takes a row, and may find that it is not as expected.
pub(crate) trait TakeRow: FnMut(PgRow) -> Result<(), sqlx::Error> {}

impl<F: FnMut(PgRow) -> Result<(), sqlx::Error>> TakeRow for F {}

/// Takes each of these rows as it arrives, while the server works on the next one.
pub(crate) async fn each_row(
    connection: &mut PgConnection,
    sql: &str,
    mut take: impl TakeRow,
) -> Result<(), sqlx::Error> {
    let mut rows = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch(connection);
    while let Some(row) = rows.try_next().await? {
        take(row)?;
    }
    Ok(())
}
