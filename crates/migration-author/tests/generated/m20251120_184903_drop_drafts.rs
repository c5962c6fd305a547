//! Drops drafts.
//!
//! Contract. Not written yet: the strongest table lock and for how long it is held, and what `down` loses.

use std::time::Duration;

use migration_kit::{Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// How long old code may still run.
const SOAK: Duration = Duration::from_secs(24 * 60 * 60);

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        // One statement a call: `manager.get_connection().execute_unprepared("…").await?`.
        Err(DbErr::Migration("`up` of `m20251120_184903_drop_drafts` is not written yet".to_owned()))
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        // One statement a call: `manager.get_connection().execute_unprepared("…").await?`.
        Err(DbErr::Migration("`down` of `m20251120_184903_drop_drafts` is not written yet".to_owned()))
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(SOAK).requires("billing:m20250101_000001_create_orders").requires("mail:m1")
    }
}
