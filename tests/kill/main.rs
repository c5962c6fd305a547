//! `kill -9` of `up` and of `down`, in every migration that does not run in a transaction, after everything that it commits;
//! and then the same command again, or another one. The database ends as what was asked for, with nothing left open or
//! invalid and everything promised, or the command is refused and the database is not harmed.
//!
//! The real binary talks to a real server through a relay that sees its statements and kills it at a chosen one, so that
//! the points are the same in every run: no sleeps, no chance. A run that is over before is no test, and is tried again with
//! an earlier statement: every point is a real kill.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod chain;
#[path = "../support/digest.rs"]
mod digest;
mod rehearsal;
mod relay;
mod statement;

use std::sync::OnceLock;

use chain::Chain;
use rehearsal::{Share, rehearse};

#[test]
fn chat_survives_being_killed() {
    let chain = Chain::new(chat_migration::service(), include_str!("data/chat.sql"));
    rehearse(&chain, Share::Whole);
}

#[test]
fn rag_survives_being_killed() {
    let chain = Chain::new(rag_migration::service(), include_str!("data/rag.sql"));
    rehearse(&chain, Share::Whole);
}

#[test]
fn assessments_survives_being_killed() {
    let chain = Chain::new(assessments_migration::service(), include_str!("data/assessments.sql"));
    rehearse(&chain, Share::Whole);
}

/// Its migrations are as many as those of all others: two tests share them.
fn profochatbot() -> &'static Chain {
    static CHAIN: OnceLock<Chain> = OnceLock::new();
    CHAIN.get_or_init(|| Chain::new(profochatbot_migration::service(), include_str!("data/profochatbot.sql")))
}

#[test]
fn profochatbot_survives_being_killed() {
    rehearse(profochatbot(), Share::Odd);
}

#[test]
fn profochatbot_survives_being_killed_in_between() {
    rehearse(profochatbot(), Share::Even);
}

#[test]
fn bookreader_survives_being_killed() {
    let chain = Chain::new(bookreader_migration::service(), include_str!("data/bookreader.sql"));
    rehearse(&chain, Share::Whole);
}
