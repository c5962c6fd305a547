//! What the coordinator told, as text: one line an event.

use std::cell::RefCell;
use std::fmt::{Debug, Write};
use std::sync::Once;
use std::time::Duration;

use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

thread_local! {
    /// What was told on this thread, on which all of a test runs, while somebody collects.
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Collects the events of this thread until it is dropped.
pub(crate) struct Events;

impl Events {
    pub(crate) fn collect() -> Self {
        // One for all threads: where each brings its own, a place that tells while another begins may stay unheard.
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let subscriber = tracing_subscriber::registry().with(Collector);
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        LINES.set(Some(Vec::new()));
        Self
    }

    /// The events of this kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<String> {
        let kind = format!(" kind={kind:?}");
        let lines = LINES.with_borrow(Clone::clone).unwrap_or_default();
        lines.into_iter().filter(|line| line.contains(&kind)).collect()
    }

    /// How many statements the sessions have run, and how many rows they were answered.
    pub(crate) fn statements_and_rows(&self) -> (u64, u64) {
        let lines = LINES.with_borrow(Clone::clone).unwrap_or_default();
        let rows = lines.iter().filter_map(|line| line.split_once(" rows_returned=")?.1.split(' ').next());
        rows.fold((0, 0), |(n, n_rows), rows| (n + 1, n_rows + rows.parse::<u64>().unwrap()))
    }

    /// Waits until an event of this kind was told; fails after half a minute.
    pub(crate) async fn until(&self, kind: &str) -> String {
        for _ in 0..3000 {
            if let Some(line) = self.of(kind).into_iter().next() {
                return line;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("no `{kind}` was told")
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

struct Collector;

impl<S: Subscriber> Layer<S> for Collector {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        ["migration", "sqlx::query"].contains(&metadata.target())
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.push(line.0)));
    }
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
