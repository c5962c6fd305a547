//! What [`conformance`] lets pass, and what it finds.

use std::any::Any;

use migration_kit::{EntityTable, Service, panic_message};
use migration_testing::{conformance, conformance_of_entities};
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

mod note {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "note")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        pub text: String,
        pub at: DateTime,
        pub tags: Option<Json>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What it says against these migrations.
async fn objection(migrations: &[(&str, &str)]) -> Option<String> {
    panic_of(conformance(service(migrations))).await
}

/// What is said against the entity of `note` over these migrations.
async fn objection_to_entity(migrations: &[(&str, &str)]) -> Option<String> {
    let service = service(migrations).with_entities([EntityTable::of(note::Entity)]);
    panic_of(conformance_of_entities(service)).await
}

async fn panic_of(test: impl Future<Output = ()> + 'static) -> Option<String> {
    let running = async { tokio::task::spawn_local(test).await };
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
async fn an_entity_that_is_not_its_table_is_found_by_column() {
    let table = (
        "CREATE TABLE note (id bigint, text varchar(9) NOT NULL, at timestamptz NOT NULL, tags jsonb, \
         of text NOT NULL, since date NOT NULL DEFAULT now())",
        "DROP TABLE note",
    );
    let good = "CREATE TABLE note (id integer PRIMARY KEY, text varchar(9) NOT NULL, at timestamp NOT NULL, tags jsonb, \
                kept date NOT NULL DEFAULT now())";
    assert_eq!(objection_to_entity(&[(good, "DROP TABLE note")]).await, None);
    let found = objection_to_entity(&[table]).await.expect("it is found");
    for expected in [
        "`note`: `at` is of type timestamp with time zone, and its field of timestamp without time zone",
        "`note`: `id` is of type bigint, and its field of integer",
        "`note`: `id` takes null, and its field does not",
        "`note`: `of` takes no null, has no default, and is no field",
    ] {
        assert!(found.contains(expected), "{found}");
    }
    assert_eq!(found.lines().count(), 5, "{found}");
    let found = objection_to_entity(&[("CREATE TABLE tag ()", "DROP TABLE tag")]).await.expect("it is found");
    assert!(found.ends_with("`note`: there is no such table"), "{found}");
}

#[tokio::test]
async fn what_is_wrong_is_found_and_named() {
    for (wrong, expected) in [
        (
            ("CREATE TABLE tag (); ALTER TABLE note ADD tag text", "DROP TABLE tag"),
            "`0001_step`: the schema is another one after it was reverted: + column note.tag",
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
            "the schema is another one after what was reverted step by step was applied again: ~ column note.at: default ",
        ),
        // It can be done twice, and not resumed from its middle.
        (
            (
                "-- no-transaction\nALTER TABLE IF EXISTS note RENAME TO old;\nCREATE TABLE IF NOT EXISTS note (id integer);\n\
                 DROP TABLE old",
                "",
            ),
            "`0001_step`: it cannot be applied: it cannot be resumed after\nCREATE TABLE IF NOT EXISTS note (id integer)\n",
        ),
    ] {
        let found = objection(&[CREATE, wrong]).await.expect("it is found");
        assert!(found.contains(expected), "{found}");
    }
}
