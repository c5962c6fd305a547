//! How far a long step has come: counting, rate, remaining time, and telling it now and then.
//!
//! It tells through events and prints nothing.

use std::time::{Duration, Instant};

use crate::event::{self, Origin};

/// The shortest time between two events of one step: a person reads no faster.
const REPORT_EVERY: Duration = Duration::from_millis(250);

/// Progress of one step.
#[derive(Debug)]
pub(super) struct Progress {
    origin: Origin,
    what: String,
    total: u64,
    done: u64,
    done_before: u64,
    started: Instant,
    reported: Option<Instant>,
}

impl Progress {
    /// A step that an earlier run brought to `done_before` of about `total` rows; 0 is an unknown total.
    pub(super) fn new(origin: &Origin, what: &str, done_before: u64, total: u64) -> Self {
        Self {
            origin: origin.clone(),
            what: what.to_owned(),
            total,
            done: done_before,
            done_before,
            started: Instant::now(),
            reported: None,
        }
    }

    /// Counts rows, and reports if it is time.
    pub(super) fn add(&mut self, n_rows: u64) {
        self.done += n_rows;
        if self.reported.is_none_or(|reported| reported.elapsed() >= REPORT_EVERY) {
            self.report();
        }
    }

    /// Reports the last state.
    pub(super) fn finish(&mut self) {
        self.total = self.done;
        self.report();
    }

    fn report(&mut self) {
        self.reported = Some(Instant::now());
        // An estimate that turns out too low is raised: 105 % would be wrong.
        let total = if self.total == 0 { 0 } else { self.total.max(self.done) };
        let rows_per_s = rate(self.done - self.done_before, self.started.elapsed());
        let left = total.saturating_sub(self.done);
        let eta = (rows_per_s > 0 && total > 0)
            .then(|| Duration::from_millis(left.saturating_mul(1000) / rows_per_s));
        event::progress(&self.origin, &self.what, self.done, total, rows_per_s, eta);
    }
}

fn rate(n_rows: u64, elapsed: Duration) -> u64 {
    let milliseconds = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    n_rows.saturating_mul(1000) / milliseconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_rows_per_second() {
        assert_eq!(rate(5_000, Duration::from_millis(500)), 10_000);
        assert_eq!(rate(7, Duration::ZERO), 7_000);
    }
}
