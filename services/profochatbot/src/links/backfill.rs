//! The backfills that link rows which were there before the triggers, and their sweep in the contract steps.
//!
//! Each may run any number of times, also over rows that are already in the new shape: a link that stands is kept, one
//! that points to nothing is listed as a reject, emptied and found anew, and what cannot be linked stays where it is and
//! is listed once. Statements read `source` itself in `SET`, never a copy of it, so that a row that the application
//! changes meanwhile is judged as it is then.

use migration_kit::{Online, literal};
use sea_orm_migration::prelude::DbErr;

use crate::NAME;

/// A column that points to a row of another table.
struct Link {
    column: &'static str,
    /// Rows of the other table to which it may point, as a condition in `EXISTS`.
    target: &'static str,
}

const BOT: Link = Link {
    column: "bot_id",
    target: "SELECT FROM bot WHERE bot.bot_id = source.bot_id AND bot.account_id = source.account_id",
};
const DEPLOYMENT: Link = Link {
    column: "deployment_id",
    target: "SELECT FROM course_deployment AS deployment WHERE deployment.deployment_id = source.deployment_id \
             AND deployment.account_id = source.account_id \
             AND deployment.course_id = COALESCE(source.course_id, deployment.course_id) \
             AND deployment.bot_id = COALESCE(source.bot_id, deployment.bot_id)",
};
const TOKEN: Link = Link {
    column: "token_id",
    target: "SELECT FROM enrollment_token AS token WHERE token.token_id = source.token_id",
};
const RUN: Link = Link { column: "run_id", target: "SELECT FROM run WHERE run.run_id = source.run_id" };

/// Makes a bot of every name and a deployment of every course.
pub(crate) async fn courses(online: &Online) -> Result<(), DbErr> {
    let key = "jsonb_build_object('course_id', source.course_id, 'bot_name', source.bot_name)";
    online
        .backfill("course")
        .statement(bots_of("course", "bot_name"))
        .statement(
            "INSERT INTO course_deployment (course_id, account_id, bot_id) \
             SELECT source.course_id, source.account_id, bot.bot_id FROM course AS source \
             JOIN bot ON bot.bot_id = bot_of(source.account_id, source.bot_name) WHERE {batch} \
             AND deployment_of(source.course_id, source.account_id, bot.bot_id) IS NULL ORDER BY 1, 2, 3 \
             ON CONFLICT (bot_id, course_id, account_id, environment) DO NOTHING",
        )
        .rejects(nameless(
            "course",
            key,
            "bot_name",
            "names no bot: the course is deployed only by bots whose runs show it",
        ))
        .run()
        .await?;
    Ok(())
}

/// Links runs to bot and deployment, and ends those that are ended.
pub(crate) async fn runs(online: &Online) -> Result<(), DbErr> {
    let key = "jsonb_build_object('run_id', source.run_id)";
    let (listed, emptied) = dangling("run", key, &[BOT, DEPLOYMENT, TOKEN]);
    let unknown_course = format!(
        "SELECT {key} AS key, 'course_id' AS field, source.course_id AS value, \
         CASE WHEN source.course_id IS NULL THEN 'names no course' ELSE 'there is no such course' END \
         || ': the run has no deployment' AS reason, to_jsonb(source) AS row FROM run AS source WHERE {{batch}} \
         AND source.deployment_id IS NULL AND NOT EXISTS (SELECT FROM course \
         WHERE course.course_id = source.course_id AND course.account_id = source.account_id) AND {}",
        unlisted("run", key, "course_id"),
    );
    online
        .backfill("run")
        .rejects(listed)
        .statement(emptied)
        .statement(bots_of("run", "botname"))
        .statement(
            "INSERT INTO course_deployment (course_id, account_id, bot_id) \
             SELECT DISTINCT source.course_id, source.account_id, bot.bot_id FROM run AS source \
             JOIN bot ON bot.bot_id = COALESCE(source.bot_id, bot_of(source.account_id, source.botname)) \
             JOIN course ON course.course_id = source.course_id AND course.account_id = source.account_id \
             WHERE {batch} AND source.deployment_id IS NULL \
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
        .run()
        .await?;
    Ok(())
}

/// Links waits to their bot, and to the newest active run of their chat, course and bot.
pub(crate) async fn waiting_elements(online: &Online) -> Result<(), DbErr> {
    let key = "jsonb_build_object('waiting_element_id', source.waiting_element_id)";
    let (listed, emptied) = dangling("waiting_element", key, &[BOT, RUN]);
    online
        .backfill("waiting_element")
        .rejects(listed)
        .statement(emptied)
        .statement(bots_of("waiting_element", "botname"))
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
    let key = "jsonb_build_object('bannedparticipant_id', source.bannedparticipant_id)";
    bots_only(online, "bannedparticipants", key, "botname").await
}

/// Links settings to their bot.
pub(crate) async fn settings(online: &Online) -> Result<(), DbErr> {
    bots_only(online, "gen_settings", "jsonb_build_object('id', source.id)", "bot_name").await
}

/// Links what old application code wrote since; after it, nothing that can be linked is left.
pub(crate) async fn sweep(online: &Online) -> Result<(), DbErr> {
    courses(online).await?;
    runs(online).await?;
    waiting_elements(online).await?;
    bans(online).await?;
    settings(online).await
}

/// Links a table that names its bot and nothing else.
async fn bots_only(online: &Online, table: &str, key: &str, name_column: &str) -> Result<(), DbErr> {
    let (listed, emptied) = dangling(table, key, &[BOT]);
    online
        .backfill(table)
        .rejects(listed)
        .statement(emptied)
        .statement(bots_of(table, name_column))
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
fn bots_of(table: &str, name_column: &str) -> String {
    format!(
        "INSERT INTO bot (account_id, bot_name) SELECT DISTINCT source.account_id, source.{name_column} \
         FROM {table} AS source WHERE {{batch}} AND given_bot_name(source.{name_column}) IS NOT NULL \
         AND bot_of(source.account_id, source.{name_column}) IS NULL ORDER BY 1, 2 \
         ON CONFLICT (account_id, bot_name) DO NOTHING"
    )
}

/// Lists rows whose name names no bot.
fn nameless(table: &str, key: &str, name_column: &str, reason: &str) -> String {
    format!(
        "SELECT {key} AS key, {field} AS field, source.{name_column} AS value, {} AS reason, to_jsonb(source) AS row \
         FROM {table} AS source WHERE {{batch}} AND given_bot_name(source.{name_column}) IS NULL AND {}",
        literal(reason),
        unlisted(table, key, name_column),
        field = literal(name_column),
    )
}

/// Two statements: one lists links that point to nothing, the other empties them.
fn dangling(table: &str, key: &str, links: &[Link]) -> (String, String) {
    let dangles =
        |Link { column, target }: &Link| format!("(source.{column} IS NOT NULL AND NOT EXISTS ({target}))");
    let listed: Vec<String> = links
        .iter()
        .map(|link| {
            format!(
                "SELECT {key} AS key, {field} AS field, source.{column}::text AS value, \
                 'points to nothing that belongs to the row' AS reason, to_jsonb(source) AS row \
                 FROM {table} AS source WHERE {{batch}} AND {} AND {}",
                dangles(link),
                unlisted(table, key, link.column),
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
    (
        listed.join(" UNION ALL "),
        format!(
            "UPDATE {table} AS source SET {} WHERE {{batch}} AND ({})",
            emptied.join(", "),
            any.join(" OR ")
        ),
    )
}

/// The condition that no earlier migration listed this field of the row: a sweep does not list it again.
fn unlisted(table: &str, key: &str, field: &str) -> String {
    format!(
        "NOT EXISTS (SELECT FROM migration_reject_{NAME} AS listed WHERE listed.table_name = {} \
         AND listed.row_key = {key} AND listed.field = {})",
        literal(table),
        literal(field),
    )
}
