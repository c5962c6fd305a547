//! The scratch database drives a small service: one step of each kind, and what goes wrong.

use std::time::Duration;

use migration_kit::{Check, Details, Online, Service, ServiceMigration};
use migration_testing::{Scratch, ScratchError};
use sea_orm_migration::prelude::*;

const NAME: &str = "notes";
const CREATE: &str = "m20250101_000001_create_note";
const INDEX: &str = "m20250102_000001_index_note";
const DROP: &str = "m20250103_000001_drop_text";
const ADD: &str = "m20250104_000001_add_author";

/// A migration made of its parts.
struct Step {
    name: &'static str,
    up: &'static str,
    down: &'static str,
    details: Details,
}

impl MigrationName for Step {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Step {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.up).await.map(drop)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(self.down).await.map(drop)
    }
}

impl ServiceMigration for Step {
    fn details(&self) -> Details {
        self.details.clone()
    }
}

/// A migration outside a transaction.
struct Index;

impl MigrationName for Index {
    fn name(&self) -> &str {
        INDEX
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Index {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, NAME, INDEX).await?;
        online.create_index("note_text_idx", "note", ["text"]).run().await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, NAME, INDEX).await?;
        online.drop_index("note_text_idx").await
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

impl ServiceMigration for Index {
    fn details(&self) -> Details {
        Details::expand().verify(Check::index("note_text_idx").until(DROP))
    }
}

fn service() -> Service {
    let create = Step {
        name: CREATE,
        up: "CREATE TABLE note (id integer CONSTRAINT note_pkey PRIMARY KEY, text text)",
        down: "DROP TABLE note",
        details: Details::expand()
            .verify(Check::none("no note is empty", "SELECT id FROM note WHERE text = ''").until(DROP)),
    };
    let drop = Step {
        name: DROP,
        up: "ALTER TABLE note DROP COLUMN text",
        down: "ALTER TABLE note ADD COLUMN text text",
        details: Details::contract(Duration::from_hours(24))
            .guard(Check::none("no note has text", "SELECT id FROM note WHERE text IS NOT NULL")),
    };
    let add = Step {
        name: ADD,
        up: "ALTER TABLE note ADD COLUMN author text",
        down: "ALTER TABLE note DROP COLUMN author",
        details: Details::expand(),
    };
    Service::new(NAME, vec![Box::new(create), Box::new(Index), Box::new(drop), Box::new(add)])
        .expect("the names are well formed")
}

async fn applied(scratch: &Scratch) -> Vec<String> {
    scratch.rows("SELECT version FROM seaql_migrations_notes ORDER BY version").await
}

#[tokio::test]
async fn up_holds_contract_steps_back() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    assert_eq!(applied(&scratch).await, [CREATE, INDEX, ADD]);
    scratch.up_contract().await;
    assert_eq!(applied(&scratch).await, [CREATE, INDEX, DROP, ADD]);
    scratch.verify().await;
}

#[tokio::test]
async fn targets_are_inclusive_and_base_is_empty() {
    let scratch = Scratch::new(service()).await;
    let empty = scratch.dump_schema().await;
    scratch.up_to(INDEX).await;
    assert_eq!(applied(&scratch).await, [CREATE, INDEX]);
    let indexed = scratch.dump_schema().await;
    scratch.up_to(DROP).await;
    assert_eq!(applied(&scratch).await, [CREATE, INDEX, DROP]);
    scratch.down_to(CREATE).await;
    assert_eq!(applied(&scratch).await, [CREATE]);
    scratch.up_to(INDEX).await;
    assert_eq!(scratch.dump_schema().await, indexed);
    scratch.down_to("base").await;
    assert_eq!(scratch.dump_schema().await, empty);
}

#[tokio::test]
async fn the_schema_is_dumped_without_noise() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(CREATE).await;
    let expected = "CREATE SCHEMA notes;\nCREATE TABLE notes.note (\n    id integer NOT NULL,\n    text text\n);\n\
                    ALTER TABLE ONLY notes.note\n    ADD CONSTRAINT note_pkey PRIMARY KEY (id);\n";
    assert_eq!(scratch.dump_schema().await, expected);
}

#[tokio::test]
async fn a_guard_refuses_and_changes_nothing() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.execute("INSERT INTO note VALUES (7, 'kept')").await;
    let before = scratch.table_digest("note").await;
    let error = scratch.try_up_to(DROP).await.unwrap_err();
    assert!(matches!(&error, ScratchError::Guard { id, .. } if id.name.as_str() == DROP), "{error}");
    assert_eq!(scratch.table_digest("note").await, before);
}

#[tokio::test]
#[should_panic(expected = "checks do not hold: `m20250101_000001_create_note`: no note is empty: 1 row")]
async fn a_check_that_does_not_hold_is_named() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.execute("INSERT INTO note VALUES (8, '')").await;
    scratch.verify().await;
}

#[tokio::test]
async fn rows_are_text_and_the_path_is_the_schema_alone() {
    let scratch = Scratch::new(service()).await;
    scratch.up().await;
    scratch.execute("INSERT INTO note VALUES (1, 'a'), (2, NULL)").await;
    assert_eq!(scratch.rows("SELECT id, text, id > 1 FROM note ORDER BY id").await, ["1|a|f", "2|∅|t"]);
    assert_eq!(scratch.rows("SELECT array_to_string(current_schemas(false), ',')").await, [NAME]);
    let digest = scratch.table_digest("note").await;
    scratch.execute("UPDATE note SET text = 'b' WHERE id = 2").await;
    assert_ne!(scratch.table_digest("note").await, digest);
}

#[tokio::test]
#[should_panic(expected = "migration `notes:m20250101_000001_create_note` failed while applying: \
                           Execution Error: error returned from database: relation \"note\" already exists")]
async fn a_failing_migration_is_named_with_its_cause() {
    let scratch = Scratch::new(service()).await;
    scratch.execute("CREATE TABLE note ()").await;
    scratch.up().await;
}

#[tokio::test]
async fn several_services_share_a_database_and_may_share_a_schema() {
    let scratch = Scratch::with(vec![service().with_default_schema("public").with_tables(["note"])]).await;
    scratch.up_contract().await;
    assert_eq!(applied(&scratch).await, [CREATE, INDEX, DROP, ADD]);
    let other = Service::new("tags", Vec::new()).expect("the name is well formed");
    let scratch = Scratch::with(vec![service(), other]).await;
    scratch.up().await;
    assert_eq!(applied(&scratch).await, [CREATE, INDEX, ADD]);
    assert_eq!(scratch.rows("SELECT to_regnamespace('tags') IS NOT NULL").await, ["t"]);
}
