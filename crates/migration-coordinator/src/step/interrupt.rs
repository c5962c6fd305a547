//! Stopping a migration that runs: its statement is cancelled from beside it, so that it ends with an error of its own.

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};
use migration_plan::Step;

use super::StepError;
use super::Worker;
use crate::cancel::within;
use crate::session;

/// How long a cancelled migration may take to give up before its session is ended.
const GRACE: Duration = Duration::from_secs(3);

/// How long the order to end its session may take. Where it does not arrive, the session is dropped, and the server has to
/// notice by itself.
const END: Duration = Duration::from_secs(1);

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
        while let Some(rest) = GRACE.checked_sub(asked.elapsed()) {
            within(rest, self.signal("pg_cancel_backend")).await;
            if let Either::Left((result, _)) = select(&mut work, Delay::new(CANCEL_EVERY)).await {
                return result.map_err(|error| match error {
                    StepError::CommitUnknown { .. } => error,
                    _ => StepError::interrupted(step),
                });
            }
        }
        if within(END, self.signal("pg_terminate_backend")).await == Some(true) {
            return Err(StepError::interrupted(step));
        }
        self.session.give_up();
        Err(StepError::unanswered(step, self.session.pid()))
    }

    /// Sends a signal to the session's server process from beside it, and returns whether it was sent or is in vain because
    /// the process is gone.
    async fn signal(&self, function: &str) -> bool {
        let url = &self.deployment.databases()[self.placed.database];
        let Ok(mut beside) = session::connect_to_read(url).await else { return false };
        let sql = format!("/* migrate */ SELECT pg_catalog.{function}({})", self.session.pid());
        session::rows(&mut beside, &sql).await.is_ok()
    }
}
