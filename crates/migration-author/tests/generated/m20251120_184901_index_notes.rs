//! Indexes notes.
//!
//! Expand. Not written yet: the strongest table lock and for how long it is held, and what `down` loses.

use migration_kit::{Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, _online: &Online) -> Result<(), DbErr> {
        // Steps that can be run again from their start: `online.add_column(…).run().await?`.
        Err(DbErr::Migration("`up` of `m20251120_184901_index_notes` is not written yet".to_owned()))
    }

    async fn down(&self, _online: &Online) -> Result<(), DbErr> {
        // Steps that can be run again from their start: `online.add_column(…).run().await?`.
        Err(DbErr::Migration("`down` of `m20251120_184901_index_notes` is not written yet".to_owned()))
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
    }
}
