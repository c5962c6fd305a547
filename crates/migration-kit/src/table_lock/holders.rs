//! Which sessions block a table lock, read from `pg_locks`.
//!
//! `pg_blocking_pids` does not help: a session whose `NOWAIT` failed is in no queue, so nothing blocks it.

use std::fmt;
use std::time::Duration;

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};
use serde::Deserialize;

use super::{LockMode, TableLock};
use crate::literal;
use crate::session::{self, BOOKKEEPING, db_err, refusal};

/// What kind of transaction blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HolderKind {
    /// A session's: an application, a person, another tool.
    Session,
    /// An autovacuum worker's. A `NOWAIT` never cancels it; the server does so for whoever queues behind it longer than
    /// `deadlock_timeout`.
    Autovacuum,
    /// An autovacuum worker's that prevents transaction id wraparound. Nothing cancels it, and nothing should.
    AutovacuumAgainstWraparound,
    /// A prepared transaction: no session, ends with `COMMIT PREPARED`.
    PreparedTransaction,
}

/// One transaction that holds a conflicting lock on a table, or waits for one: a `NOWAIT` does not overtake the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What identifies the transaction: its virtual id.
    pub transaction: String,
    /// Schema of the table that was asked for.
    pub schema: String,
    /// The table that was asked for; the lock may be on one of its partitions.
    pub relation: String,
    /// Process of the session; 0 for a prepared transaction.
    pub pid: i32,
    /// The session's `application_name`, or what a prepared transaction is called.
    pub application: String,
    /// What kind of transaction it is.
    pub kind: HolderKind,
    /// The mode of its lock.
    pub mode: LockMode,
    /// Whether it has the lock; otherwise it waits for it.
    pub granted: bool,
    /// Age of the transaction. Zero where the server does not show it to this role; then the time since it was first
    /// seen counts.
    pub age: Duration,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.application.as_str()) {
            (HolderKind::PreparedTransaction, name) => f.write_str(name)?,
            (_, "") => write!(f, "process {}", self.pid)?,
            (_, name) => write!(f, "process {} (`{name}`)", self.pid)?,
        }
        write!(f, " has held {} for {} s or more", self.mode, self.age.as_secs())
    }
}

#[cfg(test)]
impl Holder {
    /// A session that has read `s.t`.
    pub(super) fn reading(transaction: impl Into<String>, pid: i32, age: Duration) -> Self {
        Self {
            transaction: transaction.into(),
            schema: "s".to_owned(),
            relation: "t".to_owned(),
            pid,
            application: "app".to_owned(),
            kind: HolderKind::Session,
            mode: LockMode::AccessShare,
            granted: true,
            age,
        }
    }
}

/// Reads what blocks it of these locks, oldest first; also sessions that came in through other nodes of Citus.
///
/// # Errors
/// An error of the connection.
pub async fn holders(connection: &mut PgConnection, locks: &[TableLock]) -> Result<Vec<Holder>, DbErr> {
    let mut found = Vec::new();
    for lock in locks {
        for row in session::rows(connection, query(lock)).await? {
            let found_here = Found {
                transaction: row.try_get("transaction").map_err(db_err)?,
                pid: row.try_get("pid").map_err(db_err)?,
                application: row.try_get("application").map_err(db_err)?,
                mode: row.try_get("mode").map_err(db_err)?,
                granted: row.try_get("granted").map_err(db_err)?,
                kind: row.try_get("kind").map_err(db_err)?,
                age_ms: row.try_get("age_ms").map_err(db_err)?,
            };
            found.push(found_here.of(lock)?);
        }
    }
    if session::has_citus(connection).await? {
        for lock in locks {
            found.extend(elsewhere(connection, lock).await?);
        }
    }
    found.sort_by_key(|holder| std::cmp::Reverse(holder.age));
    Ok(found)
}

/// What a node says of a transaction.
#[derive(Deserialize)]
struct Found {
    transaction: String,
    pid: i32,
    application: String,
    mode: String,
    granted: bool,
    kind: String,
    age_ms: i64,
}

impl Found {
    fn of(self, lock: &TableLock) -> Result<Holder, DbErr> {
        Ok(Holder {
            transaction: self.transaction,
            schema: lock.schema.clone(),
            relation: lock.relation.clone(),
            pid: self.pid,
            application: self.application,
            kind: match self.kind.as_str() {
                "prepared" => HolderKind::PreparedTransaction,
                "wraparound" => HolderKind::AutovacuumAgainstWraparound,
                "autovacuum" => HolderKind::Autovacuum,
                _ => HolderKind::Session,
            },
            mode: self.mode.parse().map_err(|unknown| DbErr::Migration(format!("{unknown}")))?,
            granted: self.granted,
            age: Duration::from_millis(u64::try_from(self.age_ms).unwrap_or(0)),
        })
    }
}

/// The same of sessions that came in through other nodes of Citus. One that does not answer is passed over: what needs it fails.
async fn elsewhere(connection: &mut PgConnection, lock: &TableLock) -> Result<Vec<Holder>, DbErr> {
    let question = format!("SELECT coalesce(json_agg(h), '[]') FROM ({}) AS h", query(lock));
    let sql = format!(
        "{BOOKKEEPING}SELECT nodename || ':' || nodeport, result FROM run_command_on_workers({}) WHERE success",
        literal(&question)
    );
    let mut found = Vec::new();
    for row in session::rows(connection, sql).await? {
        let (node, said): (String, String) =
            (row.try_get(0).map_err(db_err)?, row.try_get(1).map_err(db_err)?);
        let there: Vec<Found> = serde_json::from_str(&said)
            .map_err(|error| refusal(format!("what {node} says of its locks is malformed: {error}")))?;
        for mut one in there {
            one.transaction = format!("{node} {}", one.transaction);
            one.application = format!("{} on {node}", one.application);
            found.push(one.of(lock)?);
        }
    }
    Ok(found)
}

/// The query for one table and its partitions, which `LOCK TABLE` locks too.
///
/// An autovacuum worker is known by having no user: a plain role does not see its `backend_type`. A prepared transaction is
/// known by its number: it shares its virtual one with no session, but not in a form that names it.
fn query(lock: &TableLock) -> String {
    let conflicting: Vec<String> = LockMode::ALL
        .into_iter()
        .filter(|mode| mode.conflicts_with(lock.mode))
        .map(|mode| literal(mode.catalog_name()))
        .collect();
    format!(
        "{BOOKKEEPING}WITH RECURSIVE wanted(oid) AS (SELECT to_regclass({table})::oid \
         UNION SELECT inhrelid FROM pg_inherits JOIN wanted ON inhparent = wanted.oid) \
         SELECT l.virtualtransaction::text AS transaction, coalesce(l.pid, 0) AS pid, \
         coalesce(a.application_name, 'prepared transaction ' || p.gid, '') AS application, l.mode::text AS mode, l.granted AS granted, \
         CASE WHEN l.pid IS NULL THEN 'prepared' \
         WHEN a.query LIKE 'autovacuum:%(to prevent wraparound)' THEN 'wraparound' \
         WHEN a.usesysid IS NULL THEN 'autovacuum' ELSE 'session' END AS kind, \
         coalesce(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000, 0)::bigint AS age_ms \
         FROM pg_locks l JOIN wanted ON l.relation = wanted.oid \
         LEFT JOIN pg_stat_activity a ON a.pid = l.pid \
         LEFT JOIN pg_locks t ON l.pid IS NULL AND t.virtualtransaction = l.virtualtransaction \
           AND t.locktype = 'transactionid' AND t.pid IS NULL AND t.granted \
         LEFT JOIN pg_prepared_xacts p ON p.transaction = t.transactionid \
         WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()) \
         AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.mode IN ({conflicting})",
        table = literal(&lock.qualified()),
        conflicting = conflicting.join(", "),
    )
}
