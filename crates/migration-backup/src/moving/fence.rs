//! The fence: a transaction that keeps everybody from writing to a service while it is copied, and that then moves its schema away.
//! Whoever reads is not disturbed.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use migration_coordinator::{Applied, Deployment, UpkeepError};
use migration_kit::table_lock::{
    LockMode, Policy, TableLock, Waiting, is_retryable, referenced_first, references,
};
use migration_kit::{Origin, ServiceName};
use sea_orm::{DbErr, RuntimeErr};
use sqlx::PgConnection;

use crate::BackupError;
use crate::error::read;
use crate::owned::{Owned, rows, send};

/// How long the server keeps the fence if nothing is heard of us. It is asked every [`PAUSE`], but not while a large archive is
/// read for its checksum; a process that is frozen for longer has lost the fence, and moves nothing.
const SILENCE: &str = "SET LOCAL idle_in_transaction_session_timeout = '5min'";

/// How often the fence is asked whether it is still there.
const PAUSE: Duration = Duration::from_secs(1);

/// Begins the transaction with a `SHARE` lock on every table of the service, as migrations take strong locks: behind an old transaction
/// only asking again, so that nobody waits for long, and no longer than the policy's patience. Gives since when nobody can write.
///
/// # Errors
/// [`BackupError::NotFenced`] with whoever holds a lock; there is no transaction then.
pub(super) async fn raise(
    connection: &mut PgConnection,
    deployment: &Deployment,
    service: &ServiceName,
    policy: Policy,
) -> Result<(Owned, Instant), BackupError> {
    let failed = read(service);
    let owned = Owned::read(connection, deployment, service, Applied::Something).await.map_err(&failed)?;
    let tables = owned.own().filter(|relation| ["r", "p"].contains(&relation.kind.as_str()));
    let locks: Vec<TableLock> =
        tables.map(|table| TableLock::new(&table.schema, &table.name, LockMode::Share)).collect();
    let between = references(connection, &locks).await.map_err(|error| of_kit(service, error))?;
    let locks = referenced_first(locks, &between);
    let origin = Origin { service: service.to_string(), migration: "move".to_owned() };
    let mut waiting = Waiting::new(policy, origin);
    let begun = loop {
        let begun = Instant::now();
        send(connection, "BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(&failed)?;
        let mut attempt = Ok(());
        for sql in waiting.lock_statements(&locks) {
            attempt = rows(connection, &sql).await.map(drop);
            if attempt.is_err() {
                break;
            }
        }
        let error = match attempt {
            Ok(()) => break begun,
            Err(error) => error,
        };
        send(connection, "ROLLBACK").await.map_err(&failed)?;
        let error = DbErr::Query(RuntimeErr::SqlxError(error.into()));
        if !is_retryable(&error) {
            return Err(of_kit(service, error));
        }
        let waited = waiting.after_failure(connection, &locks).await;
        waited.map_err(|source| BackupError::NotFenced { service: service.clone(), source })?;
    };
    send(connection, SILENCE).await.map_err(failed)?;
    Ok((owned, begun))
}

/// Does something while the fence is kept; where the fence is lost, it is given up.
pub(super) async fn keeping<T>(
    fence: &mut PgConnection,
    service: &ServiceName,
    work: impl Future<Output = Result<T, BackupError>>,
) -> Result<T, BackupError> {
    let lost = async {
        loop {
            Delay::new(PAUSE).await;
            if let Err(error) = rows(fence, "SELECT 1").await {
                return error;
            }
        }
    };
    match select(pin!(work), pin!(lost)).await {
        Either::Left((done, _)) => done,
        Either::Right((error, _)) => Err(read(service)(error)),
    }
}

/// Rolls a transaction back. A session that is lost, or whose statement does not end, does so when it is closed.
pub(super) async fn lower(connection: &mut PgConnection) {
    const PATIENCE: Duration = Duration::from_secs(1);
    drop(select(pin!(send(connection, "ROLLBACK")), Delay::new(PATIENCE)).await);
}

/// What the kit says of the server, as an error of this crate.
fn of_kit(service: &ServiceName, source: DbErr) -> BackupError {
    UpkeepError::Read { service: service.clone(), source }.into()
}

/// Whether a session answers; one that is at work on a statement that was given up does not.
pub(super) async fn answers(connection: &mut PgConnection) -> bool {
    const PATIENCE: Duration = Duration::from_secs(1);
    matches!(
        select(pin!(send(connection, "SELECT 1")), Delay::new(PATIENCE)).await,
        Either::Left((Ok(()), _))
    )
}
