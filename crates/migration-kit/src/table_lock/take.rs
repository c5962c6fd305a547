//! Short statements under strong locks, for the kit's own steps.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{PgConnection, Row};

use super::{
    PATIENCE_SETTING, Policy, Reference, TableLock, TableLockError, Waiting, is_retryable, of_lock_statement,
    referenced_first,
};
use crate::event::Origin;
use crate::quote::{literal, regclass};
use crate::session::{self, BOOKKEEPING, Durable, Limits, QUERY_CANCELED, db_err, refusal, sqlstate};

/// Statements that run in one transaction once their locks are taken.
#[derive(Debug, Clone)]
pub(crate) struct Locked {
    pub(crate) locks: Vec<TableLock>,
    /// References that the statements will make, besides those that exist.
    pub(crate) references: Vec<Reference>,
    pub(crate) statements: Vec<String>,
    /// Longest run of one statement; `None` only where the locks are weak.
    pub(crate) limit: Option<Duration>,
}

impl Locked {
    /// Takes the locks as the policy says, runs the statements and commits; tries again when a lock could not be acquired.
    /// `is_distributed`: the tables are on another node.
    pub(crate) async fn run(
        &self,
        connection: &mut PgConnection,
        policy: Policy,
        origin: &Origin,
        is_distributed: bool,
    ) -> Result<(), DbErr> {
        let mut references = references(connection, &self.locks).await?;
        references.extend_from_slice(&self.references);
        let locks = referenced_first(self.locks.clone(), &references);
        let mut waiting = Waiting::new(policy, origin.clone());
        loop {
            let error = match self.attempt(connection, waiting.lock_statements(&locks), is_distributed).await
            {
                Err(error) if is_retryable(&error) => error,
                done => return done,
            };
            waiting.after_failure(connection, &locks).await.map_err(|failure| match failure {
                TableLockError::Query(source) => source,
                // Without a known lock it was a row or a table that the statement itself asked for.
                TableLockError::GaveUp { .. } if locks.is_empty() => error,
                TableLockError::GaveUp { .. } => refusal(failure.to_string()),
            })?;
        }
    }

    async fn attempt(
        &self,
        connection: &mut PgConnection,
        lock_statements: impl Iterator<Item = String> + Send,
        is_distributed: bool,
    ) -> Result<(), DbErr> {
        // The locks are held until the commit is answered, so that it does not wait for the disk: a step that a crash took
        // back is done again.
        let limits =
            Limits { statement: self.limit, durable: Durable::Soon, is_distributed, ..Limits::default() };
        let mut tx = session::begin(connection, limits).await?;
        for sql in lock_statements {
            if let Err(error) = session::execute(&mut tx, sql).await {
                tx.rollback().await.map_err(db_err)?;
                return Err(of_lock_statement(error));
            }
        }
        for sql in &self.statements {
            let started = Instant::now();
            if let Err(error) = session::execute(&mut tx, sql.as_str()).await {
                tx.rollback().await.map_err(db_err)?;
                return Err(self.explained(error, sql, started.elapsed()));
            }
        }
        tx.commit().await.map_err(db_err)
    }

    /// Says so if a statement was cancelled because it was not brief; another cancellation stays what it is.
    fn explained(&self, error: DbErr, sql: &str, ran: Duration) -> DbErr {
        match self.limit {
            Some(limit) if ran >= limit && sqlstate(&error).as_deref() == Some(QUERY_CANCELED) => {
                refusal(format!(
                    "a statement under a strong lock ran longer than {} s and was cancelled, as it made everybody wait: \
                 `{sql}`",
                    limit.as_secs()
                ))
            }
            _ => error,
        }
    }
}

/// Runs one statement that takes a strong lock by itself and cannot run in a transaction: as the policy says, and again
/// while the lock cannot be acquired.
pub(crate) async fn take_alone(
    connection: &mut PgConnection,
    lock: TableLock,
    origin: Origin,
    sql: &str,
) -> Result<(), DbErr> {
    let mut waiting = Waiting::new(policy_of_session(connection).await?, origin);
    loop {
        match session::execute_waiting(connection, Some(waiting.longest_wait()), sql).await {
            Err(error) if is_retryable(&error) => {}
            done => return done,
        }
        waiting.after_failure(connection, std::slice::from_ref(&lock)).await.map_err(
            |failure| match failure {
                TableLockError::Query(source) => source,
                TableLockError::GaveUp { .. } => refusal(failure.to_string()),
            },
        )?;
    }
}

/// The default policy, with the patience that the session says, if it says so.
pub(crate) async fn policy_of_session(connection: &mut PgConnection) -> Result<Policy, DbErr> {
    let sql = format!("{BOOKKEEPING}SELECT nullif(current_setting({}, true), '')", literal(PATIENCE_SETTING));
    let said: Option<String> = session::value(connection, sql).await?;
    let patience = said.and_then(|text| text.parse().ok()).map(Duration::from_millis);
    let default = Policy::default();
    Ok(Policy { patience: patience.unwrap_or(default.patience), ..default })
}

/// Which of these tables refer to which by foreign keys, for [`referenced_first`].
///
/// # Errors
/// An error of the connection.
pub async fn references(connection: &mut PgConnection, locks: &[TableLock]) -> Result<Vec<Reference>, DbErr> {
    if locks.len() < 2 {
        return Ok(Vec::new());
    }
    let tables: Vec<String> = locks.iter().map(|lock| regclass(&lock.qualified())).collect();
    let tables = tables.join(", ");
    let sql = format!(
        "{BOOKKEEPING}SELECT fn.nspname::text, f.relname::text, tn.nspname::text, t.relname::text FROM pg_constraint c \
         JOIN pg_class f ON f.oid = c.conrelid JOIN pg_namespace fn ON fn.oid = f.relnamespace \
         JOIN pg_class t ON t.oid = c.confrelid JOIN pg_namespace tn ON tn.oid = t.relnamespace \
         WHERE c.contype = 'f' AND c.conrelid IN ({tables}) AND c.confrelid IN ({tables})"
    );
    let text = |row: &PgRow, column: usize| -> Result<String, DbErr> { row.try_get(column).map_err(db_err) };
    session::rows(connection, sql)
        .await?
        .iter()
        .map(|row| {
            Ok(Reference {
                referring: (text(row, 0)?, text(row, 1)?),
                referenced: (text(row, 2)?, text(row, 3)?),
            })
        })
        .collect()
}
