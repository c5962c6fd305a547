//! The backfills that link rows which were there before the triggers.
//!
//! Each may run any number of times, also over rows that are already in the new shape: a link that stands is kept, one
//! that points to nothing, or to what belongs to others, is listed as a reject, emptied and found anew, and what cannot be
//! linked stays where it is and is listed once. Statements read `source` itself in `SET`, never a copy of it, so that a
//! row that the application changes meanwhile is judged as it is then. What is needed once unique indexes stand is
//! [`super::sweep`]'s part.

use migration_kit::rejects::WHOLE_ROW;
use migration_kit::{Backfill, Online, literal};
use sea_orm_migration::prelude::DbErr;

use crate::NAME;

/// The key of a run, as rejects name it.
pub(crate) const RUN_KEY: &str = "jsonb_build_object('run_id', source.run_id)";
/// The key of a ban.
pub(super) const BAN_KEY: &str = "jsonb_build_object('bannedparticipant_id', source.bannedparticipant_id)";
/// The key of a wait.
pub(super) const WAIT_KEY: &str = "jsonb_build_object('waiting_element_id', source.waiting_element_id)";
/// The key of a setting.
pub(super) const SETTING_KEY: &str = "jsonb_build_object('id', source.id)";

/// A column that points to a row of another table.
pub(super) struct Link {
    column: &'static str,
    /// Rows of the other table to which it may point, as a condition in `EXISTS`.
    target: &'static str,
}

pub(super) const BOT: Link = Link {
    column: "bot_id",
    target: "SELECT FROM bot WHERE bot.bot_id = source.bot_id AND bot.account_id = source.account_id",
};
/// Its bot is the one that the run has, or will have by its name.
const DEPLOYMENT: Link = Link {
    column: "deployment_id",
    target: "SELECT FROM course_deployment AS deployment WHERE deployment.deployment_id = source.deployment_id \
             AND deployment.account_id = source.account_id \
             AND deployment.course_id = COALESCE(source.course_id, deployment.course_id) \
             AND deployment.bot_id = CASE WHEN EXISTS (SELECT FROM bot WHERE bot.bot_id = source.bot_id \
             AND bot.account_id = source.account_id) THEN source.bot_id \
             WHEN given_bot_name(source.botname) IS NULL THEN deployment.bot_id \
             ELSE bot_of(source.account_id, source.botname) END",
};
const TOKEN: Link = Link {
    column: "token_id",
    target: "SELECT FROM enrollment_token AS token WHERE token.token_id = source.token_id",
};
const RUN: Link = Link { column: "run_id", target: "SELECT FROM run WHERE run.run_id = source.run_id" };

/// Makes a bot of every name and a deployment of every course.
pub(crate) async fn courses(online: &Online) -> Result<(), DbErr> {
    let key = "jsonb_build_object('course_id', source.course_id, 'bot_name', source.bot_name)";
    make_bots(online.backfill("course"), "course", "bot_name")
        .statement(
            "INSERT INTO course_deployment (course_id, account_id, bot_id) \
             SELECT source.course_id, source.account_id, bot.bot_id FROM course AS source \
             JOIN bot ON bot.bot_id = bot_of(source.account_id, source.bot_name) WHERE {batch} \
             AND octet_length(source.course_id) <= 2600 \
             AND deployment_of(source.course_id, source.account_id, bot.bot_id) IS NULL ORDER BY 1, 2, 3 \
             ON CONFLICT (bot_id, course_id, account_id, environment) DO NOTHING",
        )
        .rejects(nameless(
            "course",
            key,
            "bot_name",
            "names no bot: the course is deployed only by bots whose runs show it",
        ))
        .rejects(format!(
            "SELECT {key} AS key, 'course_id' AS field, source.course_id AS value, \
             'has a name of more than 2600 bytes, which no key takes: the course has no deployment' AS reason, \
             {WHOLE_ROW} FROM course AS source WHERE {{batch}} AND octet_length(source.course_id) > 2600 AND {}",
            unlisted("course", key, "course_id", ""),
        ))
        .run()
        .await?;
    Ok(())
}

/// Links runs to bot and deployment, and makes ended ones inactive.
pub(crate) async fn runs(online: &Online) -> Result<(), DbErr> {
    link_runs(make_bots(unlink_runs(online.backfill("run")), "run", "botname")).run().await?;
    Ok(())
}

/// Empties the links of runs that point to nothing.
pub(super) fn unlink_runs(backfill: Backfill<'_>) -> Backfill<'_> {
    unlink(backfill, "run", RUN_KEY, &[BOT, DEPLOYMENT, TOKEN])
}

/// Links runs whose bots exist, and lists those that cannot be linked.
pub(super) fn link_runs(backfill: Backfill<'_>) -> Backfill<'_> {
    let key = RUN_KEY;
    let unknown_course = format!(
        "SELECT {key} AS key, 'course_id' AS field, source.course_id AS value, \
         CASE WHEN source.course_id IS NULL THEN 'names no course' \
         WHEN octet_length(source.course_id) > 2600 THEN 'names a course of more than 2600 bytes' \
         ELSE 'there is no such course' END \
         || ': the run has no deployment' AS reason, {WHOLE_ROW} FROM run AS source WHERE {{batch}} \
         AND source.deployment_id IS NULL AND (octet_length(source.course_id) > 2600 OR NOT EXISTS (SELECT FROM course \
         WHERE course.course_id = source.course_id AND course.account_id = source.account_id)) AND {}",
        unlisted("run", key, "course_id", ""),
    );
    backfill
        .statement(
            "INSERT INTO course_deployment (course_id, account_id, bot_id) \
             SELECT DISTINCT source.course_id, source.account_id, bot.bot_id FROM run AS source \
             JOIN bot ON bot.bot_id = COALESCE(source.bot_id, bot_of(source.account_id, source.botname)) \
             JOIN course ON course.course_id = source.course_id AND course.account_id = source.account_id \
             WHERE {batch} AND source.deployment_id IS NULL AND octet_length(source.course_id) <= 2600 \
             AND deployment_of(source.course_id, source.account_id, bot.bot_id) IS NULL ORDER BY 1, 2, 3 \
             ON CONFLICT (bot_id, course_id, account_id, environment) DO NOTHING",
        )
        .statement(
            "UPDATE run AS source SET bot_id = COALESCE(source.bot_id, bot_of(source.account_id, source.botname)), \
             deployment_id = COALESCE(source.deployment_id, deployment_of(source.course_id, source.account_id, \
             COALESCE(source.bot_id, bot_of(source.account_id, source.botname)))), \
             is_active = source.is_active AND run_is_active(source.is_ended) \
             WHERE {batch} AND ((source.is_active AND NOT run_is_active(source.is_ended)) \
             OR (source.bot_id IS NULL AND given_bot_name(source.botname) IS NOT NULL) \
             OR (source.deployment_id IS NULL \
                 AND deployment_of(source.course_id, source.account_id, source.bot_id) IS NOT NULL))",
        )
        .rejects(nameless("run", key, "botname", "names no bot: the run escapes the rule of one active run"))
        .rejects(unknown_course)
}

/// Links waits to their bot, and to the newest active run of their chat, course and bot.
pub(crate) async fn waiting_elements(online: &Online) -> Result<(), DbErr> {
    let key = WAIT_KEY;
    let backfill = unlink(online.backfill("waiting_element"), "waiting_element", key, &[BOT, RUN]);
    make_bots(backfill, "waiting_element", "botname")
        .statement(
            "UPDATE waiting_element AS source \
             SET bot_id = COALESCE(source.bot_id, bot_of(source.account_id, source.botname)), \
             run_id = COALESCE(source.run_id, waited_run_of(source.chat_id, source.course_id, \
             COALESCE(source.bot_id, bot_of(source.account_id, source.botname)))) \
             WHERE {batch} AND ((source.bot_id IS NULL AND given_bot_name(source.botname) IS NOT NULL) \
             OR (source.run_id IS NULL \
                 AND waited_run_of(source.chat_id, source.course_id, source.bot_id) IS NOT NULL))",
        )
        .rejects(nameless("waiting_element", key, "botname", "names no bot"))
        .run()
        .await?;
    Ok(())
}

/// Links bans to their bot.
pub(crate) async fn bans(online: &Online) -> Result<(), DbErr> {
    bots_only(online, "bannedparticipants", BAN_KEY, "botname").await
}

/// Links settings to their bot.
pub(crate) async fn settings(online: &Online) -> Result<(), DbErr> {
    bots_only(online, "gen_settings", SETTING_KEY, "bot_name").await
}

/// Forgets what a migration listed, for its `down`, but for values that stand nowhere else any more: links that were
/// emptied, and runs that were made inactive.
pub(crate) async fn forget_rejects(online: &Online, migration: &str) -> Result<(), DbErr> {
    // Stopped before its first reject could be listed, a migration is reverted without the table.
    let is_there = format!("SELECT to_regclass('migration_reject_{NAME}')::text");
    if online.query_text(&is_there).await?.is_none() {
        return Ok(());
    }
    online
        .execute(&format!(
            "DELETE FROM migration_reject_{NAME} WHERE migration = {} AND NOT moved \
             AND field NOT IN ('bot_id', 'deployment_id', 'token_id', 'run_id', 'is_active')",
            literal(migration),
        ))
        .await
}

/// Links a table that names its bot and nothing else.
async fn bots_only(online: &Online, table: &str, key: &str, name_column: &str) -> Result<(), DbErr> {
    make_bots(unlink(online.backfill(table), table, key, &[BOT]), table, name_column)
        .statement(format!(
            "UPDATE {table} AS source SET bot_id = bot_of(source.account_id, source.{name_column}) \
             WHERE {{batch}} AND source.bot_id IS NULL AND given_bot_name(source.{name_column}) IS NOT NULL"
        ))
        .rejects(nameless(table, key, name_column, "names no bot"))
        .run()
        .await?;
    Ok(())
}

/// Makes a bot of every name that has none. In the order of their names, so that two who make bots do not wait crosswise.
pub(super) fn make_bots<'a>(backfill: Backfill<'a>, table: &str, name_column: &str) -> Backfill<'a> {
    backfill.statement(format!(
        "INSERT INTO bot (account_id, bot_name) SELECT DISTINCT source.account_id, source.{name_column} \
         FROM {table} AS source WHERE {{batch}} AND given_bot_name(source.{name_column}) IS NOT NULL \
         AND bot_of(source.account_id, source.{name_column}) IS NULL ORDER BY 1, 2 \
         ON CONFLICT (account_id, bot_name) DO NOTHING"
    ))
}

/// Lists rows whose name names no bot.
fn nameless(table: &str, key: &str, name_column: &str, reason: &str) -> String {
    format!(
        "SELECT {key} AS key, {field} AS field, source.{name_column} AS value, \
         CASE WHEN octet_length(source.{name_column}) > 2000 THEN 'has a bot name of more than 2000 bytes, which ' ELSE '' END \
         || {} AS reason, {WHOLE_ROW} \
         FROM {table} AS source WHERE {{batch}} AND given_bot_name(source.{name_column}) IS NULL AND {}",
        literal(reason),
        unlisted(table, key, name_column, ""),
        field = literal(name_column),
    )
}

/// Lists rows that name another bot than the one that they are linked to; both stay.
pub(super) fn list_misnamed<'a>(
    backfill: Backfill<'a>,
    table: &str,
    key: &str,
    name_column: &str,
) -> Backfill<'a> {
    let same = format!("AND listed.value = source.{name_column}");
    backfill.rejects(format!(
        "SELECT {key} AS key, {field} AS field, source.{name_column} AS value, \
         'names another bot than the one that it is linked to' AS reason, jsonb_build_object('bot_id', source.bot_id) AS row \
         FROM {table} AS source JOIN bot ON bot.bot_id = source.bot_id WHERE {{batch}} \
         AND given_bot_name(source.{name_column}) <> bot.bot_name AND {}",
        unlisted(table, key, name_column, &same),
        field = literal(name_column),
    ))
}

/// Lists links that point to nothing, and empties them.
pub(super) fn unlink<'a>(backfill: Backfill<'a>, table: &str, key: &str, links: &[Link]) -> Backfill<'a> {
    let dangles =
        |Link { column, target }: &Link| format!("(source.{column} IS NOT NULL AND NOT EXISTS ({target}))");
    let listed: Vec<String> = links
        .iter()
        .map(|link| {
            // Another value of the same link is another entry: each is listed before it is gone.
            format!(
                "SELECT {key} AS key, {field} AS field, source.{column}::text AS value, \
                 'points to nothing that belongs to the row' AS reason, {WHOLE_ROW} \
                 FROM {table} AS source WHERE {{batch}} AND {} AND {}",
                dangles(link),
                unlisted(
                    table,
                    key,
                    link.column,
                    &format!("AND listed.value = source.{}::text", link.column)
                ),
                field = literal(link.column),
                column = link.column,
            )
        })
        .collect();
    let emptied: Vec<String> = links
        .iter()
        .map(|link| format!("{0} = CASE WHEN {1} THEN NULL ELSE source.{0} END", link.column, dangles(link)))
        .collect();
    let any: Vec<String> = links.iter().map(dangles).collect();
    backfill.rejects(listed.join(" UNION ALL ")).statement(format!(
        "UPDATE {table} AS source SET {} WHERE {{batch}} AND ({})",
        emptied.join(", "),
        any.join(" OR ")
    ))
}

/// The condition that no earlier migration listed this field of the row, with what else the entry must meet: a sweep
/// does not list it again.
pub(super) fn unlisted(table: &str, key: &str, field: &str, and: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM migration_reject_{NAME} AS listed WHERE listed.table_name = {} \
         AND listed.row_key = {key} AND listed.field = {} {and})",
        literal(table),
        literal(field),
    )
}
