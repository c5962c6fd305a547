//! How many rows the next batch takes: as many as fit the target duration.
//!
//! Pure: it is given what a batch took and answers with a number.

use std::time::Duration;

/// The fewest rows of a batch: below, the transaction costs more than its rows.
const FEWEST_ROWS: u64 = 50;
/// The most rows of a batch: above, one batch holds too many row locks at once.
const MOST_ROWS: u64 = 50_000;

/// The size of batches, adapted to a target duration.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    rows: u64,
    fewest: u64,
    most: u64,
    target: Duration,
}

impl Pace {
    /// Begins with batches of `rows`; a start outside the usual bounds moves them.
    pub(super) fn new(rows: u64, target: Duration) -> Self {
        let rows = rows.max(1);
        Self { rows, fewest: FEWEST_ROWS.min(rows), most: MOST_ROWS.max(rows), target }
    }

    /// How many rows the next batch takes.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Learns that a batch of `n_rows` took so long: half the way towards the size that would have met the target, and
    /// never more than double or less than half, so that one odd batch does not decide.
    pub(super) fn learn(&mut self, n_rows: u64, took: Duration) {
        if n_rows == 0 {
            return;
        }
        let took = took.as_micros().max(1);
        let ideal = u128::from(n_rows) * self.target.as_micros() / took;
        let ideal =
            u64::try_from(ideal).unwrap_or(u64::MAX).clamp(self.rows / 3, self.rows.saturating_mul(3));
        self.set(self.rows.midpoint(ideal));
    }

    /// Learns that a batch met the application: smaller ones meet it less.
    pub(super) fn back_off(&mut self) {
        self.set(self.rows / 2);
    }

    fn set(&mut self, rows: u64) {
        self.rows = rows.clamp(self.fewest, self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    /// The size after batches that run at a constant number of rows a millisecond.
    fn settle(start: u64, rows_per_ms: u64, n_batches: u32) -> u64 {
        let mut pace = Pace::new(start, TARGET);
        for _ in 0..n_batches {
            let rows = pace.rows();
            pace.learn(rows, Duration::from_micros(rows * 1000 / rows_per_ms));
        }
        pace.rows()
    }

    #[test]
    fn it_settles_at_the_target_from_both_sides() {
        assert!((9_900..=10_100).contains(&settle(1_000, 100, 30)));
        assert!((990..=1_010).contains(&settle(40_000, 10, 30)));
    }

    #[test]
    fn it_stays_within_its_bounds() {
        assert_eq!(settle(1_000, 1_000_000, 30), MOST_ROWS);
        let mut slow = Pace::new(1_000, TARGET);
        for _ in 0..30 {
            slow.learn(slow.rows(), Duration::from_secs(60));
        }
        assert_eq!(slow.rows(), FEWEST_ROWS);
    }

    #[test]
    fn a_start_outside_the_bounds_moves_them() {
        let mut pace = Pace::new(10, Duration::ZERO);
        pace.learn(10, Duration::from_millis(1));
        assert_eq!(pace.rows(), 10);
        assert_eq!(Pace::new(0, TARGET).rows(), 1);
    }

    #[test]
    fn one_batch_at_most_doubles_or_about_halves_it() {
        let mut pace = Pace::new(1_000, TARGET);
        pace.learn(1_000, Duration::from_nanos(1));
        assert_eq!(pace.rows(), 2_000);
        pace.learn(2_000, Duration::from_secs(3600));
        assert_eq!(pace.rows(), 1_333);
    }

    #[test]
    fn an_empty_batch_teaches_nothing_and_contention_halves() {
        let mut pace = Pace::new(1_000, TARGET);
        pace.learn(0, Duration::from_secs(1));
        assert_eq!(pace.rows(), 1_000);
        pace.back_off();
        assert_eq!(pace.rows(), 500);
    }
}
