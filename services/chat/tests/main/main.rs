//! The chat service against a real server, a database a test.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod application;
mod binary;
mod checks;
mod data;
mod migrations;
mod queries;
mod soft_delete;
