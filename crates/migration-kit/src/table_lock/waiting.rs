//! One acquisition in progress: attempts, what was seen of the sessions that block it, and what is done between two attempts.

use std::time::{Duration, Instant};

use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use super::lives::Lives;
use super::mode::{lock_statement, queueing_lock_statement};
use super::policy::{Observed, in_words};
use super::{Decision, Holder, LockMode, Policy, TableLock, autovacuum, holders};
use crate::event::{self, Origin};
use crate::session::{self, BOOKKEEPING};
use crate::settings::timeout_ms;

/// How long a wait stays untold.
const FIRST_EVENT_AFTER: Duration = Duration::from_millis(200);
/// How often a wait is reported.
const EVENT_EVERY: Duration = Duration::from_secs(1);

/// Why a table lock was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableLockError {
    /// Patience is over, and the lock is still blocked.
    #[error(
        "no {mode} lock on `{relation}` within {}: {}",
        in_words(*.waited),
        .blocker.as_deref().map_or_else(|| "each attempt met another session".to_owned(), ToString::to_string)
    )]
    GaveUp {
        /// Schema-qualified name of the table.
        relation: String,
        /// The mode that was asked for.
        mode: LockMode,
        /// How long it was tried.
        waited: Duration,
        /// The transaction that blocks it; of several, the oldest.
        blocker: Option<Box<Holder>>,
    },
    /// The server could not be asked what blocks it.
    #[error("cannot read which sessions block a table lock")]
    Query(#[source] DbErr),
}

/// A migration's wait for its table locks, from the first attempt to the last.
#[derive(Debug)]
pub struct Waiting {
    policy: Policy,
    origin: Origin,
    started: Instant,
    attempts: u32,
    failed_probes: u32,
    /// How the next attempt queues; `None` is a probe.
    queue: Option<Queueing>,
    lives: Lives,
    reported: Option<Duration>,
}

/// An attempt that queues.
#[derive(Debug)]
struct Queueing {
    /// When it was decided, and when it ends if it fails, since the first attempt.
    from: Duration,
    until: Duration,
    /// The sum of the waits.
    lock_timeout: Duration,
    /// The tables for which it queues.
    tables: Vec<TableLock>,
}

impl Waiting {
    /// A wait that has just begun.
    #[must_use]
    pub fn new(policy: Policy, origin: Origin) -> Self {
        Self {
            policy,
            origin,
            started: Instant::now(),
            attempts: 0,
            failed_probes: 0,
            queue: None,
            lives: Lives::default(),
            reported: None,
        }
    }

    /// The statements with which the next attempt takes the locks, in this order, right after `BEGIN`. What follows
    /// them waits at most the stall budget for a lock that was not known beforehand.
    ///
    /// Each is made when it is asked for, so ask for it when the one before has been executed: `lock_timeout` counts for each
    /// lock anew, and an attempt that queues for several may take as long as was decided for all of them together.
    pub fn lock_statements(&self, locks: &[TableLock]) -> impl Iterator<Item = String> {
        let limit = |limit: Duration| format!("{BOOKKEEPING}SET LOCAL lock_timeout = {}", timeout_ms(limit));
        let mut began: Option<Instant> = None;
        let statements = locks.iter().flat_map(move |lock| {
            match self.queue.as_ref().filter(|queueing| queueing.tables.contains(lock)) {
                None => vec![lock_statement(lock)],
                Some(queueing) => {
                    let waited = began.map_or(Duration::ZERO, |began| began.elapsed());
                    began.get_or_insert_with(Instant::now);
                    let left = queueing.lock_timeout.saturating_sub(waited);
                    vec![limit(left), queueing_lock_statement(lock)]
                }
            }
        });
        statements.chain(std::iter::once_with(move || limit(self.policy.stall_budget)))
    }

    /// How long the next attempt waits for its lock, where it cannot ask with `NOWAIT`: a probe as short as can be said.
    pub(super) fn longest_wait(&self) -> Duration {
        self.queue.as_ref().map_or(Duration::from_millis(1), |queueing| queueing.lock_timeout)
    }

    /// Takes note of a failed attempt and decides what to do; `waited` is the time since the first attempt.
    fn failed(&mut self, waited: Duration, observed: &mut [Holder]) -> Decision {
        self.attempts += 1;
        let queued = self.queue.take();
        self.failed_probes = match &queued {
            None => self.failed_probes + 1,
            Some(queueing) if queueing.lock_timeout <= self.policy.gentle_budget => {
                self.policy.probes_before_queueing / 2
            }
            Some(_) => 0,
        };
        let behind_us = queued.as_ref().map(|queueing| (queueing.from, queueing.until));
        self.lives.observe(waited, observed, behind_us, self.policy.old_after);
        let rest = |holder: &Holder| self.lives.rest(holder).unwrap_or(self.policy.typical_rest);
        let decision = self.policy.decide(Observed {
            holders: observed,
            rests: &observed.iter().map(rest).collect::<Vec<_>>(),
            waited,
            failed_probes: self.failed_probes,
            queued: queued.map(|queueing| queueing.lock_timeout),
        });
        if matches!(decision, Decision::DislodgeAutovacuum { .. }) {
            self.failed_probes = 0;
        }
        decision
    }

    /// After an attempt failed and was rolled back: looks what blocks it, decides, tells, and waits. When it returns,
    /// the next attempt may begin, with [`Waiting::lock_statements`].
    ///
    /// `connection` must be outside a transaction, so that no session waits for it meanwhile.
    ///
    /// # Errors
    /// [`TableLockError::GaveUp`] when patience is over, [`TableLockError::Query`] if the server cannot be asked.
    pub async fn after_failure(
        &mut self,
        connection: &mut PgConnection,
        locks: &[TableLock],
    ) -> Result<(), TableLockError> {
        if let Some(queueing) = &mut self.queue {
            queueing.until = self.started.elapsed();
        }
        let mut observed = holders(connection, locks).await.map_err(TableLockError::Query)?;
        let waited = self.started.elapsed();
        let decision = self.failed(waited, &mut observed);
        self.report(waited, locks, &observed);
        match decision {
            Decision::Probe { after } => {
                // A shorter pause than usual ends at a certain moment.
                let after = if after < self.policy.probe_every { after } else { jittered(after) };
                session::pause(connection, after).await.map_err(TableLockError::Query)?;
            }
            Decision::Queue { lock_timeout } => {
                let contended = |lock: &&TableLock| observed.iter().any(|holder| is_on(holder, lock));
                let tables = locks.iter().filter(contended).cloned().collect();
                self.queue =
                    Some(Queueing { from: waited, until: waited + lock_timeout, lock_timeout, tables });
            }
            Decision::DislodgeAutovacuum { lock_timeout } => {
                for holder in &observed {
                    autovacuum::dislodge(connection, holder, lock_timeout)
                        .await
                        .map_err(TableLockError::Query)?;
                }
            }
            Decision::GiveUp => return Err(gave_up(waited, locks, observed)),
        }
        Ok(())
    }

    fn report(&mut self, waited: Duration, locks: &[TableLock], observed: &[Holder]) {
        let due = self.reported.map_or(FIRST_EVENT_AFTER, |reported| reported + EVENT_EVERY);
        let Some(blocker) = observed.first().filter(|_| waited >= due) else { return };
        self.reported = Some(waited);
        let lock = locks.iter().find(|lock| is_on(blocker, lock));
        event::table_lock_waiting(
            &self.origin,
            &event::Wait {
                relation: &blocker.relation,
                mode: lock.map_or("", |lock| lock.mode.sql()),
                attempt: self.attempts,
                waited,
                blocker_pid: blocker.pid,
                blocker_application: &blocker.application,
                blocker_age: blocker.age,
            },
        );
    }
}

fn is_on(holder: &Holder, lock: &TableLock) -> bool {
    holder.schema == lock.schema && holder.relation == lock.relation
}

fn gave_up(waited: Duration, locks: &[TableLock], observed: Vec<Holder>) -> TableLockError {
    let blocker = observed.into_iter().next();
    let lock = locks.iter().find(|lock| blocker.as_ref().is_none_or(|holder| is_on(holder, lock)));
    TableLockError::GaveUp {
        relation: lock.map_or_else(String::new, |lock| format!("{}.{}", lock.schema, lock.relation)),
        mode: lock.map_or(LockMode::AccessExclusive, |lock| lock.mode),
        waited,
        blocker: blocker.map(Box::new),
    }
}

/// A pause with a fifth of chance in it, so that two who wait do not meet again and again.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a question to the server takes here.
    const LATENCY: u64 = 2;

    /// A session that reads without a pause: each transaction begins when the one before has ended.
    struct Reader {
        n_transactions: u32,
        began: u64,
        /// When it ends; `None` while it waits behind us.
        ends: Option<u64>,
        life: u64,
    }

    /// Readers and a clock, in milliseconds.
    struct World {
        now: u64,
        readers: Vec<Reader>,
        is_queueing: bool,
    }

    impl World {
        fn new(lives: &[(u64, u64)]) -> Self {
            let reader =
                |&(ends, life): &(u64, u64)| Reader { n_transactions: 0, began: 0, ends: Some(ends), life };
            Self { now: 0, readers: lives.iter().map(reader).collect(), is_queueing: false }
        }

        fn pass(&mut self, milliseconds: u64) {
            for _ in 0..milliseconds {
                self.now += 1;
                for reader in &mut self.readers {
                    if reader.ends == Some(self.now) {
                        reader.n_transactions += 1;
                        reader.began = self.now;
                        reader.ends = None;
                    }
                    if reader.ends.is_none() && !self.is_queueing {
                        reader.ends = Some(self.now + reader.life);
                    }
                }
            }
        }

        fn is_free(&self) -> bool {
            self.readers.iter().all(|reader| reader.ends.is_none())
        }

        /// Queues; whether the lock was had.
        fn queue(&mut self, lock_timeout: Duration) -> bool {
            self.is_queueing = true;
            for _ in 0..lock_timeout.as_millis() {
                self.pass(1);
                if self.is_free() {
                    return true;
                }
            }
            self.is_queueing = false;
            false
        }

        fn holders(&self) -> Vec<Holder> {
            let holder = |(reader, pid): (&Reader, i32)| {
                let age = Duration::from_millis(self.now - reader.began);
                Holder::reading(format!("{pid}/{}", reader.n_transactions), pid, age)
            };
            self.readers.iter().zip(1..).map(holder).collect()
        }
    }

    /// When the lock was had, and the longest time for which it was queued until then, in milliseconds.
    fn take_lock(mut world: World) -> (u64, u128) {
        let origin = Origin { service: "s".to_owned(), migration: "m".to_owned() };
        let mut waiting = Waiting::new(Policy::default(), origin);
        let mut longest = 0;
        loop {
            if let Some(Queueing { lock_timeout, .. }) = &waiting.queue {
                longest = longest.max(lock_timeout.as_millis());
                if world.queue(*lock_timeout) {
                    return (world.now, longest);
                }
            }
            world.pass(LATENCY);
            let waited = Duration::from_millis(world.now);
            match waiting.failed(waited, &mut world.holders()) {
                Decision::Probe { after } => world.pass(u64::try_from(after.as_millis()).unwrap()),
                Decision::Queue { lock_timeout } => {
                    let until = waited + lock_timeout;
                    waiting.queue = Some(Queueing { from: waited, until, lock_timeout, tables: Vec::new() });
                }
                other => panic!("{other:?} after {waited:?}"),
            }
            world.pass(LATENCY);
        }
    }

    #[test]
    fn readers_that_always_overlap_are_brought_to_end_at_once() {
        for lives in [
            vec![(100, 350), (275, 350)],
            vec![(100, 350), (200, 350)],
            vec![(10, 350), (127, 350), (243, 350)],
            vec![(10, 350), (100, 350), (190, 350), (280, 350)],
            vec![(100, 350), (275, 380)],
            vec![(10, 60), (40, 60)],
            vec![(10, 130), (120, 700)],
        ] {
            let (had_after, longest) = take_lock(World::new(&lives));
            assert!(
                had_after < 10_000 && longest <= 35,
                "{lives:?}: after {had_after} ms, queued for {longest} ms"
            );
        }
    }

    #[test]
    fn who_queues_for_several_locks_gives_the_next_what_the_first_left() {
        let locks =
            ["a", "b", "c"].map(|relation| TableLock::new("s", relation, LockMode::ShareRowExclusive));
        let origin = Origin { service: "s".to_owned(), migration: "m".to_owned() };
        let mut waiting = Waiting::new(Policy::default(), origin);
        let (lock_timeout, passed) = (Duration::from_millis(200), Duration::from_millis(20));
        let tables = vec![locks[0].clone(), locks[2].clone()];
        waiting.queue = Some(Queueing { from: Duration::ZERO, until: lock_timeout, lock_timeout, tables });
        let mut statements = waiting.lock_statements(&locks).map(|sql| sql.replace(BOOKKEEPING, ""));
        // Whoever holds the first often holds the others too, so it may take all of the time.
        assert_eq!(statements.next().unwrap(), "SET LOCAL lock_timeout = 200");
        std::thread::sleep(passed);
        let then: Vec<String> = statements.collect();
        assert!(then[0].ends_with(" MODE") && then[1].ends_with(" MODE NOWAIT"), "{then:?}");
        let left: u128 = then[2].strip_prefix("SET LOCAL lock_timeout = ").unwrap().parse().unwrap();
        assert!(left <= (lock_timeout - passed).as_millis(), "{then:?}");
        assert_eq!(then[4], "SET LOCAL lock_timeout = 250");
    }

    #[test]
    fn the_age_that_a_server_hides_is_measured_from_the_first_sight() {
        let origin = Origin { service: "s".to_owned(), migration: "m".to_owned() };
        let mut waiting = Waiting::new(Policy::default(), origin);
        let hidden = Holder::reading("4/7".to_owned(), 7, Duration::ZERO);
        let probe = Decision::Probe { after: Duration::from_millis(50) };
        for n_probes in 0..40_u32 {
            let waited = Duration::from_millis(150) * n_probes;
            // After ten failed probes it has been seen for more than a second, so no session queues behind it.
            assert_eq!(waiting.failed(waited, &mut [hidden.clone()]), probe);
        }
    }
}
