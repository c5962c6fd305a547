//! Expand, phase 6. Of the active runs of a chat with a bot only the newest stays active.
//!
//! `SHARE ROW EXCLUSIVE` on `run` for the moment that a trigger takes, then batches that lock the runs they change, then
//! a unique index, built concurrently. Old code may go on starting runs: the trigger makes the older ones inactive. A run
//! that is made inactive here is listed as a reject, and so is an active run without a chat, which the rule cannot see.
//! `down` drops index and trigger and makes the listed runs active again; what the trigger has made inactive stays so.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::links::{one_active, trigger};
use crate::{NAME, check};

/// Keeps at most one run of a chat with a bot active.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEX: &str = "run_one_active_per_bot_chat";

const OUTDATED: &str = "source.is_active AND EXISTS (SELECT FROM run AS newer WHERE newer.bot_id = source.bot_id \
    AND newer.chat_id = source.chat_id AND newer.is_active AND newer.run_id > source.run_id)";

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_triggers([&trigger::ONE_ACTIVE_RUN]).await?;
        one_active::outdate(one_active::list_chatless(online.backfill("run")), OUTDATED).run().await?;
        online.create_index(INDEX, "run", ["bot_id", "chat_id"]).unique().filter("is_active").run().await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index(INDEX).await?;
        online.drop_triggers([&trigger::ONE_ACTIVE_RUN]).await?;
        one_active::restore(online).await?;
        online.forget_rejects().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .one_node(crate::links::ONE_NODE)
            .verify(Check::from(&trigger::ONE_ACTIVE_RUN).until(check::TRIGGERS_GO))
            .verify(Check::index(INDEX))
            .verify(check::one_active_run())
    }
}
