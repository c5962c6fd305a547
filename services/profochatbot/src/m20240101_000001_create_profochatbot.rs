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

const TABLES: [&str; 8] = [
    "conversation",
    "run",
    "waiting_element",
    "course",
    "course_element",
    "courseparticipants",
    "bannedparticipants",
    "gen_settings",
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
        for table in TABLES {
            manager.get_connection().execute_unprepared(&format!("DROP TABLE {table}")).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .loses_on_revert("every course, run and conversation")
            .verify(Check::column("conversation", "conversation_id", "integer not null"))
            .verify(Check::column("conversation", "score", "real"))
            .verify(Check::column("conversation", "date_inserted", "timestamp without time zone"))
            .verify(Check::column("run", "run_id", "integer not null"))
            .verify(Check::column("run", "botname", "text"))
            .verify(Check::column("waiting_element", "chat_id", "bigint not null"))
            .verify(Check::constraint("course", "course_pkey"))
            .verify(Check::column("course_element", "course_element_id", "bigint not null"))
            .verify(Check::column("courseparticipants", "username", "text not null").until(NAMES_GO))
            .verify(Check::column("bannedparticipants", "excluded", "smallint"))
            .verify(Check::column("gen_settings", "bot_name", "text not null").until(NAMES_GO))
            .verify(Check::index("idx_course_courseid_botname"))
            .verify(Check::index("idx_courseparticipants_2"))
            .verify(Check::index("idx_bannedparticipants_3"))
    }
}
