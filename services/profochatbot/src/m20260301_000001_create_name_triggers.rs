//! Expand. Code that writes `bot_id` and no longer a bot's name, and settings without a number, works beside code that
//! still needs both: triggers write them.
//!
//! `SHARE ROW EXCLUSIVE` on each of the seven tables in turn, for the moment that a trigger takes. A course written without
//! a bot's name has an empty one until the contract steps, so a second one of that name waits for them. `down` drops the
//! triggers and loses nothing.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::links::names;

/// Creates the triggers that write the names that new code leaves out.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        // One of them reads it.
        online.install_rejects().await?;
        online.create_triggers(&names::ALL).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_triggers(names::ALL.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        names::ALL.iter().fold(Details::expand().one_node(crate::links::ONE_NODE), |details, trigger| {
            details.verify(Check::from(trigger).until("m20260401_000002_drop_names_from_keys"))
        })
    }
}
