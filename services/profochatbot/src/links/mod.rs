//! How rows of the single-tenant application get their bot, deployment and run: one definition, in SQL functions that
//! the triggers (rows written meanwhile) and the backfills (rows written before) both use.
//!
//! Responsible for the functions; [`trigger`], [`backfill`], [`one_active`] and [`sweep`] use them. From expand to contract
//! old and new application code run at once. Deliberately not here: removing duplicates and orphans, which belongs to the
//! contract steps, because old code may still read them; only the last sweep removes duplicates that escaped the triggers.

pub(crate) mod backfill;
pub(crate) mod one_active;
pub(crate) mod sweep;
pub(crate) mod trigger;

use migration_kit::{Check, Online, literal, quote_identifier};
use sea_orm_migration::prelude::DbErr;

/// One function: its signature, how it is dropped, its language, its volatility, its body with `{s}` for the schema.
struct Function {
    signature: &'static str,
    dropped_as: &'static str,
    language: &'static str,
    volatility: &'static str,
    body: &'static str,
}

/// In the order in which they are created: a function's body names only those before it.
const FUNCTIONS: [Function; 7] = [
    // A name that is empty, or of blanks alone, names no bot; any other name is taken as it stands.
    Function {
        signature: "given_bot_name(name text) RETURNS text",
        dropped_as: "given_bot_name(text)",
        language: "sql",
        volatility: "IMMUTABLE",
        body: "SELECT CASE WHEN btrim(name) <> '' THEN name END",
    },
    Function {
        signature: "run_is_active(is_ended boolean) RETURNS boolean",
        dropped_as: "run_is_active(boolean)",
        language: "sql",
        volatility: "IMMUTABLE",
        body: "SELECT COALESCE(NOT is_ended, TRUE)",
    },
    Function {
        signature: "bot_of(of_account integer, name text) RETURNS integer",
        dropped_as: "bot_of(integer, text)",
        language: "sql",
        volatility: "STABLE",
        body: "SELECT bot.bot_id FROM {s}.bot \
               WHERE bot.account_id = of_account AND bot.bot_name = {s}.given_bot_name(name)",
    },
    // A course that does not exist has no deployment, whatever the runs say: its deployments would be orphans.
    Function {
        signature: "deployment_of(of_course text, of_account integer, of_bot integer) RETURNS integer",
        dropped_as: "deployment_of(text, integer, integer)",
        language: "sql",
        volatility: "STABLE",
        body: "SELECT deployment.deployment_id FROM {s}.course_deployment AS deployment \
               WHERE deployment.bot_id = of_bot AND deployment.course_id = of_course \
               AND deployment.account_id = of_account AND deployment.environment = 'prod' \
               AND EXISTS (SELECT FROM {s}.course \
                           WHERE course.course_id = of_course AND course.account_id = of_account)",
    },
    // Runs are numbered as they come: the newest is the one with the highest number.
    Function {
        signature: "waited_run_of(of_chat bigint, of_course text, of_bot integer) RETURNS integer",
        dropped_as: "waited_run_of(bigint, text, integer)",
        language: "sql",
        volatility: "STABLE",
        body: "SELECT max(run.run_id) FROM {s}.run \
               WHERE run.bot_id = of_bot AND run.chat_id = of_chat AND run.course_id = of_course AND run.is_active",
    },
    Function {
        signature: "ensure_bot(of_account integer, name text) RETURNS integer",
        dropped_as: "ensure_bot(integer, text)",
        language: "plpgsql",
        volatility: "VOLATILE",
        body: "DECLARE
            found_id integer := {s}.bot_of(of_account, name);
        BEGIN
            IF found_id IS NULL AND {s}.given_bot_name(name) IS NOT NULL THEN
                INSERT INTO {s}.bot (account_id, bot_name) VALUES (of_account, name)
                ON CONFLICT (account_id, bot_name) DO NOTHING;
                found_id := {s}.bot_of(of_account, name);
            END IF;
            RETURN found_id;
        END",
    },
    Function {
        signature: "ensure_deployment(of_course text, of_account integer, of_bot integer) RETURNS integer",
        dropped_as: "ensure_deployment(text, integer, integer)",
        language: "plpgsql",
        volatility: "VOLATILE",
        body: "DECLARE
            found_id integer := {s}.deployment_of(of_course, of_account, of_bot);
        BEGIN
            IF found_id IS NULL AND of_bot IS NOT NULL AND EXISTS (
                SELECT FROM {s}.course WHERE course.course_id = of_course AND course.account_id = of_account
            ) THEN
                INSERT INTO {s}.course_deployment (course_id, account_id, bot_id)
                VALUES (of_course, of_account, of_bot)
                ON CONFLICT (bot_id, course_id, account_id, environment) DO NOTHING;
                found_id := {s}.deployment_of(of_course, of_account, of_bot);
            END IF;
            RETURN found_id;
        END",
    },
];

/// Creates the functions, or replaces them.
pub(crate) async fn create_functions(online: &Online) -> Result<(), DbErr> {
    for function in &FUNCTIONS {
        let body = qualified(online, function.body);
        online.create_function(function.signature, function.language, function.volatility, &body).await?;
    }
    Ok(())
}

/// Drops the functions; nothing may use them any more.
pub(crate) async fn drop_functions(online: &Online) -> Result<(), DbErr> {
    for function in FUNCTIONS.iter().rev() {
        online.drop_function(function.dropped_as).await?;
    }
    Ok(())
}

/// The functions exist, each with its own arguments: one of somebody else's may have the same name.
pub(crate) fn functions_exist() -> Check {
    let ours: Vec<String> =
        FUNCTIONS.iter().map(|function| format!("({})", literal(function.dropped_as))).collect();
    Check::none(
        "no function that links rows is missing",
        format!(
            "SELECT ours.signature FROM (VALUES {}) AS ours (signature) WHERE to_regprocedure(ours.signature) IS NULL",
            ours.join(", "),
        ),
    )
}

/// Puts the service's schema for `{s}`: functions and triggers run under their caller's `search_path`.
fn qualified(online: &Online, sql: &str) -> String {
    sql.replace("{s}", &quote_identifier(online.schema()))
}
