//! The last sweep: links what old application code wrote since the backfills, although unique indexes stand by now.
//!
//! A row escapes the triggers where its writer's are off (`session_replication_role = replica`: a restored dump, logical
//! replication). It has no bot then, and so no unique index sees it. Once it has one, it may be the second of its kind, so
//! that is settled before it is linked: of runs the newest stays active, of bans the one that has its bot already stays.
//!
//! A row that had its links before, and whose names changed where no trigger fires, cannot be told from one whose link, or whose
//! bot's name, new code has changed. Its links stay if they point to something, its names stay, and it is listed.

use migration_kit::Online;
use sea_orm_migration::prelude::DbErr;

use super::{backfill, one_active};

/// Active runs with a newer one, where one of the two escaped; among the others the unique index leaves none. The bots
/// that escaped runs of the batch name exist.
const OUTDATED: &str = "source.is_active AND ((source.bot_id IS NULL AND EXISTS (SELECT FROM run AS newer \
    WHERE newer.bot_id = bot_of(source.account_id, source.botname) AND newer.chat_id = source.chat_id \
    AND newer.is_active AND newer.run_id > source.run_id)) \
    OR EXISTS (SELECT FROM run AS newer WHERE newer.bot_id IS NULL AND newer.chat_id = source.chat_id \
    AND newer.is_active AND newer.run_id > source.run_id AND bot_of(newer.account_id, newer.botname) \
    = COALESCE(source.bot_id, bot_of(source.account_id, source.botname))))";

/// Escaped bans that their bot has already, or that escaped twice.
const REPEATED_BAN: &str = "source.bot_id IS NULL AND given_bot_name(source.botname) IS NOT NULL \
    AND EXISTS (SELECT FROM bannedparticipants AS other WHERE other.chat_id = source.chat_id \
    AND other.excluded = source.excluded AND (other.bot_id = bot_of(source.account_id, source.botname) \
    OR (other.bot_id IS NULL AND other.account_id = source.account_id AND other.botname = source.botname \
        AND other.bannedparticipant_id < source.bannedparticipant_id)))";

/// Links everything once more; after it, nothing that can be linked is left.
pub(crate) async fn sweep(online: &Online) -> Result<(), DbErr> {
    backfill::courses(online).await?;
    runs(online).await?;
    backfill::waiting_elements(online).await?;
    bans(online).await?;
    backfill::settings(online).await?;
    list_disagreeing(online).await
}

/// Lists rows whose names say something else than their links.
async fn list_disagreeing(online: &Online) -> Result<(), DbErr> {
    let waits = backfill::WAIT_KEY;
    let other_run = format!(
        "SELECT {waits} AS key, '' AS field, source.run_id::text AS value, \
         'waits for a run of another chat, course or bot' AS reason, to_jsonb(source) AS row \
         FROM waiting_element AS source JOIN run ON run.run_id = source.run_id WHERE {{batch}} \
         AND (run.chat_id <> source.chat_id OR run.course_id <> source.course_id OR run.bot_id <> source.bot_id) AND {}",
        backfill::unlisted("waiting_element", waits, "", "AND listed.value = source.run_id::text"),
    );
    for (table, key, name_column) in [
        ("run", backfill::RUN_KEY, "botname"),
        ("waiting_element", waits, "botname"),
        ("bannedparticipants", backfill::BAN_KEY, "botname"),
        ("gen_settings", backfill::SETTING_KEY, "bot_name"),
    ] {
        let mut listing = backfill::list_misnamed(online.backfill(table), table, key, name_column);
        if table == "waiting_element" {
            listing = listing.rejects(other_run.clone());
        }
        listing.run().await?;
    }
    Ok(())
}

/// Twice over all runs: what is emptied or ended in the second half of them decides about the first half too.
async fn runs(online: &Online) -> Result<(), DbErr> {
    backfill::unlink_runs(online.backfill("run"))
        .statement(
            "UPDATE run AS source SET is_active = FALSE \
             WHERE {batch} AND source.is_active AND NOT run_is_active(source.is_ended)",
        )
        .run()
        .await?;
    let backfill = backfill::make_bots(online.backfill("run"), "run", "botname");
    let backfill = one_active::list_chatless(one_active::outdate(backfill, OUTDATED));
    backfill::link_runs(backfill).run().await?;
    Ok(())
}

async fn bans(online: &Online) -> Result<(), DbErr> {
    let bans = online.backfill("bannedparticipants");
    backfill::unlink(bans, "bannedparticipants", backfill::BAN_KEY, &[backfill::BOT]).run().await?;
    let reason = "its bot has another ban of this chat";
    online.move_to_rejects("bannedparticipants", REPEATED_BAN, reason).run().await?;
    backfill::bans(online).await
}
