//! How rows of the single-tenant application get their bot, deployment and run: one definition, in SQL functions that
//! the triggers (rows written meanwhile) and the backfills (rows written before) both use.
//!
//! Responsible for the functions; [`trigger`], [`backfill`], [`one_active`] and [`sweep`] use them; [`names`] is the way
//! from a link back to a name. From expand to contract
//! old and new application code run at once. Deliberately not here: removing duplicates and orphans, which belongs to the
//! contract steps, because old code may still read them; only the last sweep removes duplicates that escaped the triggers.

pub(crate) mod backfill;
pub(crate) mod names;
pub(crate) mod one_active;
pub(crate) mod sweep;
pub(crate) mod trigger;

use migration_kit::{Check, Function, literal};

/// Why these steps cannot run where Citus has the tables on another node.
pub(crate) const ONE_NODE: &str =
    "its statements call functions that read other tables for each row, which a shard cannot";

/// In the order in which they are created: a function's body names only those before it.
pub(crate) const FUNCTIONS: [Function; 7] = [
    // A name that is empty, or of blanks alone, names no bot, nor does one too long for an index, of 2704 bytes at most with what
    // else it has; any other name is taken as it stands.
    Function::new("given_bot_name(text)", "given_bot_name(name text) RETURNS text", "SELECT CASE WHEN btrim(name) <> '' AND octet_length(name) <= 2000 THEN name END").volatility("IMMUTABLE"),
    Function::new("run_is_active(boolean)", "run_is_active(is_ended boolean) RETURNS boolean", "SELECT COALESCE(NOT is_ended, TRUE)").volatility("IMMUTABLE"),
    Function::new("bot_of(integer, text)", "bot_of(of_account integer, name text) RETURNS integer", "SELECT bot.bot_id FROM {schema}.bot \
               WHERE bot.account_id = of_account AND bot.bot_name = {schema}.given_bot_name(name)"),
    // A course that does not exist has no deployment, whatever the runs say: its deployments would be orphans.
    Function::new("deployment_of(text, integer, integer)", "deployment_of(of_course text, of_account integer, of_bot integer) RETURNS integer", "SELECT deployment.deployment_id FROM {schema}.course_deployment AS deployment \
               WHERE deployment.bot_id = of_bot AND deployment.course_id = of_course \
               AND deployment.account_id = of_account AND deployment.environment = 'prod' \
               AND EXISTS (SELECT FROM {schema}.course \
                           WHERE course.course_id = of_course AND course.account_id = of_account)"),
    // Runs are numbered as they come: the newest is the one with the highest number.
    Function::new("waited_run_of(bigint, text, integer)", "waited_run_of(of_chat bigint, of_course text, of_bot integer) RETURNS integer", "SELECT max(run.run_id) FROM {schema}.run \
               WHERE run.bot_id = of_bot AND run.chat_id = of_chat AND run.course_id = of_course AND run.is_active"),
    Function::new("ensure_bot(integer, text)", "ensure_bot(of_account integer, name text) RETURNS integer", "DECLARE
            found_id integer := {schema}.bot_of(of_account, name);
        BEGIN
            IF found_id IS NULL AND {schema}.given_bot_name(name) IS NOT NULL THEN
                INSERT INTO {schema}.bot (account_id, bot_name) VALUES (of_account, name)
                ON CONFLICT (account_id, bot_name) DO NOTHING;
                found_id := {schema}.bot_of(of_account, name);
            END IF;
            RETURN found_id;
        END").language("plpgsql").volatility("VOLATILE"),
    // The key of a deployment takes no longer name of a course.
    Function::new("ensure_deployment(text, integer, integer)", "ensure_deployment(of_course text, of_account integer, of_bot integer) RETURNS integer", "DECLARE
            found_id integer := {schema}.deployment_of(of_course, of_account, of_bot);
        BEGIN
            IF found_id IS NULL AND of_bot IS NOT NULL AND octet_length(of_course) <= 2600 AND EXISTS (
                SELECT FROM {schema}.course WHERE course.course_id = of_course AND course.account_id = of_account
            ) THEN
                INSERT INTO {schema}.course_deployment (course_id, account_id, bot_id)
                VALUES (of_course, of_account, of_bot)
                ON CONFLICT (bot_id, course_id, account_id, environment) DO NOTHING;
                found_id := {schema}.deployment_of(of_course, of_account, of_bot);
            END IF;
            RETURN found_id;
        END").language("plpgsql").volatility("VOLATILE"),
];

/// The functions exist, each with its own arguments: one of somebody else's may have the same name.
pub(crate) fn functions_exist() -> Check {
    let ours: Vec<String> =
        FUNCTIONS.iter().map(|function| format!("({})", literal(function.dropped_as()))).collect();
    Check::none(
        "no function that links rows is missing",
        format!(
            "SELECT ours.signature FROM (VALUES {}) AS ours (signature) WHERE to_regprocedure(ours.signature) IS NULL",
            ours.join(", "),
        ),
    )
}
