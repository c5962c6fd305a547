//! Cutting migrations off, one time after each kind of thing that they commit.
//!
//! A migration goes through a relay that withholds the answer to a commit. Then it is dropped and its server processes are
//! ended, which leaves the database as a killed program does. It begins again, and is cut off after the next thing that it commits,
//! until it reaches its end; and then it is done once more from its start, as where a run is killed before it records what it did.
//! The first and the last time it is run by the coordinator, in between alone.
//!
//! Of things of one kind, by the first keywords of their statements, the first is tried. What the coordinator and the kit write for
//! themselves is the same in every migration, so no run is cut off there; nor is seen what a function writes that a `SELECT` calls.
//! That a program killed by the system leaves the same, and that other commands may follow, is not tried here.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::stream::StreamExt;
use migration_kit::{BOOKKEEPING, Listed};
use migration_plan::Direction;
use postgres_sandbox::{Cluster, Observer, Passing, Relay, Verdict};
use sea_orm_migration::SchemaManager;

use crate::{Scratch, fail, query, reason};

/// Statements that commit nothing of their own.
const CONTROL: [&str; 11] =
    ["BEGIN", "COMMIT", "END", "EXPLAIN", "LOCK", "RELEASE", "RESET", "ROLLBACK", "SAVEPOINT", "SET", "SHOW"];

/// How many keywords tell one kind of statement from another: `CREATE INDEX CONCURRENTLY ON`, `ALTER TABLE ADD COLUMN`.
const OF_KIND: usize = 4;

/// Applies and reverts single migrations of a service with interruptions.
pub(crate) struct Interrupter<'s> {
    scratch: &'s Scratch,
    /// The same database, through the relay.
    relayed: Scratch,
    relay: Relay,
    commits: Arc<Commits>,
    cuts: UnboundedReceiver<()>,
}

impl<'s> Interrupter<'s> {
    pub(crate) fn new(scratch: &'s Scratch) -> Self {
        let (cut, cuts) = unbounded();
        let commits = Arc::new(Commits { state: Mutex::default(), cut });
        let relay =
            Relay::before(Cluster::shared(), Arc::clone(&commits)).unwrap_or_else(|error| fail(&error));
        Self { scratch, relayed: scratch.through(&relay), relay, commits, cuts }
    }

    /// Applies a migration, or reverts it down to the one before it, which is the target; with interruptions.
    pub(crate) async fn interrupt(
        &mut self,
        listed: &Listed,
        direction: Direction,
        target: &str,
    ) -> Result<(), String> {
        self.commits.watch(Watched::Yes);
        let first = go(&self.relayed, direction, target);
        let mut ended = or_cut(&mut self.cuts, Box::pin(first)).await;
        let is_interrupted = ended.is_none();
        while ended.is_none() {
            self.scratch.end_other_sessions().await;
            let alone = alone(self.scratch, &self.relay, listed, direction);
            ended = or_cut(&mut self.cuts, Box::pin(alone)).await;
        }
        self.commits.watch(Watched::No);
        if is_interrupted && ended == Some(Ok(())) {
            self.scratch.end_other_sessions().await;
            ended = Some(go(self.scratch, direction, target).await);
        }
        let cause = ended.and_then(Result::err);
        cause.map_or(Ok(()), |cause| match self.commits.state().last.take() {
            Some(last) => Err(format!("it cannot be resumed after\n{last}\n{cause}")),
            None => Err(cause),
        })
    }
}

/// What something ends with, unless it is cut off before.
async fn or_cut(
    cuts: &mut UnboundedReceiver<()>,
    running: impl Future<Output = Result<(), String>> + Unpin,
) -> Option<Result<(), String>> {
    let ended = match select(cuts.next(), running).await {
        Either::Left(_) => return None,
        Either::Right((ended, _)) => ended,
    };
    // The cut may have come between the look at it and the look at what it cut off.
    if ended.is_err() && cuts.next().now_or_never().is_some() { None } else { Some(ended) }
}

/// A run of the coordinator.
async fn go(scratch: &Scratch, direction: Direction, target: &str) -> Result<(), String> {
    let ran = match direction {
        Direction::Apply => scratch.try_up_to(target).await,
        Direction::Revert => scratch.try_down_to(target).await,
    };
    ran.map_err(|error| reason(&error))
}

/// The migration itself, as plain sea-orm would run it.
async fn alone(
    scratch: &Scratch,
    relay: &Relay,
    listed: &Listed,
    direction: Direction,
) -> Result<(), String> {
    let url = relay.url(scratch.database().name());
    let db = query::connect_as_plain(&url, scratch.service()).await.map_err(|error| reason(&error))?;
    let manager = SchemaManager::new(&db);
    let done = match direction {
        Direction::Apply => listed.body().up(&manager).await,
        Direction::Revert => listed.body().down(&manager).await,
    };
    done.map_err(|error| reason(&error))
}

/// Sees what is committed, and decides after what a migration is cut off.
struct Commits {
    state: Mutex<State>,
    cut: UnboundedSender<()>,
}

#[derive(Default)]
struct State {
    watched: Watched,
    /// What the open transaction of each session has written.
    transactions: HashMap<usize, Vec<Written>>,
    /// The kinds of what the migration was cut off after.
    kinds: HashSet<Vec<String>>,
    /// What it was cut off after at last.
    last: Option<String>,
}

/// Whether what is committed is a migration's that is to be cut off.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Watched {
    #[default]
    No,
    Yes,
}

/// A statement of a migration's own that writes.
struct Written {
    text: String,
    kind: String,
}

impl Commits {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to watch a migration, or ceases to.
    fn watch(&self, watched: Watched) {
        let mut state = self.state();
        state.watched = watched;
        if watched == Watched::Yes {
            state.kinds.clear();
            state.last = None;
        }
    }
}

impl Observer for Commits {
    fn passes(&self, session: usize, passing: Passing<'_>) -> Verdict {
        let mut state = self.state();
        let transaction = state.transactions.entry(session).or_default();
        match passing {
            Passing::Statement(sql) if first_word(sql) == "ROLLBACK" && !sql.contains(" TO ") => {
                transaction.clear();
            }
            Passing::Statement(sql) => transaction.extend(Written::by(sql)),
            Passing::InTransaction => {}
            Passing::Idle => {
                let written = std::mem::take(transaction);
                let kinds = written.iter().map(|written| written.kind.clone()).collect();
                if state.watched == Watched::Yes && !written.is_empty() && state.kinds.insert(kinds) {
                    let texts: Vec<&str> = written.iter().map(|written| written.text.as_str()).collect();
                    state.last = Some(texts.join("\n"));
                    return Verdict::Cut;
                }
            }
        }
        Verdict::Pass
    }

    fn cuts(&self) {
        // The receiver is gone once the battery is over.
        drop(self.cut.unbounded_send(()));
    }
}

impl Written {
    /// What a statement writes, if it is a migration's own and does.
    fn by(sql: &str) -> Option<Self> {
        const WRITES: [&str; 4] = ["INSERT INTO", "UPDATE ", "DELETE FROM", "MERGE INTO"];
        let verb = first_word(sql);
        let is_query = ["SELECT", "WITH", "VALUES", "TABLE"].contains(&verb.as_str())
            && !WRITES.iter().any(|write| sql.to_ascii_uppercase().contains(write));
        if sql.starts_with(BOOKKEEPING) || verb.is_empty() || is_query || CONTROL.contains(&verb.as_str()) {
            return None;
        }
        let is_keyword = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let words = sql.split(|c: char| !c.is_alphanumeric() && c != '_');
        let keywords = words.filter(is_keyword).take(OF_KIND).collect::<Vec<_>>().join(" ");
        // Who writes keywords in small letters writes few statements.
        let kind = if keywords.is_empty() { sql.to_owned() } else { keywords };
        Some(Self { text: sql.to_owned(), kind })
    }
}

/// The first word of a statement in capitals, comments before it passed over.
fn first_word(sql: &str) -> String {
    let mut sql = sql.trim_start();
    loop {
        let after = match sql.as_bytes() {
            [b'/', b'*', ..] => sql.split_once("*/"),
            [b'-', b'-', ..] => sql.split_once('\n'),
            _ => None,
        };
        let Some((_, rest)) = after else { break };
        sql = rest.trim_start();
    }
    let word: String = sql.chars().take_while(char::is_ascii_alphabetic).collect();
    word.to_ascii_uppercase()
}
