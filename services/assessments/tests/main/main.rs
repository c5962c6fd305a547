//! Tests of the service's migrations, on a real PostgreSQL of their own.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod application;
mod carry_over;
mod contract;
mod data;
mod entities;
mod escaped;
mod online;
mod plain;
mod round_trip;
mod schema;
mod triggers;
mod writers;

use assessments_migration::service;
use migration_testing::Scratch;

const CREATE_QUESTIONS: &str = "m20260122_000001_create_questions";
const ADD_COLUMNS: &str = "m20260126_000001_add_evaluation_columns";
const BACKFILL: &str = "m20260126_000002_backfill_evaluations";
const INDEX: &str = "m20260126_000003_index_evaluations";
const CONTRACT: &str = "m20260126_000004_drop_raw_answers";

/// The tables in which the service keeps its rows.
const TABLES: [&str; 13] = [
    "users",
    "roles",
    "user_roles",
    "competencies",
    "directions",
    "technologies",
    "direction_technologies",
    "direction_competencies",
    "technology_competencies",
    "assessments",
    "competency_assessments",
    "questions",
    "question_history",
];

/// A database as it was in production before the evaluations got their columns, with all kinds of rows.
async fn before() -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(CREATE_QUESTIONS).await;
    data::load(&scratch).await;
    scratch
}

/// Digests of all tables: equal ones mean equal rows, byte for byte.
async fn digests(scratch: &Scratch) -> Vec<(&'static str, String)> {
    let mut digests = Vec::new();
    for table in TABLES {
        digests.push((table, scratch.table_digest(table).await));
    }
    digests
}
