//! Expand, phase 4. Adds the foreign keys that no write of old code can break: its rows belong to account 1, and bots
//! and deployments are found or made by the triggers.
//!
//! Each key on its own: `SHARE ROW EXCLUSIVE` on both tables for a moment, then a validation beside which reading and
//! writing go on. The keys to `course` and to `run` come with the contract steps. `down` drops the keys, each with
//! `ACCESS EXCLUSIVE` on both tables for a moment, and loses nothing.

use migration_kit::{
    Details, ForeignKey, OnDelete, Online, OnlineMigration, ServiceMigration, online_migration,
};
use sea_orm_migration::prelude::*;

use crate::NAME;
use crate::lists::cascading;

/// Adds the foreign keys to `account`, `bot`, `course_deployment` and `enrollment_token`.
#[derive(DeriveMigrationName)]
pub struct Migration;

const FOREIGN_KEYS: [ForeignKey; 17] = [
    cascading("account_member_account_id_fkey", "account_member", &["account_id"], "account"),
    cascading("bot_account_id_fkey", "bot", &["account_id"], "account"),
    cascading("course_account_id_fkey", "course", &["account_id"], "account"),
    cascading("course_deployment_bot_fkey", "course_deployment", &["bot_id"], "bot"),
    cascading(
        "enrollment_token_deployment_fkey",
        "enrollment_token",
        &["deployment_id"],
        "course_deployment",
    ),
    cascading("run_account_id_fkey", "run", &["account_id"], "account"),
    cascading("run_bot_id_fkey", "run", &["bot_id"], "bot"),
    ForeignKey::new("run_deployment_id_fkey", "run", &["deployment_id"], "course_deployment")
        .on_delete(OnDelete::Restrict),
    ForeignKey::new("run_token_id_fkey", "run", &["token_id"], "enrollment_token")
        .on_delete(OnDelete::NoAction),
    cascading("conversation_account_id_fkey", "conversation", &["account_id"], "account"),
    cascading("waiting_element_account_id_fkey", "waiting_element", &["account_id"], "account"),
    cascading("waiting_element_bot_id_fkey", "waiting_element", &["bot_id"], "bot"),
    cascading("bannedparticipants_account_id_fkey", "bannedparticipants", &["account_id"], "account"),
    cascading("bannedparticipants_bot_id_fkey", "bannedparticipants", &["bot_id"], "bot"),
    cascading("courseparticipants_account_id_fkey", "courseparticipants", &["account_id"], "account"),
    cascading("gen_settings_account_id_fkey", "gen_settings", &["account_id"], "account"),
    cascading("gen_settings_bot_id_fkey", "gen_settings", &["bot_id"], "bot"),
];

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.add_foreign_keys(&FOREIGN_KEYS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_foreign_keys(FOREIGN_KEYS.iter().rev()).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts("foreign-key-without-index", "as in the application's own schema")
            .verify_all(&FOREIGN_KEYS)
    }
}
