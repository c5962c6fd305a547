//! Short ways to run steps and to compare what they leave.

use std::time::{Duration, Instant};

use migration_kit::table_lock::Policy;
use migration_kit::{Online, driver_error, is_missing_table, sqlstate};
use sea_orm::DbErr;
use sea_orm::sqlx::{Connection, PgConnection};

use crate::support::Scratch;

/// The steps of a migration.
pub(crate) async fn steps(scratch: &Scratch) -> Online {
    scratch.online("m20260101_000001_try_steps").await
}

/// The steps of a migration that gives up soon, and to which every transaction is an old one.
pub(crate) async fn impatient(scratch: &Scratch) -> Online {
    let policy = Policy::default().with_patience(Duration::from_secs(1)).with_old_after(Duration::ZERO);
    steps(scratch).await.with_policy(policy)
}

/// Another session, as an application has it.
pub(crate) async fn session(scratch: &Scratch) -> PgConnection {
    let mut session = PgConnection::connect(scratch.url()).await.unwrap();
    execute(&mut session, "SET search_path = shop").await.unwrap();
    session
}

/// Indexes, constraints, triggers, functions and columns of the schema, for comparing before and after.
pub(crate) fn objects(scratch: &Scratch) -> String {
    scratch.psql(
        "SELECT pg_get_indexdef(indexrelid) || ' valid=' || indisvalid FROM pg_index \
         JOIN pg_class ON oid = indexrelid WHERE relnamespace = 'shop'::regnamespace ORDER BY 1; \
         SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE connamespace = 'shop'::regnamespace ORDER BY 1; \
         SELECT pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid \
         WHERE relnamespace = 'shop'::regnamespace AND NOT tgisinternal ORDER BY 1; \
         SELECT proname || prosrc FROM pg_proc WHERE pronamespace = 'shop'::regnamespace ORDER BY 1; \
         SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid) \
         FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid LEFT JOIN pg_attrdef ON adrelid = c.oid \
         AND adnum = attnum WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') AND attnum > 0 \
         AND NOT attisdropped ORDER BY relname, attnum",
    )
}

/// Runs one statement in a session.
pub(crate) async fn execute(
    session: &mut PgConnection,
    sql: &'static str,
) -> Result<(), sea_orm::sqlx::Error> {
    sea_orm::sqlx::raw_sql(sql).execute(session).await.map(drop)
}

/// The message of a step that must have been refused by the kit itself.
pub(crate) fn refused(result: Result<(), DbErr>) -> String {
    match result {
        Err(DbErr::Migration(message)) => message,
        Err(missing) if is_missing_table(&missing) => driver_error(&missing)
            .and_then(sea_orm::sqlx::Error::as_database_error)
            .unwrap()
            .message()
            .to_owned(),
        Err(other) => panic!("it failed otherwise: {other}"),
        Ok(()) => panic!("it was not refused"),
    }
}

/// The SQLSTATE of a step that must have been refused by the server.
pub(crate) fn failed(result: Result<(), DbErr>) -> String {
    let error = result.expect_err("it must fail");
    sqlstate(&error).unwrap_or_else(|| panic!("it failed otherwise: {error}"))
}

/// Waits until something is so. What it waits for may have failed: then the test fails instead of hanging.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "it did not come to this: {what}");
        tokio::task::yield_now().await;
    }
}
