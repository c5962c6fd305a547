//! Watches a running statement from a second connection, and reports what blocks it. Its own connection is busy.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use migration_kit::BOOKKEEPING;
use migration_kit::nodes::HAS_CITUS;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Row};

use crate::database::DatabaseUrl;
use crate::event::Blocker;
use crate::session;

/// How often to look. What ends sooner needs no second connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many looks at the same wait pass between two times that it is reported.
const LOOKS_UNREPORTED: u32 = 5;

/// Runs work of the session behind this server process to its end, and reports meanwhile who blocks it for longer than a
/// moment, and for how long.
pub(crate) async fn watched<T>(
    url: &DatabaseUrl,
    pid: i32,
    report: impl Fn(&Blocker, Duration),
    work: impl Future<Output = T>,
) -> T {
    match select(pin!(work), pin!(watch(url, pid, report))).await {
        Either::Left((result, _)) => result,
        Either::Right((never, _)) => match never {},
    }
}

async fn watch(url: &DatabaseUrl, pid: i32, report: impl Fn(&Blocker, Duration)) -> Infallible {
    let mut beside: Option<PgConnection> = None;
    let mut waiting: Option<(Instant, u32)> = None;
    loop {
        Delay::new(LOOK_EVERY).await;
        if beside.is_none() {
            // If the second connection fails, nothing is reported; the work continues all the same.
            beside = session::connect_to_read(url).await.ok();
        }
        let Some(connection) = &mut beside else { continue };
        match blocker(connection, pid).await {
            Ok(Some(found)) => {
                let (since, n_looks) = waiting.get_or_insert((Instant::now(), 0));
                if *n_looks % LOOKS_UNREPORTED == 0 {
                    report(&found, since.elapsed());
                }
                *n_looks += 1;
            }
            Ok(None) => waiting = None,
            Err(_) => beside = None,
        }
    }
}

/// The oldest transaction that a session waits for, if it waits. A prepared transaction has no process: it is the one with
/// the number 0, and one of those for whose end the session waits, or that hold a lock on the relation that it waits for.
pub(crate) async fn blocker(beside: &mut PgConnection, pid: i32) -> Result<Option<Blocker>, sqlx::Error> {
    let sql = format!(
        "{BOOKKEEPING}SELECT b.pid, coalesce(a.application_name, p.name, ''), \
           coalesce((extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, p.prepared)) * 1000)::int8, 0) \
         FROM unnest(pg_catalog.pg_blocking_pids({pid})) AS b(pid) LEFT JOIN pg_catalog.pg_stat_activity a USING (pid) \
         LEFT JOIN LATERAL (SELECT 'prepared transaction ' || x.gid AS name, x.prepared \
           FROM pg_catalog.pg_prepared_xacts x \
           JOIN pg_catalog.pg_locks t ON t.locktype = 'transactionid' AND t.transactionid = x.transaction AND t.pid IS NULL \
           JOIN pg_catalog.pg_locks w ON w.pid = {pid} AND NOT w.granted AND (w.transactionid = x.transaction OR EXISTS (\
             SELECT FROM pg_catalog.pg_locks h WHERE h.virtualtransaction = t.virtualtransaction AND h.pid IS NULL AND h.granted \
               AND h.relation = w.relation AND h.database = w.database)) \
           WHERE b.pid = 0 ORDER BY x.prepared LIMIT 1) p ON true \
         ORDER BY coalesce(a.xact_start, p.prepared) LIMIT 1"
    );
    let mut rows = session::rows(beside, &sql).await?;
    if rows.is_empty() && has_citus(beside).await? {
        rows = session::rows(beside, &elsewhere(pid)).await?;
    }
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Blocker { pid: row.try_get(0)?, application: row.try_get(1)?, age_ms: row.try_get(2)? }))
}

async fn has_citus(beside: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let rows = session::rows(beside, &format!("{BOOKKEEPING}SELECT {HAS_CITUS}")).await?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

/// The same for a wait on another node of Citus, of which this one sees nothing: the session that came in there, or here.
fn elsewhere(pid: i32) -> String {
    format!(
        "{BOOKKEEPING}SELECT citus_pid_for_gpid(w.blocking_gpid), \
           coalesce(a.application_name, '') || coalesce(' on ' || n.nodename || ':' || n.nodeport, ''), \
           coalesce((extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::int8, 0) \
         FROM citus_lock_waits w LEFT JOIN citus_stat_activity a ON a.global_pid = w.blocking_gpid AND NOT a.is_worker_query \
         LEFT JOIN pg_catalog.pg_dist_node n ON n.nodeid = w.blocking_nodeid \
         WHERE w.waiting_gpid = citus_calculate_gpid(citus_coordinator_nodeid(), {pid}) ORDER BY a.xact_start LIMIT 1"
    )
}
