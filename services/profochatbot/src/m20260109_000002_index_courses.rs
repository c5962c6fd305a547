//! Expand, phase 5. Builds the indexes of courses, their elements and participants.
//!
//! Concurrently, then gathers statistics: reading and writing go on. `down` drops the indexes and loses nothing.

use migration_kit::{Details, Index, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::lists::{create_indexes, fit_indexes};

/// Builds the indexes of `course`, `course_element` and `courseparticipants`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [Index; 10] = [
    Index::new("idx_course_account", "course", &["account_id"]),
    Index::new("idx_course_active", "course", &["account_id", "is_active"]),
    Index::new("idx_course_created", "course", &["account_id", "date_created DESC"]),
    Index::new("idx_course_element_course", "course_element", &["course_id", "account_id"]),
    Index::new("idx_course_element_type", "course_element", &["course_id", "account_id", "element_type"]),
    Index::new(
        "idx_course_element_order",
        "course_element",
        &["course_id", "account_id", "course_element_id"],
    ),
    Index::new("idx_courseparticipants_account", "courseparticipants", &["account_id"]),
    Index::new("idx_courseparticipants_course", "courseparticipants", &["course_id", "account_id"]),
    Index::new("idx_courseparticipants_chat", "courseparticipants", &["chat_id"]),
    Index::new("idx_courseparticipants_username", "courseparticipants", &["username"]),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        create_indexes(online, &INDEXES).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_indexes(INDEXES.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        fit_indexes(&["course_element", "courseparticipants"])
            .fold(Details::expand(), Details::guard)
            .verify_all(&INDEXES)
    }
}
