//! `kill -9` at many points of every migration that does not run in a transaction: the next `up` finishes, and the
//! database is what an undisturbed run makes of it.
//!
//! The real binary talks to a real server through a relay that counts its statements and kills it at a chosen one, so
//! that the points are the same in every run: no sleeps, no chance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod digest;
mod rehearsal;
mod relay;

use rehearsal::rehearse;

#[test]
fn chat_survives_being_killed() {
    rehearse(&chat_migration::service(), include_str!("data/chat.sql"));
}

#[test]
fn rag_survives_being_killed() {
    rehearse(&rag_migration::service(), include_str!("data/rag.sql"));
}

#[test]
fn assessments_survives_being_killed() {
    rehearse(&assessments_migration::service(), include_str!("data/assessments.sql"));
}

#[test]
fn profochatbot_survives_being_killed() {
    rehearse(&profochatbot_migration::service(), include_str!("data/profochatbot.sql"));
}

#[test]
fn bookreader_survives_being_killed() {
    rehearse(&bookreader_migration::service(), include_str!("data/bookreader.sql"));
}
