//! What [`conformance`] lets pass, and what it finds.

use std::any::Any;

use migration_kit::{Service, panic_message};
use migration_testing::conformance;
use tokio::task::JoinError;

const CREATE: (&str, &str) =
    ("CREATE TABLE note (id integer CONSTRAINT note_pkey PRIMARY KEY, text text)", "DROP TABLE note");
const INDEX: (&str, &str) = (
    "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS note_text;\nCREATE INDEX CONCURRENTLY note_text ON note (text)",
    "-- no-transaction\nDROP INDEX CONCURRENTLY IF EXISTS note_text",
);

fn service(migrations: &[(&str, &str)]) -> Service {
    let mut files = Vec::new();
    for (number, (up, down)) in migrations.iter().enumerate() {
        files.push((format!("{number:04}_step.up.sql"), *up));
        files.push((format!("{number:04}_step.down.sql"), *down));
    }
    let files = files.iter().map(|(name, sql)| (name.as_str(), sql.as_bytes()));
    Service::from_sql_files("notes", files).expect("the files are migrations")
}

/// What it says against these migrations.
async fn objection(migrations: &[(&str, &str)]) -> Option<String> {
    let service = service(migrations);
    let running = async { tokio::task::spawn_local(conformance(service)).await };
    let ran: Result<(), JoinError> = tokio::task::LocalSet::new().run_until(running).await;
    ran.err().map(|error| {
        let panic: Box<dyn Any + Send> = error.into_panic();
        panic_message(&*panic).to_owned()
    })
}

#[tokio::test]
async fn good_migrations_pass() {
    // The column comes back as the last one, which is no difference.
    let drop = ("ALTER TABLE note DROP COLUMN text", "ALTER TABLE note ADD COLUMN text text");
    assert_eq!(objection(&[CREATE, drop]).await, None);
    assert_eq!(objection(&[CREATE, INDEX]).await, None);
}

#[tokio::test]
async fn what_is_wrong_is_found_and_named() {
    for (wrong, expected) in [
        (
            ("CREATE TABLE tag (); ALTER TABLE note ADD tag text", "DROP TABLE tag"),
            "the schema is another after `0001_step` was reverted:\n+ column note.tag",
        ),
        (
            ("-- no-transaction\nCREATE INDEX CONCURRENTLY note_text ON note (text)", INDEX.1),
            "relation \"note_text\" already exists",
        ),
        (
            (INDEX.0, "-- no-transaction\nDROP INDEX CONCURRENTLY note_text"),
            "index \"note_text\" does not exist",
        ),
        (
            (
                "DO $$ BEGIN EXECUTE 'ALTER TABLE note ADD at timestamptz DEFAULT ' || quote_literal(clock_timestamp()); END $$",
                "ALTER TABLE note DROP COLUMN at",
            ),
            "the schema is another after `0001_step` was applied again:\n~ column note.at: default ",
        ),
    ] {
        let found = objection(&[CREATE, wrong]).await.expect("it is found");
        assert!(found.contains(expected), "{found}");
    }
}
