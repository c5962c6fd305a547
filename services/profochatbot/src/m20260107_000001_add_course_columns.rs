//! Expand, phase 2. Gives courses a title, a description and more, and participants their chat and who admitted them.
//!
//! `ACCESS EXCLUSIVE` on `course` and `courseparticipants`, per column for the moment that a catalog entry takes.
//! `added_at` and `updated_at` of rows that exist stay NULL: when it was is not known, and it was not now. `down` drops
//! the columns and what the application wrote into them.

use migration_kit::{Column, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds the new columns of `course` and `courseparticipants`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [Column; 8] = [
    Column::new("course", "title", "text"),
    Column::new("course", "description", "text"),
    Column::new("course", "updated_at", "timestamp without time zone").default_for_new_rows("now()"),
    Column::new("course", "metadata", "jsonb"),
    Column::new("course", "is_active", "boolean").not_null("TRUE"),
    Column::new("courseparticipants", "chat_id", "bigint"),
    Column::new("courseparticipants", "added_at", "timestamp without time zone")
        .default_for_new_rows("now()"),
    Column::new("courseparticipants", "added_by", "bigint"),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.add_columns(&COLUMNS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_columns(COLUMNS.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts(
                "timestamp-without-zone",
                "as in the older tables, with which the application compares them",
            )
            .loses_on_revert(
                "titles, descriptions and metadata of courses, chats and origins of participants",
            )
            .verify_all(&COLUMNS)
    }
}
