//! The page for people: complete as it is sent, and kept up to date by a stream of what changed where scripts run.
//!
//! Nothing comes from elsewhere, nothing is inline, and all that was read from a database is escaped by the markup. What
//! many look at is asked and written once per second.

mod document;
mod drift;
mod graph;
mod headline;
mod live;
mod records;
mod services;
mod text;
mod under_way;

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::header;
use axum::middleware;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use migration_coordinator::{Recent, Scope, ServiceVerification, recent, verify_surveyed};
use migration_report::{Graph, Histories};
use tokio::sync::{Mutex, Semaphore, watch};

use crate::drift::SchemaDrift;
use crate::look::Look;
use crate::pace::Rates;
use crate::routes::{NO_ANSWER, guard};
use crate::watch::{GOOD_FOR, Watch};

/// How many pages are kept up to date at a time. Others reload themselves.
const LISTENERS: usize = 64;

/// How long what changes with the services alone is good for while they do not change: rejects, journals, promises.
const KEPT_FOR: Duration = Duration::from_secs(15);

/// How many lines of each journal are read.
const LINES: u32 = 30;

/// What a browser loads beside the page.
const FILES: [(&str, &str, &str); 3] = [
    ("/style.css", "text/css; charset=utf-8", include_str!("style.css")),
    ("/live.js", "text/javascript; charset=utf-8", include_str!("live.js")),
    ("/icon.svg", "image/svg+xml", include_str!("icon.svg")),
];

/// The page at `/`, and what it loads beside itself. An application nests it where it likes.
pub fn page(watch: Arc<Watch>) -> Router {
    let mut router = Router::new().route("/", get(document)).route("/events", get(live::events));
    for (path, media_type, text) in FILES {
        let headers = [(header::CONTENT_TYPE, media_type)];
        router = router.route(path, get(async move || (headers, text)));
    }
    router.layer(middleware::from_fn(guard)).with_state(watch)
}

async fn document(State(watch): State<Arc<Watch>>, OriginalUri(uri): OriginalUri) -> Response {
    let rendered = current(&watch).await;
    Html(document::of(&rendered, &base(uri.path())).into_string()).into_response()
}

/// What leads from a path to its neighbours, so that the page can be nested at any path, with or without a slash at its end.
fn base(path: &str) -> String {
    match path.rsplit('/').next() {
        None | Some("") => "./".to_owned(),
        Some(last) => format!("./{last}/"),
    }
}

/// A page as far as it depends on what was found.
#[derive(Debug, Clone)]
pub(crate) struct Rendered {
    /// Names this content, whichever process wrote it.
    id: String,
    /// The clock of the servers, in seconds since 1970; 0 if none answered.
    now: i64,
    title: String,
    /// The content of each part, by its name.
    parts: Vec<(&'static str, String)>,
}

/// What is known when a page is written.
struct View<'v> {
    look: &'v Look,
    rates: &'v Rates,
    recent: &'v Recent,
    /// Why some of it could not be read.
    unread: Vec<String>,
    promises: &'v [ServiceVerification],
    histories: Histories,
    graph: Graph,
    /// The latest comparison of schemas, and when it was made.
    drift: Option<(i64, Vec<SchemaDrift>)>,
}

/// The pages of a watch: the latest one, what is read only now and then, and who listens.
pub(crate) struct Pages {
    // Invariant: held while a page is written, so that there is one at a time.
    state: Mutex<Written>,
    last: std::sync::Mutex<Option<Arc<Rendered>>>,
    listeners: Arc<Semaphore>,
    closed: watch::Sender<bool>,
}

#[derive(Default)]
struct Written {
    latest: Option<(Instant, Arc<Rendered>)>,
    kept: Option<Kept>,
}

/// What is read only now and then.
struct Kept {
    read: Instant,
    /// Of which services, in which states.
    of: String,
    recent: Recent,
    promises: Vec<ServiceVerification>,
}

impl Default for Pages {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            last: std::sync::Mutex::default(),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            closed: watch::Sender::new(false),
        }
    }
}

impl Pages {
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
    }

    /// The latest page, with the word that no answer has come since.
    fn unanswered(&self) -> Arc<Rendered> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut parts = last.as_ref().map(|last| last.parts.clone()).unwrap_or_default();
        parts.retain(|(name, _)| *name != headline::PART);
        let headline = headline::unanswered(NO_ANSWER, last.as_ref().map(|last| last.now));
        parts.insert(0, (headline::PART, headline.into_string()));
        Arc::new(Rendered::of(0, format!("{NO_ANSWER} · migrations"), parts))
    }
}

/// The page of this moment, or of the last second. A task of its own writes it, so that one who goes away stops nothing.
async fn current(watch: &Arc<Watch>) -> Arc<Rendered> {
    let shared = Arc::clone(watch);
    let written = tokio::spawn(async move {
        let mut state = shared.pages.state.lock().await;
        if let Some((when, page)) = &state.latest
            && when.elapsed() < GOOD_FOR
        {
            return Arc::clone(page);
        }
        let page = match write(&shared, &mut state).await {
            Some(page) => {
                *shared.pages.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&page));
                page
            }
            None => shared.pages.unanswered(),
        };
        state.latest = Some((Instant::now(), Arc::clone(&page)));
        page
    });
    written.await.unwrap_or_else(|_| watch.pages.unanswered())
}

async fn write(watch: &Arc<Watch>, state: &mut Written) -> Option<Arc<Rendered>> {
    let seen = watch.look().await?;
    let look = &seen.look;
    let of = serde_json::to_string(&look.status.services).unwrap_or_default();
    if !state.kept.as_ref().is_some_and(|kept| kept.of == of && kept.read.elapsed() < KEPT_FOR) {
        let recent = recent(watch.deployment(), &look.survey, LINES).await;
        let promises = verify_surveyed(watch.deployment(), &look.survey, &[], Scope::Schema).await;
        state.kept = Some(Kept { read: Instant::now(), of, recent, promises });
    }
    let kept = state.kept.as_ref()?;
    let unread = kept.recent.unread.iter();
    let unread =
        unread.map(|error| migration_report::Diagnostic::of(error.as_ref(), watch.words()).on_one_line());
    let view = View {
        look,
        rates: &seen.rates,
        recent: &kept.recent,
        unread: unread.collect(),
        promises: &kept.promises,
        histories: Histories::of(watch.deployment(), &look.survey, None, &[], watch.words()).body,
        graph: Graph::of(watch.deployment().catalog()),
        drift: watch.drift.get(),
    };
    Some(Arc::new(view.rendered()))
}

impl View<'_> {
    fn rendered(&self) -> Rendered {
        let (title, headline) = headline::of(self);
        let parts = [
            (headline::PART, headline),
            ("figures", headline::figures(self)),
            ("run", under_way::of(self)),
            ("services", services::of(self)),
            ("drift", drift::of(self)),
            ("graph", graph::of(self)),
            ("rejects", records::rejects(self)),
            ("history", records::history(self)),
        ];
        let parts = parts.map(|(name, markup)| (name, markup.into_string()));
        Rendered::of(self.look.now, title, parts.to_vec())
    }
}

impl Rendered {
    fn of(now: i64, title: String, parts: Vec<(&'static str, String)>) -> Self {
        let mut hasher = DefaultHasher::new();
        (&title, &parts).hash(&mut hasher);
        Self { id: format!("{:016x}", hasher.finish()), now, title, parts }
    }

    fn part(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|(part, _)| *part == name).map(|(_, content)| content.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_found_wherever_the_page_is_nested() {
        for (path, base_of) in
            [("/", "./"), ("", "./"), ("/migrations", "./migrations/"), ("/a/b/", "./"), ("/a/b", "./b/")]
        {
            assert_eq!(base(path), base_of, "{path}");
        }
    }
}
