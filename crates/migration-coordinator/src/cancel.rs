//! Stopping a run from outside: a signal that many parts can wait for.
//!
//! Nothing here listens to Ctrl-C; whoever does calls [`Stop::now`].

use std::future::Future;
use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use futures_channel::oneshot;
use futures_timer::Delay;
use futures_util::FutureExt;
use futures_util::future::{Either, Shared, select};

/// Runs to the end unless that takes longer: then `None`, and the future is dropped.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Option<F::Output> {
    match select(pin!(future), Delay::new(limit)).await {
        Either::Left((output, _)) => Some(output),
        Either::Right(_) => None,
    }
}

/// Waits for [`Stop::now`]. Clones wait for the same call.
#[derive(Clone)]
pub struct Cancellation {
    stopped: Shared<oneshot::Receiver<()>>,
}

/// Stops the run that was given the other half.
pub struct Stop {
    sender: Mutex<Option<oneshot::Sender<()>>>,
}

/// The two halves: what stops, and what is stopped.
#[must_use]
pub fn cancellation() -> (Stop, Cancellation) {
    let (sender, receiver) = oneshot::channel();
    (Stop { sender: Mutex::new(Some(sender)) }, Cancellation { stopped: receiver.shared() })
}

impl Stop {
    /// Stops the run; a second call changes nothing.
    pub fn now(&self) {
        // A panic while the lock was held cannot have left the sender half taken.
        let mut sender = self.sender.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(sender) = sender.take() {
            // If the run is over, its receiver is gone.
            let _ = sender.send(());
        }
    }
}

impl Cancellation {
    /// Whether the run was stopped.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.stopped.peek(), Some(Ok(())))
            || matches!(self.stopped.clone().now_or_never(), Some(Ok(())))
    }

    /// Waits until the run is stopped; for ever if nothing can stop it any more.
    pub async fn cancelled(&self) {
        if self.stopped.clone().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Runs to the end unless stopped before: then `None`, and the future is dropped.
    pub async fn unless_cancelled<F: Future>(&self, future: F) -> Option<F::Output> {
        match select(pin!(future), pin!(self.cancelled())).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(_) => None,
        }
    }
}

impl Default for Cancellation {
    /// A run that nothing stops.
    fn default() -> Self {
        cancellation().1
    }
}
