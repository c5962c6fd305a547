//! The rag service against a real server, a database a test.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod adoption;
mod application;
mod data;
mod isolation;
mod migrations;
mod neighbours;
mod other_teams;
