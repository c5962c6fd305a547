//! Expand, phase 2. Gives courses a title, a description and more, and participants their chat and who admitted them.
//!
//! `ACCESS EXCLUSIVE` on `course` and `courseparticipants`, per column for the moment that a catalog entry takes.
//! `added_at` and `updated_at` of rows that exist stay NULL: when it was is not known, and it was not now. `down` drops
//! the columns and what the application wrote into them.

use migration_kit::{Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::column::{self, Column, Filled, column};

/// Adds the new columns of `course` and `courseparticipants`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [Column; 8] = [
    column("course", "title", "text", Filled::Null),
    column("course", "description", "text", Filled::Null),
    column("course", "updated_at", "timestamp without time zone", Filled::FromNowOn("now()")),
    column("course", "metadata", "jsonb", Filled::Null),
    column("course", "is_active", "boolean", Filled::Always("TRUE")),
    column("courseparticipants", "chat_id", "bigint", Filled::Null),
    column("courseparticipants", "added_at", "timestamp without time zone", Filled::FromNowOn("now()")),
    column("courseparticipants", "added_by", "bigint", Filled::Null),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        column::add(online, &COLUMNS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        column::drop(online, &COLUMNS).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let details = Details::expand().loses_on_revert(
            "titles, descriptions and metadata of courses, chats and origins of participants",
        );
        column::verify(details, &COLUMNS)
    }
}
