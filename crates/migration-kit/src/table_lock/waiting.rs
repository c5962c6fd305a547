//! One acquisition in progress: attempts, what was seen of those in the way, and what is done between two attempts.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_timer::Delay;
use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use super::mode::{lock_statement, queueing_lock_statement};
use super::policy::Observed;
use super::{Decision, Holder, LockMode, Policy, TableLock, holders};
use crate::event::{self, Origin};
use crate::session::{self, BOOKKEEPING, DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, Limits, sqlstate};

/// How long a wait stays untold.
const FIRST_EVENT_AFTER: Duration = Duration::from_millis(200);
/// How often a wait is told.
const EVENT_EVERY: Duration = Duration::from_secs(1);
/// How many ended transactions are remembered.
const LIFETIMES: usize = 32;

/// Why a table lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TableLockError {
    /// Patience is over, and somebody is still in the way.
    #[error(
        "no {mode} lock on `{relation}` within {} s: {}",
        .waited.as_secs(),
        .blocker.as_deref().map_or_else(|| "each attempt met somebody else".to_owned(), describe)
    )]
    GaveUp {
        /// Schema-qualified name of the table.
        relation: String,
        /// The mode that was asked for.
        mode: LockMode,
        /// How long it was tried.
        waited: Duration,
        /// Who is in the way; of several, the oldest.
        blocker: Option<Box<Holder>>,
    },
    /// The server could not be asked who is in the way.
    #[error("cannot ask who is in the way of a table lock")]
    Query(#[source] DbErr),
}

/// Whether an error means that a lock was not to be had this time: nothing was done, and a new attempt may succeed.
#[must_use]
pub fn is_retryable(error: &DbErr) -> bool {
    sqlstate(error).is_some_and(|state| state == LOCK_NOT_AVAILABLE || state == DEADLOCK_DETECTED)
}

/// A migration's wait for its table locks, from the first attempt to the last.
#[derive(Debug)]
pub struct Waiting {
    policy: Policy,
    origin: Origin,
    started: Instant,
    attempts: u32,
    failed_probes: u32,
    /// The length of the next attempt's queueing and the tables for which it queues; `None` is a probe.
    queue: Option<(Duration, Vec<TableLock>)>,
    /// Transactions in the way, when they were first seen, and how old they were when last seen.
    seen: HashMap<String, (Duration, Duration)>,
    /// Lives of short transactions that were in the way and ended.
    lifetimes: Vec<Duration>,
    told: Option<Duration>,
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
            seen: HashMap::new(),
            lifetimes: Vec::new(),
            told: None,
        }
    }

    /// The statements with which the next attempt takes the locks, in this order, right after `BEGIN`. What follows
    /// them waits at most the stall budget for a lock that was not known beforehand.
    #[must_use]
    pub fn lock_statements(&self, locks: &[TableLock]) -> Vec<String> {
        let limit =
            |lock: Duration| format!("{BOOKKEEPING}SET LOCAL lock_timeout = {}", lock.as_millis().max(1));
        let mut statements = Vec::with_capacity(locks.len() + 2);
        if let Some((lock_timeout, queued)) = &self.queue {
            // `lock_timeout` counts for each lock anew.
            let n_queued = u32::try_from(queued.len().max(1)).unwrap_or(u32::MAX);
            statements.push(limit(*lock_timeout / n_queued));
        }
        for lock in locks {
            let queues = self.queue.as_ref().is_some_and(|(_, queued)| queued.contains(lock));
            statements.push(if queues { queueing_lock_statement(lock) } else { lock_statement(lock) });
        }
        statements.push(limit(self.policy.stall_budget));
        statements
    }

    /// Takes note of a failed attempt and decides what to do; `waited` is the time since the first attempt.
    pub fn failed(&mut self, waited: Duration, observed: &mut [Holder]) -> Decision {
        self.attempts += 1;
        let queued = self.queue.take().map(|(lock_timeout, _)| lock_timeout);
        self.failed_probes = if queued.is_some() { 0 } else { self.failed_probes + 1 };
        self.learn(waited, observed);
        let decision = self.policy.decide(Observed {
            holders: observed,
            waited,
            failed_probes: self.failed_probes,
            lifetime: self.lifetimes.iter().max().copied(),
            queued,
        });
        if matches!(decision, Decision::DislodgeAutovacuum { .. }) {
            self.failed_probes = 0;
        }
        decision
    }

    /// After an attempt failed and was rolled back: looks who is in the way, decides, tells, and waits. When it returns,
    /// the next attempt may begin, with [`Waiting::lock_statements`].
    ///
    /// `connection` must be outside a transaction, so that nobody waits for us meanwhile.
    ///
    /// # Errors
    /// [`TableLockError::GaveUp`] when patience is over, [`TableLockError::Query`] if the server cannot be asked.
    pub async fn after_failure(
        &mut self,
        connection: &mut PgConnection,
        locks: &[TableLock],
    ) -> Result<(), TableLockError> {
        let mut observed = holders(connection, locks).await.map_err(TableLockError::Query)?;
        let waited = self.started.elapsed();
        let decision = self.failed(waited, &mut observed);
        self.tell(waited, locks, &observed);
        match decision {
            Decision::Probe { after } => Delay::new(jittered(after)).await,
            Decision::Queue { lock_timeout } => {
                let contended = |lock: &&TableLock| {
                    observed
                        .iter()
                        .any(|holder| holder.schema == lock.schema && holder.relation == lock.relation)
                };
                self.queue = Some((lock_timeout, locks.iter().filter(contended).cloned().collect()));
            }
            Decision::DislodgeAutovacuum { lock_timeout } => {
                for holder in &observed {
                    dislodge_autovacuum(connection, holder, lock_timeout)
                        .await
                        .map_err(TableLockError::Query)?;
                }
            }
            Decision::GiveUp => return Err(gave_up(waited, locks, observed)),
        }
        Ok(())
    }

    /// Learns how long transactions live that come in the way, and how old those are whose age the server hides.
    fn learn(&mut self, waited: Duration, observed: &mut [Holder]) {
        for holder in observed.iter_mut() {
            let (first_seen, last_age) =
                self.seen.entry(holder.transaction.clone()).or_insert((waited, Duration::ZERO));
            holder.age = holder.age.max(waited.saturating_sub(*first_seen));
            *last_age = holder.age;
        }
        let (probe_every, old_after) = (self.policy.probe_every, self.policy.old_after);
        let lifetimes = &mut self.lifetimes;
        self.seen.retain(|transaction, (_, last_age)| {
            let present = observed.iter().any(|holder| holder.transaction == *transaction);
            if !present && *last_age < old_after {
                // It ended at some time since it was last seen.
                lifetimes.push(*last_age + probe_every / 2);
            }
            present
        });
        let excess = self.lifetimes.len().saturating_sub(LIFETIMES);
        self.lifetimes.drain(..excess);
    }

    fn tell(&mut self, waited: Duration, locks: &[TableLock], observed: &[Holder]) {
        let due = self.told.map_or(FIRST_EVENT_AFTER, |told| told + EVENT_EVERY);
        let Some(blocker) = observed.first().filter(|_| waited >= due) else { return };
        self.told = Some(waited);
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

/// Makes the server cancel an autovacuum, without anybody else noticing.
///
/// The server cancels an autovacuum (unless it prevents wraparound) for a session that has queued behind it for
/// `deadlock_timeout`, 1 s by default. Queueing that long for a strong mode would stall the application, so this queues
/// for `SHARE UPDATE EXCLUSIVE`: it conflicts with vacuum, with itself and with stronger modes, but with no statement
/// that reads or writes. No privilege beyond owning the table is needed, unlike for `pg_cancel_backend`.
async fn dislodge_autovacuum(
    connection: &mut PgConnection,
    holder: &Holder,
    lock_timeout: Duration,
) -> Result<(), DbErr> {
    let lock = TableLock::new(&holder.schema, &holder.relation, LockMode::ShareUpdateExclusive);
    let mut tx = session::begin(connection, Limits { lock: Some(lock_timeout), ..Limits::default() }).await?;
    match session::execute(&mut tx, queueing_lock_statement(&lock)).await {
        Err(error) if !is_retryable(&error) => Err(error),
        _ => tx.rollback().await.map_err(session::db_err),
    }
}

/// A pause with a fifth of chance in it, so that two who wait do not meet again and again.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}

fn describe(holder: &Holder) -> String {
    let age_s = holder.age.as_secs();
    let application = match holder.application.as_str() {
        "" => String::new(),
        name => format!(" (`{name}`)"),
    };
    format!("process {}{application} has held {} for {age_s} s or more", holder.pid, holder.mode)
}
