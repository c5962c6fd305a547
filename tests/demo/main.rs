//! A program over one service of three migrations: in a transaction, in steps, and one that contracts.
//!
//! The end-to-end tests of what every program does are written against it, where the words of a real service would not help.

mod grown;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use migration_cli::{Arguments, Program};
use migration_kit::{Check, Details, EntityTable, Service};

/// Its arguments: those of every program, and one of its own.
#[derive(Debug, Parser)]
#[command(name = "demo", version)]
struct Demo {
    /// Take the service's migrations from this directory of SQL files
    #[arg(long, global = true, value_name = "DIRECTORY")]
    migrations: Option<PathBuf>,
    /// Have the service `grown` instead, with those of its migrations whose names end with one of these words
    #[arg(long, global = true, value_name = "WORDS", value_delimiter = ',')]
    grown: Option<Vec<String>>,
    #[command(flatten)]
    arguments: Arguments,
}

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
    let create_notes = Details::expand().loses_on_revert("every note");
    Service::from_sql_files("demo", files)
        .and_then(|service| service.with_details("m20260101_000001_create_notes", create_notes))
        .and_then(|service| {
            service.with_details("m20260102_000001_index_notes", Details::expand().verify(indexed))
        })
        .and_then(|service| service.with_details("m20260103_000001_drop_drafts", drop_drafts))
        .expect("the files are migrations")
}

/// The service of the files in a directory. Its application sees a table as chat's does.
fn of_files(directory: &Path) -> Service {
    let service = Service::from_sql_directory("demo", directory).unwrap_or_else(|error| panic!("{error}"));
    service.with_entities([EntityTable::of(chat_migration::entity::messages::Entity)])
}

/// The program over the files of a directory that is known only now, or over the service that is compiled in.
fn program(directory: Option<PathBuf>, grown: Option<Vec<String>>) -> Program {
    Program::new("demo", move || match (&directory, &grown) {
        (Some(directory), _) => vec![of_files(directory)],
        (None, Some(words)) => vec![grown::service(words)],
        (None, None) => vec![demo()],
    })
}

fn main() -> ExitCode {
    match Demo::try_parse() {
        Ok(demo) => migration_cli::execute(program(demo.migrations, demo.grown), demo.arguments),
        Err(error) => migration_cli::usage(&program(None, None), &error),
    }
}
