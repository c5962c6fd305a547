//! One connection of the pool for one piece of work: acquiring it, transactions with their settings, statements, errors.
//!
//! Under the coordinator the pool is a single connection that also holds the migration lock, so nothing here keeps a
//! connection while asking for another: a step acquires, works and releases. Statements are sent by the
//! simple protocol: results are text, and no prepared plan outlives a change of a table. A transaction begins in one message
//! with its settings; every other statement has a message of its own.
//!
//! It decides nothing: which locks to take and when to try again is `table_lock`'s part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::{PgDatabaseError, PgPool, PgRow};
use sea_orm::sqlx::{self, AssertSqlSafe, Connection, PgConnection, Postgres, Row, Transaction};
use sea_orm::{DbErr, RuntimeErr};

pub(crate) use crate::marker::BOOKKEEPING;
use crate::{nodes, settings};

/// SQLSTATE of `lock_not_available`: a `NOWAIT` or a `lock_timeout` that ran out.
pub const LOCK_NOT_AVAILABLE: &str = "55P03";
/// SQLSTATE of `deadlock_detected`.
pub(crate) const DEADLOCK_DETECTED: &str = "40P01";
/// SQLSTATE of `query_canceled`: by a person, or by `statement_timeout`.
pub(crate) const QUERY_CANCELED: &str = "57014";
/// SQLSTATE of `unique_violation`.
pub(crate) const UNIQUE_VIOLATION: &str = "23505";
/// SQLSTATE of `check_violation`.
pub(crate) const CHECK_VIOLATION: &str = "23514";

/// The SQLSTATE of an error that the server reported, if it was the server.
#[must_use]
pub fn sqlstate(error: &DbErr) -> Option<String> {
    Some(driver_error(error)?.as_database_error()?.code()?.into_owned())
}

/// The driver's error inside one of sea-orm, if there is one.
#[must_use]
pub fn driver_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(source))
        | DbErr::Exec(RuntimeErr::SqlxError(source))
        | DbErr::Query(RuntimeErr::SqlxError(source)) => Some(source),
        _ => None,
    }
}

/// What to do about [`is_cut_by_policy`].
pub const POLICY_HINT: &str = "a row-level security policy would hide rows from this role: connect as a role with \
                               BYPASSRLS, or as the table's owner without FORCE ROW LEVEL SECURITY";

/// Whether the server refused a query of which a row-level security policy would have hidden rows. It is known by the
/// place in the server that reports it: the state is that of every missing right, and the message is translated.
#[must_use]
pub fn is_cut_by_policy(error: &sqlx::Error) -> bool {
    let reported = error.as_database_error().and_then(|e| e.try_downcast_ref::<PgDatabaseError>());
    reported.and_then(PgDatabaseError::routine) == Some("check_enable_rls")
}

/// Whether Citus says no more than that another node refused something. What that node said is a warning, which no driver keeps.
pub(crate) fn is_of_other_node(error: &DbErr) -> bool {
    routine(error) == Some("MarkRemoteTransactionFailed")
}

/// Whether Citus is moving the schema to another node, during which it makes no table there.
pub(crate) fn is_moving(error: &DbErr) -> bool {
    const ROUTINES: [&str; 2] = ["AcquireRebalanceColocationLock", "AcquirePlacementColocationLock"];
    routine(error).is_some_and(|routine| ROUTINES.contains(&routine))
}

/// The place in the server's source that reported an error: the same whatever language the server speaks.
fn routine(error: &DbErr) -> Option<&str> {
    let reported = driver_error(error)?.as_database_error()?;
    reported.try_downcast_ref::<PgDatabaseError>()?.routine()
}

/// What the server says, with its detail (`Key (a)=(1) is duplicated.`), for a sentence of the kit's own.
pub(crate) fn server_message(error: &DbErr) -> String {
    let Some(source) = driver_error(error) else { return error.to_string() };
    let Some(reported) = source.as_database_error() else { return source.to_string() };
    match reported.try_downcast_ref::<PgDatabaseError>().and_then(PgDatabaseError::detail) {
        Some(detail) => format!("{} ({detail})", reported.message()),
        None => reported.message().to_owned(),
    }
}

/// Wraps an error of sqlx, keeping it as the source so that [`sqlstate`] can read it.
pub(crate) fn db_err(source: sqlx::Error) -> DbErr {
    DbErr::Exec(RuntimeErr::SqlxError(Arc::new(source)))
}

/// An error of the kit itself: what is wrong, in a sentence without a full stop.
pub(crate) fn refusal(message: impl Into<String>) -> DbErr {
    DbErr::Migration(message.into())
}

/// Takes one connection of the pool.
pub(crate) async fn acquire(pool: &PgPool) -> Result<PoolConnection<Postgres>, DbErr> {
    pool.acquire().await.map_err(db_err)
}

/// What holds inside one transaction, set with `SET LOCAL` semantics so that nothing outlives it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// Longest wait for one lock; `None` is no limit.
    pub(crate) lock: Option<Duration>,
    /// Longest run of one statement; `None` is no limit.
    pub(crate) statement: Option<Duration>,
    /// When the transaction's commit reaches the disk.
    pub(crate) durable: Durable,
    /// What of others' work its statements see.
    pub(crate) isolation: Isolation,
    /// Whether its statements work on other nodes, which have to keep the limits too.
    pub(crate) is_distributed: bool,
}

/// Which commits of other sessions the statements of a transaction see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Each statement sees what was committed before it began.
    #[default]
    ReadCommitted,
    /// All statements see what was committed before the first one began. A row that another session changed since cannot
    /// be changed; the transaction then fails with `serialization_failure` and has to be tried again.
    RepeatableRead,
}

/// When a commit reaches the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Before it is answered, as the server is set.
    #[default]
    AtOnce,
    /// With the next commit of any session that flushes the log, or within a second.
    ///
    /// Only for a transaction that may be lost, with all later ones, and is then simply done again. The log is written in
    /// one order: if the migration's own commit is on disk, or that of an application that saw these rows, so is this one.
    Soon,
}

/// How long a short transaction may be idle: between two of its statements hardly any time passes, and it may hold rows
/// that the application waits for.
const IDLE_IN_TRANSACTION: Duration = Duration::from_secs(3);

/// Begins a transaction under these limits, with the pinned settings. Dropped without a commit, it is rolled back.
pub(crate) async fn begin(
    connection: &mut PgConnection,
    limits: Limits,
) -> Result<Transaction<'_, Postgres>, DbErr> {
    let milliseconds = |limit: Option<Duration>| limit.map_or(0, settings::timeout_ms);
    let sql = format!(
        "{BOOKKEEPING}BEGIN ISOLATION LEVEL {}; {BOOKKEEPING}SELECT set_config('lock_timeout', '{}', true), \
         set_config('statement_timeout', '{}', true), {}, {}{}",
        match limits.isolation {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
        },
        milliseconds(limits.lock),
        milliseconds(limits.statement),
        settings::idle_in_transaction_limit(IDLE_IN_TRANSACTION, true),
        settings::local(),
        match limits.durable {
            Durable::AtOnce => "",
            Durable::Soon => ", set_config('synchronous_commit', 'off', true)",
        },
    );
    let mut tx = connection.begin_with(AssertSqlSafe(sql)).await.map_err(db_err)?;
    if limits.is_distributed {
        for sql in nodes::settle(limits.lock) {
            execute(&mut tx, sql).await?;
        }
    }
    Ok(tx)
}

/// Runs one statement; the number of rows that it affected.
pub(crate) async fn execute(connection: &mut PgConnection, sql: impl Into<String>) -> Result<u64, DbErr> {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.into())).execute(connection).await.map_err(db_err)?;
    Ok(done.rows_affected())
}

/// The longest sleep of one statement: while it runs it holds a snapshot, which a concurrent index build waits for.
const LONGEST_SLEEP: Duration = Duration::from_millis(500);

/// Waits on the server, in a session that is in no transaction: every wait between two tries is made here.
///
/// A timer of this process would wait out of reach. A statement is ended by `pg_cancel_backend`, which is how
/// a run that is stopped ends its migrations, and with the session if this process dies.
///
/// # Errors
/// The server's: above all that it was cancelled.
pub(crate) async fn pause(connection: &mut PgConnection, duration: Duration) -> Result<(), DbErr> {
    let begun = Instant::now();
    while let Some(rest) = duration.checked_sub(begun.elapsed()).filter(|rest| !rest.is_zero()) {
        // An application's own limit is for its statements; set in the same message, it no longer counts for the sleep.
        let sql = format!(
            "{BOOKKEEPING}SELECT set_config('statement_timeout', '0', true); {BOOKKEEPING}SELECT pg_sleep({})",
            rest.min(LONGEST_SLEEP).as_secs_f64()
        );
        rows(connection, sql).await?;
    }
    Ok(())
}

/// Runs one query and gives its rows; their values are in text form, which sqlx decodes as usual.
pub(crate) async fn rows(connection: &mut PgConnection, sql: impl Into<String>) -> Result<Vec<PgRow>, DbErr> {
    sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_all(connection).await.map_err(db_err)
}

/// Whether the database has Citus.
pub(crate) async fn has_citus(connection: &mut PgConnection) -> Result<bool, DbErr> {
    let found = value(connection, format!("{BOOKKEEPING}SELECT {}", settings::HAS_CITUS)).await?;
    Ok(found == Some(true))
}

/// Runs one query and gives the first column of its first row: `None` without a row, or if it is null.
pub(crate) async fn value<T>(
    connection: &mut PgConnection,
    sql: impl Into<String>,
) -> Result<Option<T>, DbErr>
where
    T: for<'r> sqlx::Decode<'r, Postgres> + sqlx::Type<Postgres>,
{
    let row = sqlx::raw_sql(AssertSqlSafe(sql.into())).fetch_optional(connection).await.map_err(db_err)?;
    row.map_or(Ok(None), |row| row.try_get(0).map_err(db_err))
}

/// Runs one statement that cannot run in a transaction and may take long: a concurrent build.
///
/// `lock_timeout` would abort a concurrent build halfway and leave an invalid index, so it and its kin are switched
/// off on this connection and put back afterwards, whether the statement succeeds or not. (A future that is dropped
/// halfway leaves them off; whatever does that gives up the connection.)
pub(crate) async fn execute_unlimited(
    connection: &mut PgConnection,
    sql: impl Into<String>,
) -> Result<(), DbErr> {
    execute_waiting(connection, None, sql).await
}

/// [`execute_unlimited`], but waiting for each lock no longer than this; `None` is no limit.
pub(crate) async fn execute_waiting(
    connection: &mut PgConnection,
    lock: Option<Duration>,
    sql: impl Into<String>,
) -> Result<(), DbErr> {
    let before: Vec<(&str, String)> = limits_set(connection).await?;
    let mut limits: Vec<(&str, String)> = before.iter().map(|(limit, _)| (*limit, "0".to_owned())).collect();
    if let Some(lock) = lock {
        limits.push((LOCK_TIMEOUT, settings::timeout_ms(lock).to_string()));
    }
    set_limits(connection, &limits).await?;
    let done = execute(connection, sql).await;
    if lock.is_some() {
        set_limits(connection, &[(LOCK_TIMEOUT, "0".to_owned())]).await?;
    }
    set_limits(connection, &before).await?;
    done.map(drop)
}

async fn set_limits(connection: &mut PgConnection, limits: &[(&str, String)]) -> Result<(), DbErr> {
    for (limit, value) in limits {
        execute(connection, format!("{BOOKKEEPING}SELECT set_config('{limit}', '{value}', false)")).await?;
    }
    Ok(())
}

/// Name of the setting.
const LOCK_TIMEOUT: &str = "lock_timeout";

/// The time limits of this session that are not off, with their values; `transaction_timeout` exists since 17.
async fn limits_set(connection: &mut PgConnection) -> Result<Vec<(&'static str, String)>, DbErr> {
    let mut set = Vec::new();
    for setting in [LOCK_TIMEOUT, "statement_timeout", "transaction_timeout"] {
        let sql = format!("{BOOKKEEPING}SELECT nullif(current_setting('{setting}', true), '0')");
        if let Some(value) = value::<String>(connection, sql).await? {
            set.push((setting, value));
        }
    }
    Ok(set)
}
