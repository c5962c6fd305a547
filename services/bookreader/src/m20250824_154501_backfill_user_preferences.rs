//! Expand: one row of preferences a user, from `users.reader_settings`, and a trigger that keeps them in step.
//!
//! Strongest lock: SHARE ROW EXCLUSIVE on `users` for the moment in which the trigger is created; the rows are carried
//! over in short batches, which block no update of a user but of the email. The trigger comes first, so that no user
//! written meanwhile is missed. What is carried and who wins stands in `reader_settings`.
//!
//! While the trigger is there, every user has preferences: new application code writes them with
//! `INSERT … ON CONFLICT (user_id) DO UPDATE`.
//!
//! `down` empties `user_preferences`: it loses what new code changed there. `reader_settings` was never touched.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::{NAME, reader_settings};

/// Carries the preferences over.
#[derive(DeriveMigrationName)]
pub struct Migration;

const CONTRACT: &str = "m20250824_154502_drop_reader_settings";

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        reader_settings::keep_in_step(online).await?;
        reader_settings::sweep(online).run().await?;
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        reader_settings::stop_keeping_in_step(online).await?;
        online
            .backfill("user_preferences")
            .statement("DELETE FROM user_preferences AS source WHERE {batch}")
            .run()
            .await?;
        online.forget_rejects().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .loses_on_revert(
                "preferences changed by new code; `reader_settings` says what old code last wrote",
            )
            .lost_rows("user_preferences", "TRUE")
            .verify(Check::trigger("users", reader_settings::TRIGGER).until(CONTRACT))
            .verify(
                Check::none("every user has preferences", reader_settings::WITHOUT_PREFERENCES)
                    .until(CONTRACT),
            )
            .verify(
                Check::none(
                    "every setting that could not be carried over is listed as a reject",
                    reader_settings::not_listed(),
                )
                .until(CONTRACT),
            )
            .verify(reader_settings::differing().until(CONTRACT))
            .verify(
                reader_settings::lost_keys(
                    "settings that the contract step will lose, and how many users have them",
                )
                .until(CONTRACT),
            )
    }
}
