//! How entities differ from what migrations make, and what is no difference.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;

use migration_kit::{EntityTable, Service};
use migration_rehearsal::{Choices, EntityChange, EntityDiff, RehearsalError, diff};

mod author {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "author")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(unique)]
        pub name: String,
        #[sea_orm(has_many)]
        pub notes: HasMany<super::note::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod note {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
    #[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "mood")]
    pub(crate) enum Mood {
        #[sea_orm(string_value = "good")]
        Good,
        #[sea_orm(string_value = "it's bad")]
        Bad,
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "note")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[sea_orm(indexed, column_type = "String(StringLen::N(50))")]
        pub title: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub body: Option<String>,
        #[sea_orm(default_value = 0)]
        pub rank: i32,
        #[sea_orm(unique_key = "place")]
        pub shelf: i32,
        #[sea_orm(unique_key = "place")]
        pub place: i32,
        pub tags: Vec<String>,
        pub mood: Option<Mood>,
        #[sea_orm(default_expr = "Expr::current_timestamp()")]
        pub at: DateTimeUtc,
        pub author_id: Option<i64>,
        #[sea_orm(belongs_to, from = "author_id", to = "id", on_delete = "SetNull")]
        pub author: BelongsTo<Option<super::author::Entity>>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

mod renamed {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "note")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[sea_orm(renamed_from = "text")]
        pub body: String,
        pub subtitle: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

mod impossible {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "impossible")]
    pub(crate) struct Model {
        #[sea_orm(primary_key)]
        pub id: i32,
        #[sea_orm(column_type = "custom(\"no_such_type\")")]
        pub what: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A table that says the same as the entities, in its own way, and more.
const SAME: &str = "
    CREATE TYPE mood AS ENUM ('it''s bad', 'good', 'none');
    CREATE TABLE author (id bigserial PRIMARY KEY, name text NOT NULL, born date DEFAULT CURRENT_DATE);
    CREATE UNIQUE INDEX author_by_name ON author (name);
    CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title varchar(50) NOT NULL DEFAULT 'untitled',
        body text CHECK (body <> ''), rank integer NOT NULL DEFAULT '0', shelf integer NOT NULL,
        place integer NOT NULL, tags text[] NOT NULL, mood mood, at timestamptz NOT NULL DEFAULT now(), author_id bigint,
        internal text, CONSTRAINT note_place UNIQUE (place, shelf),
        CONSTRAINT note_by FOREIGN KEY (author_id) REFERENCES author (id) ON DELETE SET NULL ON UPDATE CASCADE NOT VALID);
    CREATE INDEX note_titles ON note (title DESC, at);
    CREATE INDEX note_bodies ON note (lower(body)) WHERE rank > 0;
    CREATE TABLE other (id integer);
    COMMENT ON COLUMN note.title IS 'by hand'";

/// A table that says something else of everything.
const OTHER: &str = "
    CREATE TYPE mood AS ENUM ('good');
    CREATE TABLE author (id bigserial PRIMARY KEY, name varchar(9) NOT NULL);
    CREATE TABLE note (id integer NOT NULL, title varchar(20) NOT NULL, body text NOT NULL,
        rank integer NOT NULL DEFAULT 1, shelf integer NOT NULL, place integer, tags text[] NOT NULL, mood mood,
        author_id bigint, at timestamptz NOT NULL, legacy date NOT NULL);
    CREATE INDEX note_titles ON note (title) WHERE rank > 0;
    CREATE UNIQUE INDEX note_shelves ON note (shelf, place) WHERE place > 0";

fn service(sql: &str, entities: &[EntityTable]) -> Service {
    let down = "DROP TABLE IF EXISTS other, note, author; DROP TYPE IF EXISTS mood";
    let files = [("0001_create.up.sql", sql.as_bytes()), ("0001_create.down.sql", down.as_bytes())];
    Service::from_sql_files("notes", files).unwrap().with_entities(entities.iter().cloned())
}

async fn of(service: Service) -> Result<EntityDiff, RehearsalError> {
    let name = service.name().clone();
    Ok(diff(vec![service], &[name], &Choices::default()).await?.remove(0))
}

async fn says(service: Service) -> Vec<String> {
    let found = of(service).await.unwrap();
    let waits = |waits| if waits { " (contract)" } else { "" };
    found.differences.iter().map(|found| format!("{found}{}", waits(found.is_contract()))).collect()
}

fn both() -> [EntityTable; 2] {
    [EntityTable::of(note::Entity), EntityTable::of(author::Entity)]
}

#[tokio::test]
async fn what_an_entity_does_not_mention_is_no_difference() {
    let found = of(service(SAME, &both())).await.unwrap();
    assert_eq!(found.differences, []);
    assert_eq!((found.n_entities, found.n_migrations), (2, 1));
    let unmentioned: Vec<String> = found.unmentioned.iter().map(ToString::to_string).collect();
    assert_eq!(unmentioned, ["column note.internal", "column author.born", "table other"]);
}

#[tokio::test]
async fn what_an_entity_says_otherwise_is_a_difference() {
    assert_eq!(
        says(service(OTHER, &both())).await,
        [
            "~ type mood: has no value it's bad",
            "~ column note.id: type integer → bigint (contract)",
            "~ column note.id: its field leaves the value to the server, which has no default for it",
            "~ column note.title: type character varying(20) → character varying(50)",
            "~ column note.body: takes no null, and its field does",
            "~ column note.rank: default 1 → 0",
            "~ column note.place: takes null, and its field does not (contract)",
            "~ column note.at: default nothing → CURRENT_TIMESTAMP",
            "~ column note.legacy: takes no null, has no default, and is no field",
            "+ constraint note.note_pkey: PRIMARY KEY (id)",
            "+ constraint note.note_shelf_place_key: UNIQUE (shelf, place)",
            "+ index note.note_title_idx: (title)",
            "+ constraint note.note_author_id_fkey: FOREIGN KEY (author_id) REFERENCES author(id) ON DELETE SET NULL",
            "+ constraint author.author_name_key: UNIQUE (name)",
        ]
    );
}

#[tokio::test]
async fn before_the_first_migration_everything_is_new() {
    let service =
        Service::from_sql_files("notes", Vec::<(&str, &[u8])>::new()).unwrap().with_entities(both());
    assert_eq!(says(service).await, ["+ type mood: good, it's bad", "+ table note", "+ table author"]);
}

#[tokio::test]
async fn a_column_may_have_another_name() {
    let made = "CREATE TABLE note (id integer PRIMARY KEY, text text NOT NULL, headline varchar(9), at date)";
    let found = of(service(made, &[EntityTable::of(renamed::Entity)])).await.unwrap();
    let says: Vec<String> = found.differences.iter().map(ToString::to_string).collect();
    assert_eq!(
        says,
        ["~ column note.text: is called body", "+ column note.subtitle: character varying, not null"]
    );
    let EntityChange::NewColumn(column) = &found.differences[1].change else {
        panic!("{says:?}");
    };
    assert_eq!(column.perhaps, ["headline"]);
}

#[tokio::test]
async fn another_type_is_tried_on_the_server() {
    let made = "CREATE TABLE note (id date PRIMARY KEY, body integer NOT NULL, subtitle varchar NOT NULL)";
    let found = of(service(made, &[EntityTable::of(renamed::Entity)])).await.unwrap();
    let [impossible, other] = &found.differences[..] else { panic!("{:?}", found.differences) };
    let says =
        "~ column note.id: is of type date, and its field of integer: cannot cast type date to integer";
    assert_eq!(impossible.to_string(), says);
    let EntityChange::Retyped { how, .. } = &other.change else { panic!("{other}") };
    assert_eq!((how.is_cast, how.is_cast_back, how.rewrites), (false, true, true));
}

#[tokio::test]
async fn an_entity_that_builds_no_table_is_named_with_the_reason() {
    let service = service("CREATE TABLE other (id integer)", &[EntityTable::of(impossible::Entity)]);
    let refused = of(service).await.unwrap_err();
    assert_eq!(refused.to_string(), "the entity of `notes` for `impossible` builds no table");
    let why = refused.source().unwrap().to_string();
    assert!(why.contains("type \"no_such_type\" does not exist"), "{why}");
}
