//! Expand: the base schema of the reader as it stood in production, three enum types and seven tables.
//!
//! Every table is new, so nothing of the application waits: the locks are on relations that nobody else sees before
//! the commit. Names of indexes and constraints are those PostgreSQL and the old application gave them, because
//! existing databases are adopted, not rebuilt. `ix_*_id` repeats the primary key; it is kept for the same reason.
//!
//! `down` drops all of it and loses every row.

use migration_kit::{Check, Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// Creates users, books, subscriptions, chapters, reading progress, descriptions and generated images.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Enums, each with its values.
pub(crate) const TYPES: [(&str, &[&str]); 3] = [
    ("descriptiontype", &["LOCATION", "CHARACTER", "ATMOSPHERE", "OBJECT", "ACTION"]),
    ("subscriptionplan", &["FREE", "PREMIUM", "ULTIMATE"]),
    ("subscriptionstatus", &["ACTIVE", "EXPIRED", "CANCELLED", "PENDING"]),
];

/// Name and columns, written as [`Check::table`] compares them. Referenced tables come first.
const TABLES: [(&str, &[&str]); 7] = [
    (
        "users",
        &[
            "id uuid not null",
            "email character varying(255) not null",
            "password_hash character varying(255) not null",
            "full_name character varying(255)",
            "is_active boolean not null",
            "is_verified boolean not null",
            "is_admin boolean not null",
            "reader_settings json",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
            "last_login timestamp with time zone",
        ],
    ),
    (
        "books",
        &[
            "id uuid not null",
            "user_id uuid not null",
            "title character varying(500) not null",
            "author character varying(255)",
            "genre character varying(50) not null",
            "language character varying(10) not null",
            "file_path character varying(1000) not null",
            "file_format character varying(10) not null",
            "file_size integer not null",
            "cover_image character varying(1000)",
            "description text",
            "book_metadata json",
            "total_pages integer not null",
            "estimated_reading_time integer not null",
            "is_parsed boolean not null",
            "parsing_progress integer not null",
            "parsing_error text",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
            "last_accessed timestamp with time zone",
        ],
    ),
    (
        "subscriptions",
        &[
            "id uuid not null",
            "user_id uuid not null",
            "plan subscriptionplan not null",
            "status subscriptionstatus not null",
            "start_date timestamp with time zone not null",
            "end_date timestamp with time zone",
            "auto_renewal boolean not null",
            "books_uploaded integer not null",
            "images_generated_month integer not null",
            "last_reset_date timestamp with time zone not null",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
        ],
    ),
    (
        "chapters",
        &[
            "id uuid not null",
            "book_id uuid not null",
            "chapter_number integer not null",
            "title character varying(500)",
            "content text not null",
            "html_content text",
            "word_count integer not null",
            "estimated_reading_time integer not null",
            "is_description_parsed boolean not null",
            "descriptions_found integer not null",
            "parsing_progress integer not null",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
            "parsed_at timestamp with time zone",
        ],
    ),
    (
        "reading_progress",
        &[
            "id uuid not null",
            "user_id uuid not null",
            "book_id uuid not null",
            "current_chapter integer not null",
            "current_page integer not null",
            "current_position integer not null",
            "reading_time_minutes integer not null",
            "reading_speed_wpm double precision not null",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
            "last_read_at timestamp with time zone not null",
        ],
    ),
    (
        "descriptions",
        &[
            "id uuid not null",
            "chapter_id uuid not null",
            "type descriptiontype not null",
            "content text not null",
            "context text",
            "confidence_score double precision not null",
            "position_in_chapter integer not null",
            "word_count integer not null",
            "is_suitable_for_generation boolean not null",
            "priority_score double precision not null",
            "entities_mentioned text",
            "emotional_tone character varying(50)",
            "complexity_level character varying(20)",
            "image_generated boolean not null",
            "generation_requested boolean not null",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
        ],
    ),
    (
        "generated_images",
        &[
            "id uuid not null",
            "description_id uuid not null",
            "user_id uuid not null",
            "service_used character varying(50) not null",
            "status character varying(20) not null",
            "image_url character varying(2000)",
            "local_path character varying(1000)",
            "prompt_used text not null",
            "generation_parameters json",
            "generation_time_seconds double precision",
            "file_size integer",
            "image_width integer",
            "image_height integer",
            "file_format character varying(10)",
            "quality_score double precision",
            "is_moderated boolean not null",
            "moderation_result json",
            "moderation_notes text",
            "view_count integer not null",
            "download_count integer not null",
            "error_message text",
            "retry_count integer not null",
            "created_at timestamp with time zone not null",
            "updated_at timestamp with time zone not null",
            "generated_at timestamp with time zone",
        ],
    ),
];

/// Columns with a default, in whichever table they stand.
const DEFAULTS: [(&str, &str); 6] = [
    ("id", "gen_random_uuid()"),
    ("created_at", "now()"),
    ("updated_at", "now()"),
    ("start_date", "now()"),
    ("last_reset_date", "now()"),
    ("last_read_at", "now()"),
];

/// Table, column, referenced table; the constraint is `<table>_<column>_fkey`.
const FOREIGN_KEYS: [(&str, &str, &str); 8] = [
    ("books", "user_id", "users"),
    ("subscriptions", "user_id", "users"),
    ("chapters", "book_id", "books"),
    ("reading_progress", "user_id", "users"),
    ("reading_progress", "book_id", "books"),
    ("descriptions", "chapter_id", "chapters"),
    ("generated_images", "description_id", "descriptions"),
    ("generated_images", "user_id", "users"),
];

/// Table and column; the index is `ix_<table>_<column>`.
const INDEXES: [(&str, &str); 22] = [
    ("users", "id"),
    ("books", "author"),
    ("books", "id"),
    ("books", "title"),
    ("books", "user_id"),
    ("subscriptions", "id"),
    ("subscriptions", "user_id"),
    ("chapters", "book_id"),
    ("chapters", "chapter_number"),
    ("chapters", "id"),
    ("reading_progress", "book_id"),
    ("reading_progress", "id"),
    ("reading_progress", "user_id"),
    ("descriptions", "chapter_id"),
    ("descriptions", "id"),
    ("descriptions", "type"),
    ("generated_images", "description_id"),
    ("generated_images", "id"),
    ("generated_images", "service_used"),
    ("generated_images", "status"),
    ("generated_images", "user_id"),
    ("users", "email"),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for (name, values) in TYPES {
            let values = values.join("', '");
            db.execute_unprepared(&format!("CREATE TYPE {name} AS ENUM ('{values}')")).await?;
        }
        for (name, columns) in TABLES {
            let columns: Vec<String> = columns.iter().map(|column| with_default(column)).collect();
            db.execute_unprepared(&format!(
                "CREATE TABLE {name} ({}, CONSTRAINT {name}_pkey PRIMARY KEY (id))",
                columns.join(", ")
            ))
            .await?;
        }
        for (table, column, referenced) in FOREIGN_KEYS {
            db.execute_unprepared(&format!(
                "ALTER TABLE {table} ADD CONSTRAINT {table}_{column}_fkey \
                 FOREIGN KEY ({column}) REFERENCES {referenced} (id)"
            ))
            .await?;
        }
        for (table, column) in INDEXES {
            let unique = if (table, column) == ("users", "email") { "UNIQUE " } else { "" };
            db.execute_unprepared(&format!("CREATE {unique}INDEX ix_{table}_{column} ON {table} ({column})"))
                .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        for (name, _) in TABLES.iter().rev() {
            db.execute_unprepared(&format!("DROP TABLE {name}")).await?;
        }
        for (name, _) in TYPES.iter().rev() {
            db.execute_unprepared(&format!("DROP TYPE {name}")).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let mut details =
            Details::expand().replaces("4de5528c20b4").replaces("66ac03dc5ab6").loses_on_revert(
                "every user, book, subscription, chapter, reading position, description and image",
            );
        for (name, values) in TYPES {
            details = details.verify(Check::enum_type(name, values));
        }
        for (name, columns) in TABLES {
            let stays = columns.iter().filter(|column| !column.starts_with("reader_settings "));
            let columns: Vec<String> = stays.map(|column| relied_on(column)).collect();
            let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
            details = details
                .verify(Check::table(name, &columns))
                .verify(Check::constraint(name, &format!("{name}_pkey")));
        }
        let settings = Check::column("users", "reader_settings", "json");
        details = details.verify(settings.until("m20250824_154502_drop_reader_settings"));
        for (table, column, _) in FOREIGN_KEYS {
            details = details.verify(Check::constraint(table, &format!("{table}_{column}_fkey")));
        }
        for (table, column) in INDEXES {
            details = details.verify(Check::index(&format!("ix_{table}_{column}")));
        }
        details
    }
}

/// A column's definition with its default, if it has one.
fn with_default(column: &str) -> String {
    let name = column.split(' ').next().unwrap_or_default();
    match DEFAULTS.iter().find(|(defaulted, _)| *defaulted == name) {
        Some((_, default)) => format!("{column} default {default}"),
        None => column.to_owned(),
    }
}

/// What later migrations and the entities rely on. Old databases have no default of `id`, because the old application made
/// its ids by itself: a later migration adds it.
fn relied_on(column: &str) -> String {
    if column.starts_with("id ") { column.to_owned() } else { with_default(column) }
}
