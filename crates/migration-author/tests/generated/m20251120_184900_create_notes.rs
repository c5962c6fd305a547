//! Creates notes.
//!
//! Expand. Not written yet: the strongest table lock and for how long it is held, and what `down` loses.

use migration_kit::{Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        // One statement a call: `manager.get_connection().execute_unprepared("…").await?`.
        Err(DbErr::Migration("`up` of `m20251120_184900_create_notes` is not written yet".to_owned()))
    }

    async fn down(&self, _manager: &SchemaManager) -> Result<(), DbErr> {
        // One statement a call: `manager.get_connection().execute_unprepared("…").await?`.
        Err(DbErr::Migration("`down` of `m20251120_184900_create_notes` is not written yet".to_owned()))
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
    }
}
