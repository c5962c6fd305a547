//! Expand, phase 5. Builds the indexes of the tables that came with the tenants.
//!
//! Concurrently, then gathers statistics: reading and writing go on. `account (slug)` and `enrollment_token (token)` have
//! their unique constraints already and get no second index. `down` drops the indexes and loses nothing.

use migration_kit::{Details, Index, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::lists::create_indexes;

/// Builds the indexes of `account`, `account_member`, `bot`, `course_deployment` and `enrollment_token`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [Index; 13] = [
    Index::new("idx_account_active", "account", &["is_active"]),
    Index::new("idx_account_member_account", "account_member", &["account_id"]),
    Index::new("idx_account_member_telegram", "account_member", &["telegram_user_id"]),
    Index::new("idx_account_member_active", "account_member", &["account_id", "is_active"]),
    Index::new("idx_bot_account", "bot", &["account_id"]),
    Index::new("idx_bot_name", "bot", &["bot_name"]),
    Index::new("idx_bot_active", "bot", &["account_id", "is_active"]),
    Index::new("idx_deployment_course", "course_deployment", &["course_id", "account_id"]),
    Index::new("idx_deployment_bot", "course_deployment", &["bot_id"]),
    Index::new("idx_deployment_active", "course_deployment", &["bot_id", "is_active"]),
    Index::new("idx_token_deployment", "enrollment_token", &["deployment_id"]),
    Index::new("idx_token_active", "enrollment_token", &["deployment_id", "is_active"]),
    Index::new("idx_token_expires", "enrollment_token", &["expires_at"]).filter("expires_at IS NOT NULL"),
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
        Details::expand().verify_all(&INDEXES)
    }
}
