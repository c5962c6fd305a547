//! Expand, phase 5. Builds the indexes of the tables that came with the tenants.
//!
//! Concurrently, then gathers statistics: reading and writing go on. `account (slug)` and `enrollment_token (token)` have
//! their unique constraints already and get no second index. `down` drops the indexes and loses nothing.

use migration_kit::{Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::index::{self, Index, index};

/// Builds the indexes of `account`, `account_member`, `bot`, `course_deployment` and `enrollment_token`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [Index; 13] = [
    index("idx_account_active", "account", &["is_active"]),
    index("idx_account_member_account", "account_member", &["account_id"]),
    index("idx_account_member_telegram", "account_member", &["telegram_user_id"]),
    index("idx_account_member_active", "account_member", &["account_id", "is_active"]),
    index("idx_bot_account", "bot", &["account_id"]),
    index("idx_bot_name", "bot", &["bot_name"]),
    index("idx_bot_active", "bot", &["account_id", "is_active"]),
    index("idx_deployment_course", "course_deployment", &["course_id", "account_id"]),
    index("idx_deployment_bot", "course_deployment", &["bot_id"]),
    index("idx_deployment_active", "course_deployment", &["bot_id", "is_active"]),
    index("idx_token_deployment", "enrollment_token", &["deployment_id"]),
    index("idx_token_active", "enrollment_token", &["deployment_id", "is_active"]),
    index("idx_token_expires", "enrollment_token", &["expires_at"]).filtered("expires_at IS NOT NULL"),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        index::create(online, &INDEXES).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        index::drop(online, &INDEXES).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        index::verify(Details::expand(), &INDEXES)
    }
}
