//! Stopping a migration that runs: its statement is cancelled from beside it, so that it ends with an error of its own.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use migration_plan::Step;

use super::StepError;
use super::Worker;
use crate::session;

/// How long a cancelled migration may take to give up before its session is ended.
const GRACE: Duration = Duration::from_secs(3);

/// How often a cancelled migration's statement is cancelled again: it may be between two statements.
const CANCEL_EVERY: Duration = Duration::from_millis(50);

impl Worker<'_> {
    /// Runs to the end unless the run is stopped: then the statement is cancelled; if the migration does not end with
    /// it, its session is ended.
    pub(super) async fn cancellable<T>(
        &self,
        step: &Step,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let mut work = pin!(work);
        if let Either::Left((result, _)) =
            select(&mut work, pin!(self.context.cancellation.cancelled())).await
        {
            return result;
        }
        let asked = Instant::now();
        while asked.elapsed() < GRACE {
            self.signal("pg_cancel_backend").await;
            if let Either::Left((result, _)) = select(&mut work, Delay::new(CANCEL_EVERY)).await {
                return result.map_err(|_| StepError::interrupted(step));
            }
        }
        self.signal("pg_terminate_backend").await;
        Err(StepError::interrupted(step))
    }

    /// Sends a signal to the session's server process from beside it. If that cannot be done, the grace time runs out
    /// and the session is dropped, which the server notices by itself.
    async fn signal(&self, function: &str) {
        let url = &self.deployment.databases()[self.placed.database];
        if let Ok(mut beside) = session::connect_to_read(url).await {
            let sql = format!("/* migrate */ SELECT pg_catalog.{function}({})", self.session.pid());
            drop(session::rows(&mut beside, &sql).await);
        }
    }
}
