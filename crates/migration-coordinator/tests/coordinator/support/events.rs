//! What the coordinator told, as text: one line an event.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Collects the events of this thread, on which all of a test runs.
pub(crate) struct Events {
    lines: Arc<Mutex<Vec<String>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Events {
    pub(crate) fn collect() -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(Collector { lines: Arc::clone(&lines) });
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The events of this kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<String> {
        let kind = format!(" kind={kind:?}");
        self.lines.lock().unwrap().iter().filter(|line| line.contains(&kind)).cloned().collect()
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

struct Collector {
    lines: Arc<Mutex<Vec<String>>>,
}

impl<S: tracing::Subscriber> Layer<S> for Collector {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "migration" {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.lines.lock().unwrap().push(line.0);
        }
    }
}

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}
