//! Trying a batch again when it met the application: how long to wait between tries, and when to give up.
//!
//! A batch waits only a moment for a row that another session holds, because it holds rows itself meanwhile. It does not
//! know what is tried, and any other error is not its business.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use crate::event::{self, Origin};
use crate::session::{self, DEADLOCK_DETECTED, Durable, Isolation, LOCK_NOT_AVAILABLE, Limits, sqlstate};

/// What holds inside a batch's transaction. A batch that waits holds rows of its own, so what it may wait is what an
/// application statement may have to wait for it. Its commit need not wait for the disk: batch and cursor are in one
/// transaction, so a crash takes the last batches back as if they had never run, and the next run does them again.
pub(super) const BATCH_LIMITS: Limits = Limits {
    lock: Some(Duration::from_millis(50)),
    statement: None,
    durable: Durable::Soon,
    isolation: Isolation::ReadCommitted,
    is_distributed: false,
};

/// SQLSTATE of `serialization_failure`.
const SERIALIZATION_FAILURE: &str = "40001";

/// The first wait for a session that holds a lock, and after one that has committed already.
const BLOCKED_MS: u64 = 50;
const OVERTAKEN_MS: u64 = 1;

/// How long one batch is tried before its error counts.
const GIVE_UP_AFTER: Duration = Duration::from_secs(300);
/// How often it is reported that a batch waits.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// The tries of one batch.
#[derive(Debug)]
pub(super) struct Patience {
    since: Instant,
    reported: Instant,
    n_tries: u32,
}

/// Whether the batch met another session and can simply be tried again.
pub(super) fn is_contention(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|code| {
        [DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, SERIALIZATION_FAILURE].contains(&code.as_str())
    })
}

impl Patience {
    /// Before the first try.
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { since: now, reported: now, n_tries: 0 }
    }

    /// Waits before the next try, longer after each, with jitter so that two sessions do not meet again in step.
    ///
    /// # Errors
    /// The error itself, if it is not contention or was met for too long; the server's, if the wait was cancelled.
    pub(super) async fn wait(
        &mut self,
        connection: &mut PgConnection,
        origin: &Origin,
        table: &str,
        error: DbErr,
    ) -> Result<(), DbErr> {
        if !is_contention(&error) || self.since.elapsed() >= GIVE_UP_AFTER {
            return Err(error);
        }
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let waited = self.since.elapsed().as_secs();
            event::warning(
                origin,
                &format!("`{table}`: waiting for {waited} s for rows that another session holds"),
            );
        }
        let is_overtaken = sqlstate(&error).as_deref() == Some(SERIALIZATION_FAILURE);
        let first_ms = if is_overtaken { OVERTAKEN_MS } else { BLOCKED_MS };
        let pause = delay(first_ms, self.n_tries).mul_f64(0.5 + fastrand::f64());
        self.n_tries += 1;
        session::pause(connection, pause).await
    }
}

/// The mean wait after this many tries: doubled each time, at most 2 s.
fn delay(first_ms: u64, n_tries: u32) -> Duration {
    Duration::from_millis(first_ms << n_tries.min(6)).min(Duration::from_secs(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_grows_and_is_bounded() {
        assert_eq!(delay(BLOCKED_MS, 0), Duration::from_millis(50));
        assert_eq!(delay(BLOCKED_MS, 3), Duration::from_millis(400));
        assert_eq!(delay(BLOCKED_MS, 40), Duration::from_secs(2));
        assert_eq!(delay(OVERTAKEN_MS, 40), Duration::from_millis(64));
    }

    #[test]
    fn an_error_of_the_kit_is_not_contention() {
        assert!(!is_contention(&DbErr::Migration("there is no table `a.b`".to_owned())));
    }
}
