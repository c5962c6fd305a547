//! Looking at most once per second, however many ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use migration_coordinator::Deployment;
use migration_report::{PlainWords, Words};
use tokio::sync::Mutex;

use crate::look::Look;

/// How long a look is good for.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long whoever asks waits for a look. A connection attempt gives up after ten seconds by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// A deployment that is looked at by many: they share one survey, which a task of its own takes, so that one who goes away
/// neither stops nor repeats it.
pub struct Watch {
    deployment: Deployment,
    words: Box<dyn Words + Send + Sync>,
    // Invariant: held while a survey is taken, so that there is one at a time.
    latest: Mutex<Option<(Instant, Arc<Look>)>>,
}

impl Watch {
    /// A watch over a deployment, in the words of the libraries.
    #[must_use]
    pub fn new(deployment: Deployment) -> Arc<Self> {
        Self::in_words(deployment, PlainWords)
    }

    /// A watch over a deployment, in the words of a program.
    #[must_use]
    pub fn in_words(deployment: Deployment, words: impl Words + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { deployment, words: Box::new(words), latest: Mutex::new(None) })
    }

    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// What is found now, or was found within the last second; `None` if the servers do not answer in time.
    pub async fn look(self: &Arc<Self>) -> Option<Arc<Look>> {
        let watch = Arc::clone(self);
        let looking = tokio::spawn(async move {
            let mut latest = watch.latest.lock().await;
            if let Some((when, look)) = &*latest
                && when.elapsed() < GOOD_FOR
            {
                return Arc::clone(look);
            }
            let look = Arc::new(Look::take(&watch.deployment, watch.words.as_ref()).await);
            *latest = Some((Instant::now(), Arc::clone(&look)));
            look
        });
        tokio::time::timeout(PATIENCE, looking).await.ok()?.ok()
    }
}
