//! Expand, phase 3. Creates the functions that say how a row of the single-tenant application gets its bot, its
//! deployment and its run; triggers and backfills use them from here to the contract steps.
//!
//! Locks no table. `down` drops the functions and loses nothing.

use migration_kit::{Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::{NAME, check, links};

/// Creates the functions that find and make bots and deployments.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.create_functions(&links::FUNCTIONS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_functions(links::FUNCTIONS.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .one_node(crate::links::ONE_NODE)
            .verify(links::functions_exist().until(check::TRIGGERS_GO))
    }
}
