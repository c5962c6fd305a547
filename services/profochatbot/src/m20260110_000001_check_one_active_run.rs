//! Expand, phase 6. Of the active runs of a chat with a bot only the newest stays active.
//!
//! `SHARE ROW EXCLUSIVE` on `run` for the moment that a trigger takes, then batches that lock the runs they change, then
//! a unique index, built concurrently. Old code may go on starting runs: the trigger makes the older ones inactive. An
//! active run without a chat, which the rule cannot see, is listed as a reject. `down` drops index and trigger and makes
//! runs active again that are not ended and have a newer active one: those that the rule made inactive.

use migration_kit::{Check, Details, Online, ServiceMigration};
use sea_orm_migration::prelude::*;

use crate::links::trigger;
use crate::{NAME, check};

/// Keeps at most one run of a chat with a bot active.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEX: &str = "run_one_active_per_bot_chat";

const OUTDATED: &str = "source.is_active AND EXISTS (SELECT FROM run AS newer WHERE newer.bot_id = source.bot_id \
    AND newer.chat_id = source.chat_id AND newer.is_active AND newer.run_id > source.run_id)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, NAME, self.name()).await?;
        trigger::create(&online, &trigger::ONE_ACTIVE_RUN).await?;
        online
            .backfill("run")
            .rejects(
                "SELECT jsonb_build_object('run_id', source.run_id) AS key, 'chat_id' AS field, NULL::text AS value, \
                 'names no chat: the run escapes the rule of one active run' AS reason, to_jsonb(source) AS row \
                 FROM run AS source WHERE {batch} AND source.is_active AND source.chat_id IS NULL",
            )
            .statement(format!("UPDATE run AS source SET is_active = FALSE WHERE {{batch}} AND {OUTDATED}"))
            .run()
            .await?;
        online
            .create_index(INDEX)
            .on("run")
            .columns(["bot_id", "chat_id"])
            .unique()
            .filter("is_active")
            .run()
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let online = Online::new(manager, NAME, self.name()).await?;
        online.drop_index(INDEX).await?;
        trigger::drop(&online, &trigger::ONE_ACTIVE_RUN).await?;
        online
            .backfill("run")
            .statement(
                "UPDATE run AS source SET is_active = TRUE WHERE {batch} AND NOT source.is_active \
                 AND run_is_active(source.is_ended) AND EXISTS (SELECT FROM run AS newer \
                 WHERE newer.bot_id = source.bot_id AND newer.chat_id = source.chat_id AND newer.is_active \
                 AND newer.run_id > source.run_id)",
            )
            .run()
            .await?;
        online.forget_rejects().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .verify(
                Check::trigger(trigger::ONE_ACTIVE_RUN.table, trigger::ONE_ACTIVE_RUN.name)
                    .until("m20260201_000004_drop_default_account"),
            )
            .verify(Check::index(INDEX))
            .verify(check::one_active_run())
    }
}
