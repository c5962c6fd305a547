//! Expand. Indexes `score` and `is_correct` where they are filled. They come after the backfill, which would have had to
//! write both of them for every row.
//!
//! Outside a transaction, concurrently. Strongest lock: SHARE UPDATE EXCLUSIVE on `question_history` while each index is
//! built; everybody reads and writes. `down` loses nothing.

use migration_kit::{Details, Index, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

/// Creates two partial indexes.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [Index; 2] = [
    Index::new("idx_question_history_score", "question_history", &["score"]).filter("score IS NOT NULL"),
    Index::new("idx_question_history_is_correct", "question_history", &["is_correct"])
        .filter("is_correct IS NOT NULL"),
];

online_migration!(crate::NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_indexes(&INDEXES).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_indexes(&INDEXES).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand().verify_all(&INDEXES)
    }
}
