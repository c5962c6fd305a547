//! Expand, phase 5. Builds the indexes of `run`; the migrations after this one look runs up by bot and chat.
//!
//! Concurrently, then gathers statistics: reading and writing go on. Built after the columns were filled, so that filling
//! them left the indexes alone. `down` drops the indexes and loses nothing.

use migration_kit::{Details, Index, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::lists::{create_indexes, fit_indexes};

/// Builds the indexes of `run`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [Index; 7] = [
    Index::new("idx_run_account", "run", &["account_id"]),
    Index::new("idx_run_bot", "run", &["bot_id"]),
    Index::new("idx_run_deployment", "run", &["deployment_id"]),
    Index::new("idx_run_chat", "run", &["bot_id", "chat_id"]),
    Index::new("idx_run_course", "run", &["course_id", "account_id"]),
    Index::new("idx_run_active", "run", &["bot_id", "is_active"]),
    Index::new("idx_run_ended", "run", &["is_ended", "ended_at"]),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        create_indexes(online, &INDEXES).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_indexes(INDEXES.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        fit_indexes(&["run"]).fold(Details::expand(), Details::guard).verify_all(&INDEXES)
    }
}
