//! Expand, phase 0. Every row of the single-tenant application belongs to account 1.
//!
//! `ACCESS EXCLUSIVE` on each of the eight tables in turn, for the moment that a catalog entry takes: the default is not
//! written into the rows. The column is NOT NULL from the start, so nothing is left to tighten later. `down` drops the
//! column: which account a row belongs to is lost.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::{NAME, TENANT_TABLES};

/// Adds `account_id INTEGER NOT NULL DEFAULT 1` to the tables of the single-tenant application.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        for table in TENANT_TABLES {
            online.add_column(table, "account_id", "INTEGER").not_null().default("1").run().await?;
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        for table in TENANT_TABLES {
            online.drop_column(table, "account_id").await?;
        }
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        TENANT_TABLES.iter().fold(
            Details::expand().loses_on_revert("which account each row belongs to"),
            |details, table| {
                details.lost_rows(*table, "account_id <> 1").verify(Check::column(
                    table,
                    "account_id",
                    "integer not null",
                ))
            },
        )
    }
}
