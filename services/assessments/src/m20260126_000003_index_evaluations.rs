//! Expand. Indexes `score` and `is_correct` where they are filled. They come after the backfill, which would have had to
//! write both of them for every row.
//!
//! Outside a transaction, concurrently. Strongest lock: SHARE UPDATE EXCLUSIVE on `question_history` while each index is
//! built; everybody reads and writes. `down` loses nothing.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

/// Creates two partial indexes.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Name and column.
const INDEXES: [[&str; 2]; 2] =
    [["idx_question_history_score", "score"], ["idx_question_history_is_correct", "is_correct"]];

online_migration!(crate::NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        for [index, column] in INDEXES {
            online
                .create_index(index)
                .on("question_history")
                .columns([column])
                .filter(&format!("{column} IS NOT NULL"))
                .run()
                .await?;
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        for [index, _] in INDEXES {
            online.drop_index(index).await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        INDEXES.iter().fold(Details::expand(), |details, [index, _]| details.verify(Check::index(index)))
    }
}
