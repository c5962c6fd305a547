//! Adds tags.
//!
//! Expand. Not written yet: the strongest table lock and for how long it is held, and what `down` loses.

use migration_kit::sql::{SqlMigration, from_files};
use migration_kit::{Details, ServiceMigration};
use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Its statements, in both directions.
const FILES: [(&str, &[u8]); 2] = [
    ("m20251120_184902_add_tags.up.sql", include_bytes!("m20251120_184902_add_tags.up.sql")),
    ("m20251120_184902_add_tags.down.sql", include_bytes!("m20251120_184902_add_tags.down.sql")),
];

fn statements() -> Result<SqlMigration, DbErr> {
    let read = from_files(FILES).map_err(|error| DbErr::Migration(error.to_string()))?;
    read.into_iter().next().ok_or_else(|| DbErr::Migration("there are no statements".to_owned()))
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        statements().ok()?.use_transaction()
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        statements()?.up(manager).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        statements()?.down(manager).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
    }
}
