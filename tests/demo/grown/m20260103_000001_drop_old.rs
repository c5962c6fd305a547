//! Drops old.
//!
//! Contract. From the difference between the entities and the schema:
//! - renames `note.headline` to `subtitle`
//! - makes `note.rank` `bigint` instead of `integer`
//! - makes `note.shelf` refuse null
//! - makes `note.token` refuse null
//! - makes `note.lang` refuse null
//! - drops `note.legacy`
//!
//! Strongest lock: ACCESS EXCLUSIVE on `note` while all of it is written anew.
//! It loses the values of `note.legacy`.
//! `down` loses nothing.

use std::time::Duration;

use migration_kit::{Check, Details, LockMode, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

/// The migration.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// How long old code may still run.
const SOAK: Duration = Duration::from_secs(24 * 60 * 60);

online_migration!("grown", Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online
            .brief("ALTER TABLE note RENAME COLUMN headline TO subtitle")
            .locking("note", LockMode::AccessExclusive)
            .unless(
                "SELECT count(*) = 1 FROM pg_attribute WHERE attrelid = \
                 to_regclass('note') AND attname = 'subtitle'",
            )
            .run()
            .await?;
        // It writes the whole table anew under a lock that nothing passes, and gives up if that is not brief: for a
        // large table add a column of the new type, carry values over, and drop the old one.
        online
            .brief("ALTER TABLE note ALTER COLUMN rank TYPE bigint")
            .locking("note", LockMode::AccessExclusive)
            .unless(
                "SELECT bool_and(format_type(atttypid, atttypmod) = 'bigint') FROM \
                 pg_attribute WHERE attrelid = to_regclass('note') AND attname = 'rank'",
            )
            .run()
            .await?;
        online.set_not_null("note", "shelf").await?;
        online.set_not_null("note", "token").await?;
        online.set_not_null("note", "lang").await?;
        online.drop_column("note", "legacy").await?;
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.add_column("note", "legacy", "date").run().await?;
        online.drop_not_null("note", "lang").await?;
        online.drop_not_null("note", "token").await?;
        online.drop_not_null("note", "shelf").await?;
        online
            .brief("ALTER TABLE note ALTER COLUMN rank TYPE integer")
            .locking("note", LockMode::AccessExclusive)
            .unless(
                "SELECT bool_and(format_type(atttypid, atttypmod) = 'integer') FROM \
                 pg_attribute WHERE attrelid = to_regclass('note') AND attname = 'rank'",
            )
            .run()
            .await?;
        online
            .brief("ALTER TABLE note RENAME COLUMN subtitle TO headline")
            .locking("note", LockMode::AccessExclusive)
            .unless(
                "SELECT count(*) = 1 FROM pg_attribute WHERE attrelid = \
                 to_regclass('note') AND attname = 'headline'",
            )
            .run()
            .await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(SOAK)
            .loses("the values of `note.legacy`")
            .verify(Check::no_column("note", "headline"))
            .verify(Check::holds(
                "`note.rank` is `bigint`",
                "SELECT bool_and(format_type(atttypid, atttypmod) = 'bigint') FROM \
                 pg_attribute WHERE attrelid = to_regclass('note') AND attname = 'rank'",
            ))
            .verify(Check::column("note", "shelf", "integer not null"))
            .verify(Check::column("note", "token", "uuid not null"))
            .verify(Check::column("note", "lang", "character varying(2) not null"))
            .verify(Check::no_column("note", "legacy"))
    }
}
