//! A program over one service of three migrations: in a transaction, in steps, and one that contracts.
//!
//! The end-to-end tests of what every program does are written against it, where the words of a real service would not help.

use std::process::ExitCode;
use std::time::Duration;

use migration_cli::{Program, main_of};
use migration_kit::{Check, Details, Service};

/// Its migrations as files.
const FILES: [(&str, &str); 6] = [
    (
        "m20260101_000001_create_notes.up.sql",
        "CREATE TABLE note (id bigint CONSTRAINT note_pkey PRIMARY KEY, text text NOT NULL, draft text)",
    ),
    ("m20260101_000001_create_notes.down.sql", "DROP TABLE note"),
    (
        "m20260102_000001_index_notes.up.sql",
        "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS note_text;\n\
         CREATE INDEX CONCURRENTLY note_text ON note (text)",
    ),
    (
        "m20260102_000001_index_notes.down.sql",
        "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS note_text",
    ),
    ("m20260103_000001_drop_drafts.up.sql", "ALTER TABLE note DROP COLUMN draft"),
    ("m20260103_000001_drop_drafts.down.sql", "ALTER TABLE note ADD COLUMN draft text"),
];

/// How long the last one waits for old code to be gone.
const SOAK: Duration = Duration::from_hours(24);

fn demo() -> Service {
    let files = FILES.iter().map(|(name, sql)| (*name, sql.as_bytes()));
    let drop_drafts = Details::contract(SOAK).loses("what was not published");
    let indexed =
        Check::holds("notes are found by their text", "SELECT to_regclass('note_text') IS NOT NULL");
    Service::from_sql_files("demo", files)
        .and_then(|service| {
            service.with_details("m20260102_000001_index_notes", Details::expand().verify(indexed))
        })
        .and_then(|service| service.with_details("m20260103_000001_drop_drafts", drop_drafts))
        .expect("the files are migrations")
}

fn main() -> ExitCode {
    main_of(Program { invocation: "demo", services: || vec![demo()], tasks: Vec::new() })
}
