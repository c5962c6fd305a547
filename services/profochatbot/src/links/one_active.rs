//! The rule of one active run: of the active runs of a chat with a bot only the newest stays active.
//!
//! Responsible for making older runs inactive, listed one by one so that `down` makes exactly those active again: that
//! new application code has made a run inactive itself cannot be told from the row. Rows that are written later are the
//! trigger's part; what the trigger makes inactive is not listed.

use migration_kit::rejects::WHOLE_ROW;
use migration_kit::{Backfill, Online, literal};
use sea_orm_migration::prelude::DbErr;

use super::backfill::{RUN_KEY, unlisted};
use crate::NAME;

/// Makes the runs inactive for which the condition over `source` holds, and lists them.
pub(crate) fn outdate<'a>(backfill: Backfill<'a>, condition: &str) -> Backfill<'a> {
    backfill
        .notes(format!(
            "SELECT {RUN_KEY} AS key, 'is_active' AS field, 'true' AS value, {} AS reason, NULL::jsonb AS row \
             FROM run AS source WHERE {{batch}} AND {condition}",
            literal("its chat has a newer active run with the bot: this one is not active any more"),
        ))
        .statement(format!("UPDATE run AS source SET is_active = FALSE WHERE {{batch}} AND {condition}"))
}

/// Lists active runs that name no chat.
pub(crate) fn list_chatless(backfill: Backfill<'_>) -> Backfill<'_> {
    backfill.rejects(format!(
        "SELECT {RUN_KEY} AS key, 'chat_id' AS field, NULL::text AS value, \
         'names no chat: the run escapes the rule of one active run' AS reason, {WHOLE_ROW} \
         FROM run AS source WHERE {{batch}} AND source.is_active AND source.chat_id IS NULL AND {}",
        unlisted("run", RUN_KEY, "chat_id", ""),
    ))
}

/// Makes the listed runs active again, unless they were ended since, and takes them off the list.
pub(crate) async fn restore(online: &Online) -> Result<(), DbErr> {
    let listed =
        format!("listed.table_name = 'run' AND listed.field = 'is_active' AND listed.row_key = {RUN_KEY}");
    online
        .backfill("run")
        .statement(format!(
            "UPDATE run AS source SET is_active = TRUE FROM migration_reject_{NAME} AS listed \
             WHERE {{batch}} AND {listed} AND run_is_active(source.is_ended)"
        ))
        .statement(format!(
            "DELETE FROM migration_reject_{NAME} AS listed USING run AS source WHERE {{batch}} AND {listed}"
        ))
        .run()
        .await?;
    Ok(())
}
