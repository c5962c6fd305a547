//! Expand, phase 3. Creates the functions that say how a row of the single-tenant application gets its bot, its
//! deployment and its run; triggers and backfills use them from here to the contract steps.
//!
//! Locks no table. `down` drops the functions and loses nothing.

use migration_kit::{Details, Online, ServiceMigration};
use sea_orm_migration::prelude::*;

use crate::{NAME, links};

/// Creates the functions that find and make bots and deployments.
#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        links::create_functions(&Online::new(manager, NAME, self.name()).await?).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        links::drop_functions(&Online::new(manager, NAME, self.name()).await?).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand().verify(links::functions_exist().until("m20260201_000004_drop_default_account"))
    }
}
