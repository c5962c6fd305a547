//! Tests of the profochatbot service against a PostgreSQL of their own, one binary so that one server serves all.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod application;
mod dirty;
mod escaped;
mod interrupted;
mod long_texts;
mod schema;
mod support;
mod tasks;
mod tenants;
mod there_and_back;
mod transition;
mod traps;
