//! The herding of overlapping readers: sessions whose transactions always overlap are brought to end at nearly the same time.
//!
//! Pure, and optional: without it such readers are met with one long queued attempt where a short one would do. Whether and
//! for how long an attempt queues is decided in `policy`.

use std::time::Duration;

use super::Holder;

/// How long before a transaction ends we queue to delay the next one of its session.
const LEAD: Duration = Duration::from_millis(8);

/// How long to wait before queueing for `budget`, so that the next transaction of one session begins later; zero is now.
/// `None` if that would not bring the ends of these transactions closer together. `rests` is how much longer each holder
/// is expected to be.
///
/// Sessions that read without a pause, each beginning its next transaction when the last one ended, never all end at
/// once by themselves. But the next transaction of a session that meets us in the queue begins later, and so closer
/// to those of the others: when that has happened often enough, all end within one short attempt. The session is
/// delayed whose end the others follow most closely; delaying another would undo the gain.
pub(super) fn until_queueing(holders: &[Holder], rests: &[Duration], budget: Duration) -> Option<Duration> {
    let lives = holders.iter().map(|holder| holder.age).zip(rests.iter().copied());
    let mut long: Vec<(Duration, Duration)> = lives.filter(|(age, rest)| *age + *rest > budget).collect();
    long.sort_unstable_by_key(|(_, rest)| *rest);
    let (first, youngest) = (long.first()?.1, long.iter().map(|(age, _)| *age).min()?);
    // The youngest began when the one before the first ended.
    let since_the_one_before = youngest + first;
    let widest = long.windows(2).map(|pair| pair[1].1 - pair[0].1).max()?;
    (since_the_one_before >= widest).then(|| first.saturating_sub(LEAD))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Transactions of 350 ms, by their ages in milliseconds.
    fn until(ages_ms: &[u64]) -> Option<Duration> {
        let ages = ages_ms.iter().map(|age_ms| Duration::from_millis(*age_ms));
        let holders: Vec<Holder> =
            ages.zip(1..).map(|(age, pid)| Holder::reading(format!("{pid}/1"), pid, age)).collect();
        let life = Duration::from_millis(350);
        let rests: Vec<Duration> = holders.iter().map(|holder| life - holder.age).collect();
        until_queueing(&holders, &rests, Duration::from_millis(35))
    }

    #[test]
    fn the_session_is_delayed_after_which_the_others_end_soonest() {
        assert_eq!(until(&[345, 195]), Some(Duration::ZERO));
        assert_eq!(until(&[310, 160]), Some(Duration::from_millis(32)));
        assert_eq!(until(&[345, 145]), None, "it would undo what was won");
    }

    #[test]
    fn one_session_alone_is_not_delayed() {
        assert_eq!(until(&[345]), None);
        assert_eq!(until(&[]), None);
    }
}
