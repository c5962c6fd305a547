//! Tests of the bookreader migrations against real PostgreSQL, a database each.
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod application;
mod data;
mod entities;
mod escaped;
mod preferences;
mod round_trip;
mod schema;
mod traps;

/// The base migration, in whose schema the data sets are written.
const BASE: &str = "m20250823_000001_create_bookreader";
/// The last migration before preferences are carried over.
const CREATE_PREFERENCES: &str = "m20250824_154500_create_user_preferences";
/// The migration that carries preferences over.
const BACKFILL: &str = "m20250824_154501_backfill_user_preferences";
/// The contract step.
const CONTRACT: &str = "m20250824_154502_drop_reader_settings";
/// The last migration.
const HEAD: &str = "m20261120_000001_add_id_defaults";
