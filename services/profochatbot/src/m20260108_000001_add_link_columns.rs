//! Expand, phase 3. Adds the columns by which runs, waits, bans and settings will know their bot, deployment and run.
//!
//! `ACCESS EXCLUSIVE` on `run`, `waiting_element`, `bannedparticipants` and `gen_settings`, per column for the moment
//! that a catalog entry takes; the migrations after this one fill them. Times of rows that exist stay NULL. `down` drops
//! the columns and what the application wrote into them.

use migration_kit::{Column, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;

/// Adds the new columns of `run`, `waiting_element`, `bannedparticipants` and `gen_settings`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [Column; 17] = [
    Column::new("run", "bot_id", "integer"),
    Column::new("run", "deployment_id", "integer"),
    Column::new("run", "token_id", "integer"),
    Column::new("run", "is_active", "boolean").not_null("TRUE"),
    Column::new("run", "ended_at", "timestamp without time zone"),
    Column::new("run", "utm_medium", "text"),
    Column::new("run", "utm_term", "text"),
    Column::new("run", "utm_content", "text"),
    Column::new("run", "metadata", "jsonb"),
    Column::new("waiting_element", "bot_id", "integer"),
    Column::new("waiting_element", "run_id", "integer"),
    Column::new("waiting_element", "created_at", "timestamp without time zone").default_for_new_rows("now()"),
    Column::new("bannedparticipants", "bot_id", "integer"),
    Column::new("bannedparticipants", "metadata", "jsonb"),
    Column::new("gen_settings", "bot_id", "integer"),
    Column::new("gen_settings", "created_at", "timestamp without time zone").default_for_new_rows("now()"),
    Column::new("gen_settings", "updated_at", "timestamp without time zone").default_for_new_rows("now()"),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.add_columns(&COLUMNS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_columns(COLUMNS.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts(
                "timestamp-without-zone",
                "as in the older tables, with which the application compares them",
            )
            .loses_on_revert("the enrollment tokens, further campaign figures and metadata of runs and bans")
            .verify_all(&COLUMNS)
    }
}
