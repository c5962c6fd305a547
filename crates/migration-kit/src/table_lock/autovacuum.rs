//! Getting an autovacuum to give way, the only work that a migration ends.

use std::time::Duration;

use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use super::mode::queueing_lock_statement;
use super::{Holder, LockMode, TableLock, is_retryable, of_lock_statement};
use crate::session::{self, Limits};

/// Makes the server cancel an autovacuum, without any effect on other sessions.
///
/// The server cancels an autovacuum (unless it prevents wraparound) for a session that has queued behind it for
/// `deadlock_timeout`, 1 s by default. Queueing that long for a strong mode would stall the application, so this queues
/// for `SHARE UPDATE EXCLUSIVE`: it conflicts with vacuum, with itself and with stronger modes, but with no statement
/// that reads or writes. No privilege beyond owning the table is needed, unlike for `pg_cancel_backend`.
pub(super) async fn dislodge(
    connection: &mut PgConnection,
    holder: &Holder,
    lock_timeout: Duration,
) -> Result<(), DbErr> {
    let lock = TableLock::new(&holder.schema, &holder.relation, LockMode::ShareUpdateExclusive);
    let mut tx = session::begin(connection, Limits { lock: Some(lock_timeout), ..Limits::default() }).await?;
    match session::execute(&mut tx, queueing_lock_statement(&lock)).await.map_err(of_lock_statement) {
        Err(error) if !is_retryable(&error) => Err(error),
        _ => tx.rollback().await.map_err(session::db_err),
    }
}
