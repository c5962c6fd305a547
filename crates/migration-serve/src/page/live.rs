//! Keeping pages up to date: a stream of what changed, and a beat where nothing did.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

use super::{Rendered, current};
use crate::watch::{GOOD_FOR, Watch};

/// After how long something is sent if nothing changed, so that a page knows that it is up to date.
const BEAT: Duration = Duration::from_secs(4);

/// One page that is kept up to date.
struct Listener {
    watch: Arc<Watch>,
    closed: watch::Receiver<bool>,
    /// What it has, as far as that is known.
    has: Option<Arc<Rendered>>,
    /// The name of what it says that it has.
    says: Option<String>,
    heard: Instant,
    _place: OwnedSemaphorePermit,
}

/// `/events`: what changed, as it does; `?since=` or `Last-Event-ID` names what the reader has. 503 where too many listen.
pub(super) async fn events(State(watch): State<Arc<Watch>>, uri: Uri, headers: HeaderMap) -> Response {
    let Ok(place) = Arc::clone(&watch.pages.listeners).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], "too many listen\n")
            .into_response();
    };
    let since = uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .find_map(|part| part.strip_prefix("since="));
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let listener = Listener {
        closed: watch.pages.closed.subscribe(),
        watch,
        has: None,
        says: last.or(since).map(str::to_owned),
        heard: Instant::now(),
        _place: place,
    };
    let events = stream::unfold(listener, async |mut listener| {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Sse::new(events).into_response()
}

impl Listener {
    /// The next event; none if the server stops.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let mut closed = self.closed.clone();
            let mut ending = pin!(async { drop(closed.wait_for(|closed| *closed).await) });
            let found = tokio::select! {
                found = timeout(BEAT, current(&self.watch)) => found.ok(),
                () = &mut ending => return None,
            };
            if let Some(page) = found {
                let has_it = match &self.has {
                    Some(has) => has.id == page.id,
                    None => self.says.as_ref() == Some(&page.id),
                };
                let event = (!has_it).then(|| changed(self.has.as_deref(), &page));
                let is_first = self.has.replace(page).is_none();
                if let Some(event) = event {
                    return self.tell(event);
                }
                if is_first {
                    return self.tell(Event::default().event("beat").data(""));
                }
            }
            if self.heard.elapsed() >= BEAT {
                return self.tell(Event::default().event("beat").data(""));
            }
            tokio::select! {
                () = sleep(GOOD_FOR) => {}
                () = ending => return None,
            }
        }
    }

    fn tell(&mut self, event: Event) -> Option<Event> {
        self.heard = Instant::now();
        Some(event)
    }
}

/// The parts that are not as they were.
fn changed(has: Option<&Rendered>, page: &Rendered) -> Event {
    let is_new = |(name, content): &&(&str, String)| has.and_then(|has| has.part(name)) != Some(content);
    let parts =
        page.parts.iter().filter(is_new).map(|(name, content)| ((*name).to_owned(), content.clone().into()));
    let parts: serde_json::Map<String, Value> = parts.collect();
    let change = json!({"id": page.id, "now": page.now, "title": page.title, "parts": parts});
    Event::default().event("change").id(&page.id).data(change.to_string())
}
