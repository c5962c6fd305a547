//! Contract, phase 6. A participant stands once in a course, and a ban once in a bot.
//!
//! It is a contract step because old code may write them again. Of several the first one written stays; the others leave
//! for the rejects.
//!
//! Batches that lock the rows that leave, then `SHARE UPDATE EXCLUSIVE` on each table while its unique index is built:
//! reading and writing go on. `down` drops the indexes and puts every row back.

use std::time::Duration;

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::lists::is_too_long;
use crate::{NAME, SOAK_DAYS};

/// Makes participants of a course, and bans of a bot, unique.
#[derive(DeriveMigrationName)]
pub struct Migration;

const PARTICIPANTS: &str = "courseparticipants_unique";
const BANS: &str = "bannedparticipants_unique";

online_migration!(NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online
            .move_to_rejects("courseparticipants", "EXISTS (SELECT FROM courseparticipants AS earlier WHERE earlier.course_id = source.course_id \
                 AND earlier.account_id = source.account_id \
                 AND COALESCE(earlier.chat_id, 0) = COALESCE(source.chat_id, 0) \
                 AND COALESCE(earlier.username, '') = COALESCE(source.username, '') \
                 AND earlier.courseparticipant_id < source.courseparticipant_id)", "stands in its course already")
            .run()
            .await?;
        let together = is_too_long("source", &["course_id", "username"]);
        let too_long = "the names of its course and its user are too long for an index together";
        online.move_to_rejects("courseparticipants", together, too_long).run().await?;
        online
            .move_to_rejects(
                "bannedparticipants",
                "EXISTS (SELECT FROM bannedparticipants AS earlier WHERE earlier.bot_id = source.bot_id \
                 AND earlier.chat_id = source.chat_id AND earlier.excluded = source.excluded \
                 AND earlier.bannedparticipant_id < source.bannedparticipant_id)",
                "its bot has an earlier ban of this chat",
            )
            .run()
            .await?;
        online
            .create_index(
                PARTICIPANTS,
                "courseparticipants",
                ["course_id", "account_id", "COALESCE(chat_id, 0)", "COALESCE(username, '')"],
            )
            .unique()
            .run()
            .await?;
        online
            .create_index(BANS, "bannedparticipants", ["bot_id", "chat_id", "excluded"])
            .unique()
            .run()
            .await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index(BANS).await?;
        online.drop_index(PARTICIPANTS).await?;
        online.restore_rejects("bannedparticipants").await?;
        online.restore_rejects("courseparticipants").await?;
        online.forget_rejects().await?;
        Ok(())
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::contract(Duration::from_secs(SOAK_DAYS * 24 * 60 * 60))
            .verify(Check::index(PARTICIPANTS))
            .verify(Check::index(BANS))
    }
}
