//! Expand, phases 2 and 3. Gives every ban and every setting its bot.
//!
//! `SHARE ROW EXCLUSIVE` on `bannedparticipants` and `gen_settings` for the moment that a trigger takes; then batches
//! that lock the rows they change. Rows whose bot name is empty are listed as rejects. `down` drops the triggers; the
//! filled columns go with their migration.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::links::{backfill, trigger};
use crate::{NAME, check};

/// Links bans and settings to bots, now and as old code writes them.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_triggers([&trigger::BAN, &trigger::SETTING]).await?;
        backfill::bans(online).await?;
        backfill::settings(online).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_triggers([&trigger::SETTING, &trigger::BAN]).await?;
        backfill::forget_rejects(online, self.name()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let until = |check: Check| check.until(check::TRIGGERS_GO);
        Details::expand()
            .one_node(crate::links::ONE_NODE)
            .verify_all([&trigger::BAN, &trigger::SETTING].map(Check::from).map(until))
            .verify(until(check::named_bots("bannedparticipants", "bannedparticipant_id", "botname").kept()))
            .verify(until(check::named_bots("gen_settings", "id", "bot_name").kept()))
            // The last of the steps that make bots of names, and links.
            .verify(check::links_of_others())
            .verify(check::bots_without_token())
    }
}
