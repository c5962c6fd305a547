//! Adds the index that serves the history of a dialogue in its order: newest first, `id` where two messages of one
//! transaction share their time, deleted ones left out. Without it every history query reads the whole dialogue through
//! `idx_user_chat_deleted` and sorts it.
//!
//! An index alone is not used: in a private chat Telegram's `chat_id` is its `user_id`, while the planner takes the two
//! for independent, expects one row where there are hundreds, and sorts "it". Statistics of how one depends on the other
//! tell it better.
//!
//! Expand. The index is built concurrently, under `SHARE UPDATE EXCLUSIVE` for as long as two passes over the table take;
//! the statistics read a sample of it under the same lock. Reads and writes go on. `down` drops both, the index
//! concurrently, and loses nothing but the speed.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online
            .create_index(
                "idx_messages_history",
                "messages",
                ["user_id", "chat_id", "created_at DESC", "id DESC"],
            )
            .filter("deleted_at IS NULL")
            .run()
            .await?;
        online
            .execute(
                "CREATE STATISTICS IF NOT EXISTS stats_messages_dialogue (dependencies) ON user_id, chat_id FROM messages",
            )
            .await?;
        online.execute("ANALYZE messages (user_id, chat_id)").await?;
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.execute("DROP STATISTICS IF EXISTS stats_messages_dialogue").await?;
        online.drop_index("idx_messages_history").await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .verify(Check::index("idx_messages_history"))
            .verify(Check::holds(
                "`idx_messages_history` has the order of a dialogue's history",
                "SELECT coalesce(pg_get_indexdef(to_regclass('idx_messages_history')) \
                 LIKE '%(user_id, chat_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)', false)",
            ))
            .verify(Check::holds(
                "the planner knows how a chat depends on its user",
                "SELECT EXISTS (SELECT 1 FROM pg_statistic_ext WHERE stxrelid = to_regclass('messages') \
                 AND stxname = 'stats_messages_dialogue')",
            ))
    }
}
