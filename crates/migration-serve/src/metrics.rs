//! `/metrics`: the text format of Prometheus, written by hand: it is a line per value.
//!
//! What is not known has no line, never a zero. Only of what runs is the migration a label: names only ever grow.

use migration_plan::ServiceState;

use crate::look::{Look, running_seconds};

/// The media type of the text format.
pub(crate) const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a look found, as metrics; nothing but an error where there was none in time.
pub(crate) fn metrics(look: Option<&Look>) -> String {
    let mut text = Metrics::default();
    let failed = look.is_none_or(|look| look.status.services.iter().any(|service| service.error.is_some()));
    text.head("migrate_scrape_error", "Whether something could not be read: 1, otherwise 0.");
    text.line("migrate_scrape_error", &[], i64::from(failed));
    let Some(look) = look else { return text.0 };
    let services = &look.status.services;
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    text.head("migrate_pending", "Migrations that `up` would apply.");
    for service in services {
        text.known("migrate_pending", &service.name, service.pending.as_ref().map(|all| count(all.len())));
    }
    text.head("migrate_held_back", "Pending migrations that `up` would leave out.");
    for service in services {
        text.known(
            "migrate_held_back",
            &service.name,
            service.held_back.as_ref().map(|all| count(all.len())),
        );
    }
    text.head("migrate_state", "The state of a service: 1 for the one it is in, 0 for the others.");
    for service in services {
        for state in ServiceState::ALL {
            let labels = [("service", service.name.as_str()), ("state", state.as_str())];
            text.line("migrate_state", &labels, i64::from(service.state == state));
        }
    }
    text.head(
        "migrate_last_applied_timestamp_seconds",
        "When a migration was applied last, in seconds since 1970.",
    );
    for service in services {
        let last = look.last_applied.get(&service.name).copied().flatten();
        text.known("migrate_last_applied_timestamp_seconds", &service.name, last);
    }
    text.head(
        "migrate_running_seconds",
        "For how long the session that holds the migration lock has been connected.",
    );
    for service in services {
        let running = service.lock.as_ref().map(|holder| running_seconds(holder, look.now));
        text.known("migrate_running_seconds", &service.name, running);
    }
    text.head(
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
                value.into_iter().for_each(|value| text.line("migrate_backfill_rows", &labels, value));
            }
        }
    }
    text.0
}

/// The text, as far as it is written.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    fn head(&mut self, name: &str, help: &str) {
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} gauge\n"));
    }

    fn known(&mut self, name: &str, service: &str, value: Option<i64>) {
        if let Some(value) = value {
            self.line(name, &[("service", service)], value);
        }
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: i64) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        self.0.push_str(&format!("{name}{labels} {value}\n"));
    }
}

/// A label's value as the format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_and_without_a_look_there_is_only_the_error() {
        let mut text = Metrics::default();
        text.line("m", &[("a", "x\"\\\n"), ("b", "y")], 3);
        text.known("m", "shop", None);
        assert_eq!(text.0, "m{a=\"x\\\"\\\\\\n\",b=\"y\"} 3\n");
        assert!(metrics(None).ends_with("migrate_scrape_error 1\n"));
    }
}
