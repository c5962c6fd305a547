//! `/metrics`: what a look found, for Prometheus.
//!
//! What is not known has no line, never a zero. Only of what runs is the migration a label: names only ever grow.

use std::fmt;

use migration_plan::ServiceState;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;

use crate::drift::SchemaDrift;
use crate::look::{Look, running_seconds};

/// The media type of the gauges.
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a look found, as metrics; nothing but an error where there was none in time. And what the latest comparison of schemas
/// found, with the moment at which it was made.
pub(crate) fn metrics(look: Option<&Look>, drift: Option<&(i64, Vec<SchemaDrift>)>) -> String {
    let mut gauges = gauges(look);
    gauges.extend(drift.into_iter().flat_map(|(at, drift)| of_drift(*at, drift)));
    text(gauges)
}

fn of_drift(at: i64, drift: &[SchemaDrift]) -> [Gauge; 2] {
    let mut differences = Gauge::new(
        "migrate_drift",
        "Differences between the live schema and what the applied migrations make, as last compared.",
    );
    for of in drift {
        differences.known(&of.service, of.n_differences().map(count));
    }
    let mut compared = Gauge::new(
        "migrate_drift_timestamp_seconds",
        "When schemas were compared last, in seconds since 1970.",
    );
    compared.value(&[], at);
    [differences, compared]
}

fn gauges(look: Option<&Look>) -> Vec<Gauge> {
    let failed = look.is_none_or(|look| look.status.services.iter().any(|service| service.error.is_some()));
    let mut error =
        Gauge::new("migrate_scrape_error", "Whether something could not be read: 1, otherwise 0.");
    error.value(&[], i64::from(failed));
    let Some(look) = look else { return vec![error] };

    let mut pending = Gauge::new("migrate_pending", "Migrations that `up` would apply.");
    let mut held_back = Gauge::new("migrate_held_back", "Pending migrations that `up` would leave out.");
    let mut state =
        Gauge::new("migrate_state", "The state of a service: 1 for the one it is in, 0 for the others.");
    let mut last_applied = Gauge::new(
        "migrate_last_applied_timestamp_seconds",
        "When a migration was applied last, in seconds since 1970.",
    );
    let mut running = Gauge::new(
        "migrate_running_seconds",
        "For how long the session that holds the migration lock has been connected.",
    );
    for service in &look.status.services {
        let name = &service.name;
        pending.known(name, service.pending.as_ref().map(|all| count(all.len())));
        held_back.known(name, service.held_back.as_ref().map(|all| count(all.len())));
        for possible in ServiceState::ALL {
            let labels = [("service", name.as_str()), ("state", possible.as_str())];
            state.value(&labels, i64::from(service.state == possible));
        }
        last_applied.known(name, look.last_applied.get(name).copied().flatten());
        running.known(name, service.lock.as_ref().map(|holder| running_seconds(holder, look.now)));
    }

    let mut backfill_rows = Gauge::new(
        "migrate_backfill_rows",
        "Rows of an open backfill: those it has looked at, and about how many there are.",
    );
    for of in &look.progress {
        for open in &of.backfills {
            for (rows, value) in [("done", Some(open.rows)), ("total", open.total)] {
                let labels = [
                    ("service", of.service.as_str()),
                    ("migration", &open.migration),
                    ("table", &open.table),
                    ("rows", rows),
                ];
                value.into_iter().for_each(|value| backfill_rows.value(&labels, value));
            }
        }
    }
    vec![error, pending, held_back, state, last_applied, running, backfill_rows]
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// A gauge, and its value for each set of labels.
#[derive(Debug)]
struct Gauge {
    name: &'static str,
    help: &'static str,
    values: Vec<(Vec<(&'static str, String)>, i64)>,
}

impl Gauge {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, values: Vec::new() }
    }

    /// The value for a service, if it is known.
    fn known(&mut self, service: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.value(&[("service", service)], value);
        }
    }

    fn value(&mut self, labels: &[(&'static str, &str)], value: i64) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        self.values.push((labels, value));
    }
}

impl Collector for Gauge {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let kind = ConstGauge::new(0_i64).metric_type();
        let mut family = encoder.encode_descriptor(self.name, self.help, None, kind)?;
        for (labels, value) in &self.values {
            ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
        }
        Ok(())
    }
}

/// Gauges in the format of OpenMetrics.
fn text(gauges: Vec<Gauge>) -> String {
    let mut registry = Registry::default();
    for gauge in gauges {
        registry.register_collector(Box::new(gauge));
    }
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_without_a_look_there_is_only_the_error() {
        let mut gauge = Gauge::new("m", "What it is.");
        gauge.value(&[("a", "x\"\\\n"), ("b", "y")], 3);
        gauge.known("shop", None);
        assert_eq!(
            text(vec![gauge]),
            "# HELP m What it is.\n# TYPE m gauge\nm{a=\"x\\\"\\\\\\n\",b=\"y\"} 3\n# EOF\n"
        );
        assert!(metrics(None, None).ends_with("\nmigrate_scrape_error 1\n# EOF\n"));
    }
}
