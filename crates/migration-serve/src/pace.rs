//! How fast backfills advance, from what the latest looks found.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use migration_coordinator::{OpenBackfill, Progress};

/// Over which time a pace is taken: long enough that batches do not show, short enough that a stop does.
const OVER: Duration = Duration::from_secs(30);

/// A backfill, among all: service, migration and table.
type Key = (String, String, String);

/// The rows that looks found of each backfill that is open.
#[derive(Default)]
pub(crate) struct Paces(HashMap<Key, VecDeque<(Instant, i64)>>);

/// Rows per second of each backfill of which at least two looks were taken.
pub(crate) type Rates = HashMap<Key, f64>;

/// Where the rate of a backfill is.
pub(crate) fn key(service: &str, open: &OpenBackfill) -> Key {
    (service.to_owned(), open.migration.clone(), open.table.clone())
}

impl Paces {
    /// Takes in a look. Backfills that are no longer open are forgotten.
    pub(crate) fn take_in(&mut self, when: Instant, progress: &[Progress]) -> Rates {
        let mut before = std::mem::take(&mut self.0);
        let mut rates = Rates::new();
        for (service, open) in progress.iter().flat_map(|of| of.backfills.iter().map(|b| (&of.service, b))) {
            let key = key(service, open);
            let mut samples = before.remove(&key).unwrap_or_default();
            // Begun anew.
            if samples.back().is_some_and(|(_, rows)| *rows > open.rows) {
                samples.clear();
            }
            samples.push_back((when, open.rows));
            while samples.len() > 2 && samples[1].0 + OVER < when {
                samples.pop_front();
            }
            let (since, rows) = samples[0];
            let seconds = when.duration_since(since).as_secs_f64();
            if seconds > 0.0 {
                let n_rows = i32::try_from(open.rows - rows).unwrap_or(i32::MAX);
                rates.insert(key.clone(), f64::from(n_rows) / seconds);
            }
            self.0.insert(key, samples);
        }
        rates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_that_of_the_latest_seconds() {
        let at = |rows| {
            let open = OpenBackfill {
                migration: "m".to_owned(),
                table: "t".to_owned(),
                rows,
                total: Some(1000),
                started_at: 0,
                updated_at: 0,
            };
            let mut all = vec![Progress {
                service: "s".to_owned(),
                migration: None,
                waits_for: None,
                last_event_at: None,
                backfills: vec![open],
                index: None,
            }];
            if rows < 0 {
                all.clear();
            }
            all
        };
        let begin = Instant::now();
        let mut paces = Paces::default();
        let found = [(0, 0), (10, 100), (40, 700), (41, 700), (80, 700), (81, 5), (82, -1), (83, 8)].map(
            |(s, rows)| {
                let rates = paces.take_in(begin + Duration::from_secs(s), &at(rows));
                rates.values().next().map(|rate| format!("{rate:.0}"))
            },
        );
        let expected = [None, Some("10"), Some("18"), Some("19"), Some("0"), None, None, None];
        assert_eq!(found.each_ref().map(Option::as_deref), expected);
    }
}
