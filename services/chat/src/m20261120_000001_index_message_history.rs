//! Adds the index that serves the history of a dialogue in its order: newest first, `id` where two messages of one
//! transaction share their time, deleted ones left out.
//!
//! Without it every history query reads the whole dialogue through `idx_user_chat_deleted` and sorts it.
//!
//! Expand. Built concurrently, under `SHARE UPDATE EXCLUSIVE` for as long as two passes over the table take; reads and
//! writes go on. `down` drops it concurrently and loses nothing but the speed.

use migration_kit::{Check, Details, Online, ServiceMigration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, NAME, self.name()).await?;
        online
            .create_index("idx_messages_history")
            .on("messages")
            .columns(["user_id", "chat_id", "created_at DESC", "id DESC"])
            .filter("deleted_at IS NULL")
            .run()
            .await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, NAME, self.name()).await?;
        online.drop_index("idx_messages_history").await?;
        Ok(())
    }

    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand().verify(Check::index("idx_messages_history")).verify(Check::holds(
            "`idx_messages_history` has the order of a dialogue's history",
            "SELECT coalesce(pg_get_indexdef(to_regclass('idx_messages_history')) \
             LIKE '%(user_id, chat_id, created_at DESC, id DESC) WHERE (deleted_at IS NULL)', false)",
        ))
    }
}
