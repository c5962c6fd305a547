//! The names that the single-tenant application knows rows by, for rows that new code writes without them.
//!
//! Responsible for the triggers that write the names while old code still reads them, and for writing them afterwards where
//! the names come back. A name that is given is kept. Deliberately not here: finding a bot by its name, which is the way
//! of [`super::trigger`] and ends earlier.

use migration_kit::rejects::WHOLE_ROW;
use migration_kit::{Online, Trigger, literal};
use sea_orm_migration::prelude::DbErr;

use super::backfill::unlisted;

/// The body of a trigger that takes the name from the bot: where none is given, and where the bot is changed alone.
macro_rules! named_by_bot {
    ($column:literal) => {
        concat!(
            "IF TG_OP = 'INSERT' THEN
            NEW.",
            $column,
            " := COALESCE(NEW.",
            $column,
            ",
                (SELECT bot.bot_name FROM {schema}.bot WHERE bot.bot_id = NEW.bot_id));
        ELSIF NEW.bot_id IS DISTINCT FROM OLD.bot_id AND NEW.",
            $column,
            " IS NOT DISTINCT FROM OLD.",
            $column,
            " THEN
            NEW.",
            $column,
            " := COALESCE(
                (SELECT bot.bot_name FROM {schema}.bot WHERE bot.bot_id = NEW.bot_id), NEW.",
            $column,
            ");
        END IF;
        RETURN NEW;"
        )
    };
}

/// When such a trigger fires: after the one that finds the bot, which comes first by its name.
const BY_BOT: &str = "BEFORE INSERT OR UPDATE OF bot_id";

/// The triggers. A setting gets its number, too: the next one, as the single-tenant application counts, after those that left for the
/// rejects, too, which are put back with their numbers; who writes settings without numbers takes turns.
pub(crate) const ALL: [Trigger; 8] = [
    Trigger::new("run_name", "run", BY_BOT, named_by_bot!("botname")),
    Trigger::new("waiting_element_name", "waiting_element", BY_BOT, named_by_bot!("botname")),
    Trigger::new("bannedparticipants_name", "bannedparticipants", BY_BOT, named_by_bot!("botname")),
    Trigger::new("gen_settings_name", "gen_settings", BY_BOT, named_by_bot!("bot_name")),
    Trigger::new("gen_settings_number", "gen_settings", "BEFORE INSERT", "IF NEW.id IS NULL THEN
            PERFORM pg_catalog.pg_advisory_xact_lock(pg_catalog.hashoid(TG_RELID), 0);
            NEW.id := (SELECT GREATEST(COALESCE(max(used.id), 0), 0) + 1 FROM (SELECT setting.id FROM {schema}.gen_settings AS setting
                UNION ALL SELECT (moved.row_data ->> 'id')::integer FROM {schema}.migration_reject_profochatbot AS moved
                WHERE moved.migration = 'm20260401_000001_normalize_settings' AND moved.table_name = 'gen_settings' AND moved.moved) AS used
                WHERE used.id <= 2146483647);
        END IF;
        RETURN NEW;"),
    Trigger::new("courseparticipants_name", "courseparticipants", "BEFORE INSERT OR UPDATE OF username", "NEW.username := COALESCE(NEW.username, '');
        RETURN NEW;"),
    Trigger::new("course_name", "course", "BEFORE INSERT OR UPDATE OF bot_name", "NEW.bot_name := COALESCE(NEW.bot_name, '');
        RETURN NEW;"),
    // Of a course that several bots have copies of, only who writes the element knows which copy it belongs to.
    Trigger::new("course_element_name", "course_element", "BEFORE INSERT", "NEW.bot_name := COALESCE(NEW.bot_name, (SELECT max(course.bot_name) FROM {schema}.course
            WHERE course.course_id = NEW.course_id AND course.account_id = NEW.account_id HAVING count(*) = 1));
        RETURN NEW;"),
];

/// Writes the names into rows that were written without them, as the triggers would have. A course gets the name of
/// the bot that deployed it first; a name that another account's course has under the same bot gets its account added
/// and is listed, because both cannot have it.
pub(crate) async fn write(online: &Online) -> Result<(), DbErr> {
    let by_bot = [
        ("run", "botname"),
        ("waiting_element", "botname"),
        ("bannedparticipants", "botname"),
        ("gen_settings", "bot_name"),
    ];
    for (table, column) in by_bot {
        let named = format!(
            "UPDATE {table} AS source SET {column} = (SELECT bot.bot_name FROM bot WHERE bot.bot_id = source.bot_id) \
             WHERE {{batch}} AND source.{column} IS NULL AND source.bot_id IS NOT NULL"
        );
        online.backfill(table).statement(named).run().await?;
    }
    let participants =
        "UPDATE courseparticipants AS source SET username = '' WHERE {batch} AND source.username IS NULL";
    online.backfill("courseparticipants").statement(participants).run().await?;
    let courses = "UPDATE course AS source SET bot_name = COALESCE((SELECT bot.bot_name FROM course_deployment AS deployment \
         JOIN bot USING (bot_id) WHERE deployment.course_id = source.course_id \
         AND deployment.account_id = source.account_id ORDER BY deployment.deployment_id LIMIT 1), '') \
         WHERE {batch} AND source.bot_name IS NULL";
    online.backfill("course").statement(courses).run().await?;
    tell_courses_apart(online).await?;
    let elements = format!(
        "UPDATE course_element AS source SET bot_name = course.bot_name FROM course WHERE {{batch}} \
         AND source.bot_name IS NULL AND course.course_id = source.course_id AND course.account_id = source.account_id \
         AND {}",
        unlisted("course_element", ELEMENT_KEY, "bot_name", ""),
    );
    online.backfill("course_element").statement(elements).run().await?;
    Ok(())
}

const ELEMENT_KEY: &str = "jsonb_build_object('course_element_id', source.course_element_id)";

/// Lists the elements that have no bot's name while names are still written: going back, they keep none.
pub(crate) async fn list_nameless_elements(online: &Online) -> Result<(), DbErr> {
    let nameless = format!(
        "SELECT {ELEMENT_KEY} AS key, 'bot_name' AS field, NULL::text AS value, 'has no bot''s name and keeps none' AS reason, \
         NULL::jsonb AS row FROM course_element AS source WHERE {{batch}} AND source.bot_name IS NULL"
    );
    online.backfill("course_element").notes(nameless).run().await?;
    Ok(())
}

/// Another account has a course of this name under a bot of this name, and had it before.
const TAKEN: &str = "EXISTS (SELECT FROM course AS other WHERE other.course_id = course.course_id \
     AND other.bot_name = course.bot_name AND other.account_id < course.account_id)";

/// The name that such a course gets. One without a bot gets blanks: they name no bot either.
const APART: &str = "CASE WHEN btrim(course.bot_name) = '' THEN repeat(' ', course.account_id) \
     ELSE course.bot_name || ' (account ' || course.account_id || ')' END";

/// Adds the account to bot names of courses that two accounts have, to the elements first.
async fn tell_courses_apart(online: &Online) -> Result<(), DbErr> {
    online
        .backfill("course_element")
        .statement(format!(
            "UPDATE course_element AS source SET bot_name = {APART} FROM course WHERE {{batch}} \
             AND course.course_id = source.course_id AND course.account_id = source.account_id \
             AND course.bot_name = source.bot_name AND {TAKEN}"
        ))
        .run()
        .await?;
    let of_source = |sql: &str| sql.replace("course.", "source.");
    online
        .backfill("course")
        .rejects(format!(
            "SELECT jsonb_build_object('course_id', source.course_id, 'account_id', source.account_id) AS key, \
             'bot_name' AS field, source.bot_name AS value, {} AS reason, {WHOLE_ROW} \
             FROM course AS source WHERE {{batch}} AND {}",
            literal("another account has a course of this name under a bot of this name: its account was added"),
            of_source(TAKEN),
        ))
        .statement(format!(
            "UPDATE course AS source SET bot_name = {} WHERE {{batch}} AND {}",
            of_source(APART),
            of_source(TAKEN),
        ))
        .run()
        .await?;
    Ok(())
}
