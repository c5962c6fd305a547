//! Expand, phase 5. Builds the indexes of conversations, waits, bans and settings.
//!
//! Concurrently, then gathers statistics: reading and writing go on. `conversation` is the long one: each of its indexes
//! reads the whole table. Bans by bot, chat and `excluded` get their unique index later and no second one. `down` drops
//! the indexes and loses nothing.

use migration_kit::{Details, Index, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::lists::{create_indexes, fit_indexes};

/// Builds the indexes of `conversation`, `waiting_element`, `bannedparticipants` and `gen_settings`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const INDEXES: [Index; 18] = [
    Index::new("idx_conversation_account", "conversation", &["account_id"]),
    Index::new("idx_conversation_run", "conversation", &["run_id"]),
    Index::new("idx_conversation_chat", "conversation", &["chat_id"]),
    Index::new("idx_conversation_course", "conversation", &["course_id", "account_id"]),
    Index::new("idx_conversation_element", "conversation", &["course_id", "account_id", "element_id"]),
    Index::new("idx_conversation_date", "conversation", &["date_inserted DESC"]),
    Index::new("idx_conversation_role", "conversation", &["run_id", "role"]),
    Index::new("idx_waiting_account", "waiting_element", &["account_id"]),
    Index::new("idx_waiting_bot", "waiting_element", &["bot_id"]),
    Index::new("idx_waiting_run", "waiting_element", &["run_id"]),
    Index::new("idx_waiting_active", "waiting_element", &["is_waiting", "waiting_till_date"])
        .filter("is_waiting = TRUE"),
    Index::new("idx_waiting_date", "waiting_element", &["waiting_till_date"]),
    Index::new("idx_banned_account", "bannedparticipants", &["account_id"]),
    Index::new("idx_banned_bot", "bannedparticipants", &["bot_id"]),
    Index::new("idx_banned_active", "bannedparticipants", &["bot_id", "excluded"]).filter("excluded = 0"),
    Index::new("idx_gen_settings_account", "gen_settings", &["account_id"]),
    Index::new("idx_gen_settings_bot", "gen_settings", &["bot_id"]),
    Index::new("idx_gen_settings_key", "gen_settings", &["account_id", "bot_id", "s_key"]),
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
        fit_indexes(&["conversation", "gen_settings"])
            .fold(Details::expand(), Details::guard)
            .verify_all(&INDEXES)
    }
}
