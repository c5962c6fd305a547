//! Drops `ix_user_knowledge_user_id`: the index of the unique constraint `user_knowledge_user_id_key` has the same
//! column, so that this one serves no query and slows every write.
//!
//! Expand: no query names an index. Dropped concurrently, under `SHARE UPDATE EXCLUSIVE` and a wait for the
//! transactions that use the table; reads and writes go on. `down` builds it again concurrently; nothing is lost.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index("ix_user_knowledge_user_id").await?;
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.create_index("ix_user_knowledge_user_id", "user_knowledge", ["user_id"]).run().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .guard(Check::constraint("user_knowledge", "user_knowledge_user_id_key"))
            .guard(Check::none(
                "no other table has an index named `ix_user_knowledge_user_id`",
                "SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = to_regclass('ix_user_knowledge_user_id') \
                 AND indrelid IS DISTINCT FROM to_regclass('user_knowledge')",
            ))
            .verify(Check::no_index("ix_user_knowledge_user_id"))
            .verify(Check::constraint("user_knowledge", "user_knowledge_user_id_key"))
    }
}
