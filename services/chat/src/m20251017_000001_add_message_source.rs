//! Adds `messages.source`, the channel that a message came through, and its index.
//!
//! Expand: code that does not know the column keeps inserting, and the default answers for it. The column is a change
//! of the catalog only, since its default is a constant: `ACCESS EXCLUSIVE` for milliseconds, taken by the lock policy,
//! and no row is rewritten. The index is built concurrently, under `SHARE UPDATE EXCLUSIVE` for as long as two passes
//! over the table take; reads and writes go on.
//! `down` drops both under `ACCESS EXCLUSIVE` for milliseconds and loses the source of every message.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.add_column("messages", "source", "VARCHAR(20)").not_null().default("'telegram'").run().await?;
        online.create_index("idx_messages_source", "messages", ["source"]).run().await?;
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index("idx_messages_source").await?;
        online.drop_column("messages", "source").await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .replaces("a1b2c3d4e5f6")
            .loses_on_revert("the source of each message that did not come from Telegram")
            .lost_rows("messages", "source <> 'telegram'")
            .verify(Check::column("messages", "source", "character varying(20) not null"))
            // A message that names no source came from there.
            .verify(Check::default_of("messages", "source", "telegram"))
            .verify(Check::index("idx_messages_source"))
    }
}
