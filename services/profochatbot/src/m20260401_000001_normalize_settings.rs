//! Contract. A bot has one setting of a key.
//!
//! It is a contract step because old code may write it again. Of several the one with the lowest number stays; the others
//! leave for the rejects. Settings of no bot are left alone.
//!
//! Batches that lock the rows that leave, then `SHARE UPDATE EXCLUSIVE` on `gen_settings` while its unique index is built:
//! reading and writing go on. `down` drops the index and puts every row back.

use std::time::Duration;

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::{NAME, SOAK_DAYS};

/// Makes settings of a bot unique by their key.
#[derive(DeriveMigrationName)]
pub struct Migration;

const UNIQUE: &str = "gen_settings_unique";

const EARLIER: &str = "SELECT FROM gen_settings AS earlier WHERE earlier.bot_id = source.bot_id \
    AND earlier.s_key = source.s_key AND earlier.id < source.id";

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        let same = format!("EXISTS ({EARLIER} AND earlier.s_value IS NOT DISTINCT FROM source.s_value)");
        let with_the_same = "its bot has an earlier setting of this key, with the same value";
        online.move_to_rejects("gen_settings", same, with_the_same).run().await?;
        let with_another = "its bot has an earlier setting of this key, with another value";
        online.move_to_rejects("gen_settings", format!("EXISTS ({EARLIER})"), with_another).run().await?;
        online.create_index(UNIQUE, "gen_settings", ["bot_id", "s_key"]).unique().run().await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index(UNIQUE).await?;
        online.restore_rejects("gen_settings").await?;
        online.forget_rejects().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(Duration::from_secs(SOAK_DAYS * 24 * 60 * 60)).verify(Check::index(UNIQUE))
    }
}
