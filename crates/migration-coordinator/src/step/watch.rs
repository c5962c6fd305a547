//! Looking from beside at a migration that runs outside a transaction: a concurrent index build waits for every older
//! snapshot, however long, and its own connection is too busy to say for whom.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use migration_plan::Step;
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Row};

use super::Worker;
use crate::event::{self, Blocker};
use crate::session;

/// How often to look. What ends sooner needs no second connection.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How many looks at the same wait pass between two times that it is told.
const LOOKS_UNTOLD: u32 = 5;

impl Worker<'_> {
    /// Runs to the end, and tells meanwhile who is in the way for longer than a moment.
    pub(super) async fn watched<T>(&self, step: &Step, work: impl Future<Output = T>) -> T {
        match select(pin!(work), pin!(self.watch(step))).await {
            Either::Left((result, _)) => result,
            Either::Right((never, _)) => match never {},
        }
    }

    async fn watch(&self, step: &Step) -> Infallible {
        let url = &self.deployment.databases()[self.placed.database];
        let mut beside: Option<PgConnection> = None;
        let mut waiting: Option<(Instant, u32)> = None;
        loop {
            Delay::new(LOOK_EVERY).await;
            if beside.is_none() {
                // Who cannot look says nothing; the migration goes on all the same.
                beside = session::connect_to_read(url).await.ok();
            }
            let Some(connection) = &mut beside else { continue };
            match blocker(connection, self.session.pid()).await {
                Ok(Some(found)) => {
                    let (since, n_looks) = waiting.get_or_insert((Instant::now(), 0));
                    if *n_looks % LOOKS_UNTOLD == 0 {
                        event::statement_waiting(step, &found, since.elapsed());
                    }
                    *n_looks += 1;
                }
                Ok(None) => waiting = None,
                Err(_) => beside = None,
            }
        }
    }
}

/// The oldest transaction that a session waits for, if it waits.
async fn blocker(beside: &mut PgConnection, pid: i32) -> Result<Option<Blocker>, sqlx::Error> {
    let sql = format!(
        "/* migrate */ SELECT a.pid, coalesce(a.application_name, ''), \
           coalesce((extract(epoch FROM clock_timestamp() - a.xact_start) * 1000)::int8, 0) \
         FROM unnest(pg_catalog.pg_blocking_pids({pid})) AS b(pid) JOIN pg_catalog.pg_stat_activity a USING (pid) \
         ORDER BY a.xact_start LIMIT 1"
    );
    let rows = session::rows(beside, &sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Blocker { pid: row.try_get(0)?, application: row.try_get(1)?, age_ms: row.try_get(2)? }))
}
