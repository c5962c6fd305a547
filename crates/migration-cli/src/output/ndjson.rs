//! Events as NDJSON on stdout: one object a line, numbered, with the time of day.

use std::io::Write;
use std::sync::Mutex;

use migration_report::timestamp;
use serde_json::{Map, Value};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::fields::{Fields, TARGET};
use super::log::now;
use super::text::safe_json;

/// Writes each event as a line.
#[derive(Default)]
pub(super) struct NdjsonLayer {
    written: Mutex<u64>,
}

impl<S: Subscriber> Layer<S> for NdjsonLayer {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == TARGET
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut written = self.written.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *written += 1;
        let mut line = Map::new();
        line.insert("seq".to_owned(), Value::from(*written));
        line.insert("ts".to_owned(), Value::from(timestamp(now())));
        line.insert("level".to_owned(), Value::from(event.metadata().level().as_str().to_ascii_lowercase()));
        line.append(&mut Fields::of(event).into_map());
        let mut stdout = std::io::stdout().lock();
        let line = safe_json(&Value::Object(line).to_string());
        super::wrote(writeln!(stdout, "{line}").and_then(|()| stdout.flush()));
    }
}
