//! How long transactions live that block a table lock, learnt from those that ended.
//!
//! Pure: it is given which sessions were there when. What follows from it is `policy`'s part.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::Holder;

/// How many ended transactions are remembered.
const REMEMBERED: usize = 64;
/// How many of them count for their session, so that one slow outlier is soon forgotten.
const COUNTED: usize = 5;

/// What was learnt so far.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// Blocking transactions, by their virtual id.
    present: HashMap<String, Life>,
    /// Process and length of life of those that ended, oldest first.
    ended: VecDeque<(i32, Duration)>,
}

/// A transaction as it was last seen.
#[derive(Debug)]
struct Life {
    pid: i32,
    first_seen: Duration,
    /// How long it waited behind us before it could begin its work.
    held_up: Duration,
    age: Duration,
}

impl Lives {
    /// Takes note of the transactions that block at the time `now`, and of those that no longer do. Ages are corrected: where the
    /// server hides one, the time since the transaction was first seen counts; where it began while we `queued`, from one
    /// time to another, only what came after. Lives from `old_after` on are not learnt from.
    pub(super) fn observe(
        &mut self,
        now: Duration,
        observed: &mut [Holder],
        queued: Option<(Duration, Duration)>,
        old_after: Duration,
    ) {
        for holder in observed.iter_mut() {
            let began = now.saturating_sub(holder.age);
            let life = self.present.entry(holder.transaction.clone()).or_insert_with(|| Life {
                pid: holder.pid,
                first_seen: now,
                held_up: queued
                    .filter(|(from, until)| (from..=until).contains(&&began))
                    .map_or(Duration::ZERO, |(_, until)| until - began),
                age: Duration::ZERO,
            });
            holder.age = holder.age.saturating_sub(life.held_up).max(now.saturating_sub(life.first_seen));
            life.age = holder.age;
        }
        let ended = &mut self.ended;
        self.present.retain(|transaction, life| {
            let is_present = observed.iter().any(|holder| holder.transaction == *transaction);
            if !is_present && life.age < old_after {
                // It may have lived slightly longer. An underestimate corrects itself; an overestimate would not.
                ended.push_back((life.pid, life.age));
            }
            is_present
        });
        let excess = self.ended.len().saturating_sub(REMEMBERED);
        self.ended.drain(..excess);
    }

    /// How much longer a transaction will live, by the longest of the latest lives of its session, or else of all sessions;
    /// `None` if none has been seen to end.
    pub(super) fn rest(&self, holder: &Holder) -> Option<Duration> {
        let of_session = self.ended.iter().rev().filter(|(pid, _)| *pid == holder.pid);
        let of_session = of_session.take(COUNTED).map(|(_, life)| *life).max();
        let life = of_session.or_else(|| self.ended.iter().map(|(_, life)| *life).max());
        life.map(|life| life.saturating_sub(holder.age))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn holder(transaction: &str, pid: i32, age_ms: u64) -> Holder {
        Holder::reading(transaction, pid, ms(age_ms))
    }

    fn observe(lives: &mut Lives, now_ms: u64, mut observed: Vec<Holder>) -> Vec<Duration> {
        lives.observe(ms(now_ms), &mut observed, None, ms(1_000));
        observed.into_iter().map(|holder| holder.age).collect()
    }

    #[test]
    fn nothing_is_known_before_one_has_ended() {
        let mut lives = Lives::default();
        observe(&mut lives, 100, vec![holder("3/1", 7, 80)]);
        assert_eq!(lives.rest(&holder("3/1", 7, 80)), None);
    }

    #[test]
    fn a_session_lives_as_its_transactions_before() {
        let mut lives = Lives::default();
        observe(&mut lives, 100, vec![holder("3/1", 7, 80), holder("4/1", 8, 300)]);
        observe(&mut lives, 150, vec![holder("3/2", 7, 10)]);
        assert_eq!(lives.rest(&holder("3/2", 7, 10)), Some(ms(70)));
        assert_eq!(lives.rest(&holder("4/2", 8, 10)), Some(ms(290)));
        assert_eq!(
            lives.rest(&holder("5/1", 9, 10)),
            Some(ms(290)),
            "of whom nothing is known, like the longest"
        );
        assert_eq!(lives.rest(&holder("3/2", 7, 200)), Some(ms(0)));
    }

    #[test]
    fn old_transactions_teach_nothing() {
        let mut lives = Lives::default();
        observe(&mut lives, 100, vec![holder("3/1", 7, 1_000)]);
        observe(&mut lives, 150, Vec::new());
        assert_eq!(lives.rest(&holder("3/2", 7, 0)), None);
    }

    #[test]
    fn a_hidden_age_counts_from_when_it_was_first_seen() {
        let mut lives = Lives::default();
        assert_eq!(observe(&mut lives, 100, vec![holder("3/1", 7, 0)]), [ms(0)]);
        assert_eq!(observe(&mut lives, 160, vec![holder("3/1", 7, 0)]), [ms(60)]);
    }

    #[test]
    fn time_spent_behind_us_is_no_life() {
        let mut lives = Lives::default();
        let queued = Some((ms(100), ms(135)));
        let mut observed = vec![holder("3/1", 7, 30), holder("4/1", 8, 90)];
        lives.observe(ms(140), &mut observed, queued, ms(1_000));
        assert_eq!(observed.iter().map(|holder| holder.age).collect::<Vec<_>>(), [ms(5), ms(90)]);
        assert_eq!(observe(&mut lives, 240, vec![holder("3/1", 7, 130)]), [ms(105)]);
    }

    #[test]
    fn a_long_life_is_forgotten_after_some_shorter_ones() {
        let mut lives = Lives::default();
        let mut expected = Vec::new();
        for (nth, age_ms) in [500, 90, 80, 70, 60, 50].into_iter().enumerate() {
            observe(&mut lives, 1_000 * nth as u64, vec![holder(&format!("3/{nth}"), 7, age_ms)]);
            expected.extend(lives.rest(&holder("3/9", 7, 0)));
        }
        assert_eq!(expected, [500, 500, 500, 500, 500].map(ms));
        observe(&mut lives, 9_000, Vec::new());
        assert_eq!(lives.rest(&holder("3/9", 7, 0)), Some(ms(90)));
    }
}
