//! Expand. Indexes `score` and `is_correct` where they are filled. They come after the backfill, which would have had to
//! write both of them for every row.
//!
//! Outside a transaction, concurrently. Strongest lock: SHARE UPDATE EXCLUSIVE on `question_history` while each index is
//! built; everybody reads and writes. `down` loses nothing.

use migration_kit::{Check, Details, Online, ServiceMigration};
use sea_orm_migration::prelude::*;

/// Creates two partial indexes.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Name and column.
const INDEXES: [[&str; 2]; 2] =
    [["idx_question_history_score", "score"], ["idx_question_history_is_correct", "is_correct"]];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, crate::NAME, self.name()).await?;
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

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, crate::NAME, self.name()).await?;
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
