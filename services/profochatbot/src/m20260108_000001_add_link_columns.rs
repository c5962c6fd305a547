//! Expand, phase 3. Adds the columns by which runs, waits, bans and settings will know their bot, deployment and run.
//!
//! `ACCESS EXCLUSIVE` on `run`, `waiting_element`, `bannedparticipants` and `gen_settings`, per column for the moment
//! that a catalog entry takes; the migrations after this one fill them. Times of rows that exist stay NULL. `down` drops
//! the columns and what the application wrote into them.

use migration_kit::{Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::column::{self, Column, Filled, column};

/// Adds the new columns of `run`, `waiting_element`, `bannedparticipants` and `gen_settings`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [Column; 17] = [
    column("run", "bot_id", "integer", Filled::Null),
    column("run", "deployment_id", "integer", Filled::Null),
    column("run", "token_id", "integer", Filled::Null),
    column("run", "is_active", "boolean", Filled::Always("TRUE")),
    column("run", "ended_at", "timestamp without time zone", Filled::Null),
    column("run", "utm_medium", "text", Filled::Null),
    column("run", "utm_term", "text", Filled::Null),
    column("run", "utm_content", "text", Filled::Null),
    column("run", "metadata", "jsonb", Filled::Null),
    column("waiting_element", "bot_id", "integer", Filled::Null),
    column("waiting_element", "run_id", "integer", Filled::Null),
    column("waiting_element", "created_at", "timestamp without time zone", Filled::FromNowOn("now()")),
    column("bannedparticipants", "bot_id", "integer", Filled::Null),
    column("bannedparticipants", "metadata", "jsonb", Filled::Null),
    column("gen_settings", "bot_id", "integer", Filled::Null),
    column("gen_settings", "created_at", "timestamp without time zone", Filled::FromNowOn("now()")),
    column("gen_settings", "updated_at", "timestamp without time zone", Filled::FromNowOn("now()")),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        column::add(online, &COLUMNS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        column::drop(online, &COLUMNS).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let details = Details::expand()
            .loses_on_revert("the enrollment tokens, further campaign figures and metadata of runs and bans");
        column::verify(details, &COLUMNS)
    }
}
