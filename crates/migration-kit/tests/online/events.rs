//! What the kit tells, collected.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

/// The events that the kit sends on this thread, each as its fields in text form.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<BTreeMap<String, String>>>>);

impl Events {
    /// Collects until the result is dropped.
    pub(crate) fn collect() -> Collecting {
        let events = Self::default();
        let subscriber = tracing_subscriber::registry().with(events.clone());
        Collecting { events, _guard: tracing::subscriber::set_default(subscriber) }
    }
}

/// Events being collected.
pub(crate) struct Collecting {
    events: Events,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Collecting {
    /// The events so far.
    pub(crate) fn told(&self) -> Vec<BTreeMap<String, String>> {
        self.events.0.lock().expect("nobody panicked over it").clone()
    }
}

impl<S: tracing::Subscriber> Layer<S> for Events {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(BTreeMap<String, String>);
        impl Visit for Fields {
            fn record_str(&mut self, field: &Field, value: &str) {
                self.0.insert(field.name().to_owned(), value.to_owned());
            }
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.insert(field.name().to_owned(), format!("{value:?}"));
            }
        }
        if event.metadata().target() == "migration" {
            let mut fields = Fields(BTreeMap::new());
            event.record(&mut fields);
            self.0.lock().expect("nobody panicked over it").push(fields.0);
        }
    }
}
