//! Expand, phases 2 and 3. Gives every wait its bot, and the newest active run of its chat, course and bot.
//!
//! `SHARE ROW EXCLUSIVE` on `waiting_element` for the moment that a trigger takes; then batches that lock the waits they
//! change. A wait that names no bot is listed as a reject; one without an active run has none. `down` drops the trigger;
//! the filled columns go with their migration.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::links::{backfill, trigger};
use crate::{NAME, check};

/// Links waits to bots and runs, now and as old code writes them.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_triggers([&trigger::WAITING_ELEMENT]).await?;
        backfill::waiting_elements(online).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_triggers([&trigger::WAITING_ELEMENT]).await?;
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .one_node(crate::links::ONE_NODE)
            .verify(Check::from(&trigger::WAITING_ELEMENT).until(check::TRIGGERS_GO))
            .verify(
                check::named_bots("waiting_element", "waiting_element_id", "botname")
                    .kept()
                    .until(check::TRIGGERS_GO),
            )
    }
}
