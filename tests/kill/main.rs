//! `kill -9` at many points of every migration that does not run in a transaction: the next `up` finishes, the database is
//! what an undisturbed run makes of it, nothing is left open or invalid, and everything promised holds.
//!
//! The real binary talks to a real server through a relay that counts its statements and kills it at a chosen one, so
//! that the points are the same in every run: no sleeps, no chance. A run that is over before is no test, and is tried
//! again with an earlier statement: every point is a real kill.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod digest;
mod rehearsal;
mod relay;

use rehearsal::{Share, rehearse};

#[test]
fn chat_survives_being_killed() {
    rehearse(&chat_migration::service(), include_str!("data/chat.sql"), Share::Whole);
}

#[test]
fn rag_survives_being_killed() {
    rehearse(&rag_migration::service(), include_str!("data/rag.sql"), Share::Whole);
}

#[test]
fn assessments_survives_being_killed() {
    rehearse(&assessments_migration::service(), include_str!("data/assessments.sql"), Share::Whole);
}

/// Its migrations are as many as those of all others: two tests share their points.
#[test]
fn profochatbot_survives_being_killed() {
    rehearse(&profochatbot_migration::service(), include_str!("data/profochatbot.sql"), Share::EverySecond);
}

#[test]
fn profochatbot_survives_being_killed_in_between() {
    rehearse(&profochatbot_migration::service(), include_str!("data/profochatbot.sql"), Share::InBetween);
}

#[test]
fn bookreader_survives_being_killed() {
    rehearse(&bookreader_migration::service(), include_str!("data/bookreader.sql"), Share::Whole);
}
