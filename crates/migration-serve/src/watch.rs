//! Looking at most once per second, however many ask.

use std::sync::Arc;
use std::time::{Duration, Instant};

use migration_coordinator::Deployment;
use migration_report::{PlainWords, Words};
use tokio::sync::Mutex;

use crate::drift::{LatestDrift, SchemaDrift};
use crate::look::Look;
use crate::pace::{Paces, Rates};
use crate::page::Pages;

/// How long a look is good for.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(1);

/// How long whoever asks waits for a look. A connection attempt gives up after ten seconds by itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// A deployment that is looked at by many: they share one survey, which a task of its own takes, so that one who goes away
/// neither stops nor repeats it.
pub struct Watch {
    deployment: Deployment,
    words: Box<dyn Words + Send + Sync>,
    // Invariant: held while a survey is taken, so that there is one at a time.
    latest: Mutex<Latest>,
    pub(crate) pages: Pages,
    pub(crate) drift: LatestDrift,
}

/// The latest look, and what is kept from one to the next.
#[derive(Default)]
struct Latest {
    seen: Option<(Instant, Arc<Seen>)>,
    paces: Paces,
}

/// A look, and how fast what it found advances.
pub(crate) struct Seen {
    pub(crate) look: Look,
    pub(crate) rates: Rates,
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
        Arc::new(Self {
            deployment,
            words: Box::new(words),
            latest: Mutex::default(),
            pages: Pages::default(),
            drift: LatestDrift::default(),
        })
    }

    /// The deployment.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// Shows from now on what a comparison of the live schemas with what their migrations make has found. Without one, the page
    /// and the metrics say nothing of drift.
    pub fn compared(&self, drift: Vec<SchemaDrift>) {
        self.drift.set(drift);
    }

    /// Ends what would otherwise go on for as long as its reader: the streams of the page. For a server that stops.
    pub fn close(&self) {
        self.pages.close();
    }

    pub(crate) fn words(&self) -> &(dyn Words + Send + Sync) {
        self.words.as_ref()
    }

    /// What is found now, or was found within the last second; `None` if the servers do not answer in time.
    pub(crate) async fn look(self: &Arc<Self>) -> Option<Arc<Seen>> {
        let watch = Arc::clone(self);
        let looking = tokio::spawn(async move {
            let mut latest = watch.latest.lock().await;
            if let Some((when, seen)) = &latest.seen
                && when.elapsed() < GOOD_FOR
            {
                return Arc::clone(seen);
            }
            let look = Look::take_with_progress(&watch.deployment, watch.words.as_ref()).await;
            let now = Instant::now();
            let rates = latest.paces.take_in(now, &look.progress);
            let seen = Arc::new(Seen { look, rates });
            latest.seen = Some((now, Arc::clone(&seen)));
            seen
        });
        tokio::time::timeout(PATIENCE, looking).await.ok()?.ok()
    }
}
