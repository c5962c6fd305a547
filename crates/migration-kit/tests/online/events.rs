//! What the kit tells, collected.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Once;

use tracing::field::{Field, Visit};
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// An event as its fields in text form.
type Told = BTreeMap<String, String>;

thread_local! {
    /// What was told on this thread, on which all of a test runs, while somebody collects.
    static TOLD: RefCell<Option<Vec<Told>>> = const { RefCell::new(None) };
}

/// The events that the kit sends.
pub(crate) struct Events;

impl Events {
    /// Collects those of this thread until the result is dropped.
    pub(crate) fn collect() -> Collecting {
        // One for all threads: where each brings its own, a place that tells while another begins may stay unheard.
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let subscriber = tracing_subscriber::registry().with(Self);
            tracing::subscriber::set_global_default(subscriber).expect("nobody else listens");
        });
        TOLD.set(Some(Vec::new()));
        Collecting
    }
}

/// Events being collected.
pub(crate) struct Collecting;

impl Collecting {
    /// The events so far.
    pub(crate) fn told(&self) -> Vec<Told> {
        TOLD.with_borrow(Clone::clone).unwrap_or_default()
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        TOLD.set(None);
    }
}

impl<S: Subscriber> Layer<S> for Events {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == "migration"
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        struct Fields(Told);
        impl Visit for Fields {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
        }
        let mut fields = Fields(BTreeMap::new());
        event.record(&mut fields);
        TOLD.with_borrow_mut(|told| told.as_mut().map(|told| told.push(fields.0)));
    }
}
