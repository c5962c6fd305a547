//! Stopping what a session does: its statement is cancelled from beside it, so that the work ends with an error of its own.
//!
//! Work that is only dropped leaves its statement behind on the server, and with it the session and the migration lock, for as
//! long as the statement waits.

use migration_kit::BOOKKEEPING;

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use futures_util::future::{Either, select};

use crate::cancel::{Cancellation, within};
use crate::database::DatabaseUrl;
use crate::session::{self, Session};

/// How long cancelled work may take to give up before its session is ended.
const GRACE: Duration = Duration::from_secs(3);

/// How long the order to end its session may take. Where it does not arrive, the session is dropped, and the server has to
/// notice by itself.
const END: Duration = Duration::from_secs(1);

/// How often a statement is cancelled again: the work may be between two statements.
const CANCEL_EVERY: Duration = Duration::from_millis(50);

/// How work on a session ended.
pub(crate) enum Ended<T> {
    /// By itself.
    Finished(T),
    /// The run was stopped. What the work ended with; `None` if its session had to be ended.
    Stopped(Option<T>),
    /// The run was stopped, and the server does not answer: the session is given up.
    Unanswered,
}

impl Session {
    /// Runs to the end unless the run is stopped: then the statement is cancelled; if the work does not end with it, the
    /// session is ended. Waits of the work that are not the server's are for itself to end.
    pub(crate) async fn cancellable<T>(
        &self,
        url: &DatabaseUrl,
        cancellation: &Cancellation,
        work: impl Future<Output = T>,
    ) -> Ended<T> {
        let mut work = pin!(work);
        if let Either::Left((result, _)) = select(&mut work, pin!(cancellation.cancelled())).await {
            return Ended::Finished(result);
        }
        let asked = Instant::now();
        while let Some(rest) = GRACE.checked_sub(asked.elapsed()) {
            within(rest, self.signal(url, "pg_cancel_backend")).await;
            if let Either::Left((result, _)) = select(&mut work, Delay::new(CANCEL_EVERY)).await {
                return Ended::Stopped(Some(result));
            }
        }
        if within(END, self.signal(url, "pg_terminate_backend")).await == Some(true) {
            return Ended::Stopped(None);
        }
        self.give_up();
        Ended::Unanswered
    }

    /// Sends a signal to the session's server process from another one, and returns whether it was sent, or was not needed
    /// because the process is gone.
    async fn signal(&self, url: &DatabaseUrl, function: &str) -> bool {
        let Ok(mut beside) = session::connect_to_read(url).await else { return false };
        let sql = format!("{BOOKKEEPING}SELECT pg_catalog.{function}({})", self.pid());
        session::rows(&mut beside, &sql).await.is_ok()
    }
}
