//! Expand. Creates the eight tables of the single-tenant application as they stand in production: no foreign keys, and
//! `idx_course_courseid_botname` although it repeats the primary key.
//!
//! Locks nothing that exists. Where the tables are already, it stops and changes nothing: the README says how such a
//! database is recorded as being here. `down` drops the tables and all that is in them.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// Creates the tables of the single-tenant application.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// The migration from which on names are no longer needed.
const NAMES_GO: &str = "m20260401_000002_drop_names_from_keys";

/// Columns that may not be null until then.
const REQUIRED_NAMES: [(&str, &str); 4] = [
    ("course", "bot_name"),
    ("courseparticipants", "username"),
    ("bannedparticipants", "botname"),
    ("gen_settings", "bot_name"),
];

const STATEMENTS: [&str; 11] = [
    "CREATE TABLE conversation (
        conversation_id SERIAL CONSTRAINT conversation_pkey PRIMARY KEY,
        chat_id BIGINT,
        username TEXT,
        course_id TEXT,
        element_id TEXT,
        element_type TEXT,
        role TEXT,
        json TEXT,
        report TEXT,
        score REAL,
        maxscore REAL,
        date_inserted TIMESTAMP DEFAULT now(),
        run_id INTEGER
    )",
    "CREATE TABLE run (
        run_id SERIAL CONSTRAINT run_pkey PRIMARY KEY,
        chat_id BIGINT,
        username TEXT,
        botname TEXT,
        course_id TEXT,
        date_inserted TIMESTAMP DEFAULT now(),
        utm_source TEXT,
        utm_campaign TEXT,
        is_ended BOOLEAN
    )",
    "CREATE TABLE waiting_element (
        waiting_element_id SERIAL CONSTRAINT waiting_element_pkey PRIMARY KEY,
        chat_id BIGINT NOT NULL,
        waiting_till_date TIMESTAMP,
        is_waiting BOOLEAN,
        element_id TEXT,
        course_id TEXT,
        botname TEXT
    )",
    "CREATE TABLE course (
        course_id TEXT,
        bot_name TEXT,
        creator_id BIGINT,
        date_created TIMESTAMP DEFAULT now(),
        yaml TEXT,
        CONSTRAINT course_pkey PRIMARY KEY (course_id, bot_name)
    )",
    "CREATE TABLE course_element (
        course_element_id BIGSERIAL CONSTRAINT course_element_pkey PRIMARY KEY,
        element_id TEXT,
        json TEXT,
        element_type TEXT,
        course_id TEXT,
        bot_name TEXT
    )",
    "CREATE TABLE courseparticipants (
        courseparticipant_id SERIAL CONSTRAINT courseparticipants_pkey PRIMARY KEY,
        course_id TEXT NOT NULL,
        username TEXT NOT NULL
    )",
    "CREATE TABLE bannedparticipants (
        bannedparticipant_id SERIAL CONSTRAINT bannedparticipants_pkey PRIMARY KEY,
        botname TEXT NOT NULL,
        chat_id BIGINT NOT NULL,
        banned_at TIMESTAMP DEFAULT now(),
        ban_reason TEXT,
        excluded SMALLINT
    )",
    "CREATE TABLE gen_settings (
        id INTEGER CONSTRAINT gen_settings_pkey PRIMARY KEY,
        bot_name TEXT NOT NULL,
        s_key TEXT NOT NULL,
        s_value TEXT
    )",
    "CREATE INDEX idx_course_courseid_botname ON course (course_id, bot_name)",
    "CREATE INDEX idx_courseparticipants_2 ON courseparticipants (course_id, username)",
    "CREATE INDEX idx_bannedparticipants_3 ON bannedparticipants (botname, chat_id, excluded)",
];

/// What later migrations and the entities rely on, written as [`Check::table`] compares it.
const COLUMNS: [(&str, &[&str]); 8] = [
    (
        "conversation",
        &[
            "conversation_id integer not null default serial",
            "chat_id bigint",
            "username text",
            "course_id text",
            "element_id text",
            "element_type text",
            "role text",
            "json text",
            "report text",
            "score real",
            "maxscore real",
            "date_inserted timestamp without time zone default now()",
            "run_id integer",
        ],
    ),
    (
        "run",
        &[
            "run_id integer not null default serial",
            "chat_id bigint",
            "username text",
            "botname text",
            "course_id text",
            "date_inserted timestamp without time zone default now()",
            "utm_source text",
            "utm_campaign text",
            "is_ended boolean",
        ],
    ),
    (
        "waiting_element",
        &[
            "waiting_element_id integer not null default serial",
            "chat_id bigint not null",
            "waiting_till_date timestamp without time zone",
            "is_waiting boolean",
            "element_id text",
            "course_id text",
            "botname text",
        ],
    ),
    (
        "course",
        &[
            "course_id text not null",
            "bot_name text not null",
            "creator_id bigint",
            "date_created timestamp without time zone default now()",
            "yaml text",
        ],
    ),
    (
        "course_element",
        &[
            "course_element_id bigint not null default serial",
            "element_id text",
            "json text",
            "element_type text",
            "course_id text",
            "bot_name text",
        ],
    ),
    (
        "courseparticipants",
        &[
            "courseparticipant_id integer not null default serial",
            "course_id text not null",
            "username text not null",
        ],
    ),
    (
        "bannedparticipants",
        &[
            "bannedparticipant_id integer not null default serial",
            "botname text not null",
            "chat_id bigint not null",
            "banned_at timestamp without time zone default now()",
            "ban_reason text",
            "excluded smallint",
        ],
    ),
    (
        "gen_settings",
        &["id integer not null", "bot_name text not null", "s_key text not null", "s_value text"],
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for statement in STATEMENTS {
            manager.get_connection().execute_unprepared(statement).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (table, _) in COLUMNS {
            manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let mut details = Details::expand()
            .accepts("int-key", "as in the tables that the application had before it had migrations")
            .accepts("serial", "as in the tables that the application had before it had migrations")
            .accepts(
                "citus-int-serial",
                "as in those tables: on Citus, the application writes through the coordinator",
            )
            .accepts(
                "timestamp-without-zone",
                "as in the tables that the application had before it had migrations",
            )
            .loses_on_revert("every course, run and conversation")
            .verify(Check::index("idx_course_courseid_botname"))
            .verify(Check::index("idx_courseparticipants_2"))
            .verify(Check::index("idx_bannedparticipants_3"));
        for (table, columns) in COLUMNS {
            let stays: Vec<&str> =
                columns.iter().copied().filter(|column| !is_required_name(table, column)).collect();
            details = details
                .verify(Check::table(table, &stays))
                .verify(Check::constraint(table, &format!("{table}_pkey")));
        }
        let names = REQUIRED_NAMES.map(|(table, column)| Check::column(table, column, "text not null"));
        details.verify_all(names.map(|check| check.until(NAMES_GO)))
    }
}

/// Whether a column of the table is one of those names.
fn is_required_name(table: &str, column: &str) -> bool {
    REQUIRED_NAMES.iter().any(|(of, name)| *of == table && column.split(' ').next() == Some(name))
}
