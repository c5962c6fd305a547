//! What must hold of the service's data, as checks: each lists the rows that break it.
//!
//! They ask the tables and not the functions that linked the rows: they judge the functions too, and still stand when
//! the functions are gone. The migrations say from when on each holds.

use migration_kit::Check;

use crate::NAME;

/// Every run that names a bot has one of its account.
pub(crate) fn runs_have_bots() -> Check {
    named_bots("run", "run_id", "botname")
}

/// Every row of the table that names a bot has one of its account.
pub(crate) fn named_bots(table: &str, key: &str, name_column: &str) -> Check {
    Check::none(
        format!("every row of `{table}` with a bot name has a bot"),
        format!(
            "SELECT {table}.{key}, {table}.{name_column} FROM {table} WHERE btrim({table}.{name_column}) <> '' \
             AND NOT EXISTS (SELECT FROM bot WHERE bot.bot_id = {table}.bot_id AND bot.account_id = {table}.account_id)"
        ),
    )
}

/// Which bots have no token yet, and what sets it: a reminder. A name that two accounts use is told with its account.
pub(crate) fn bots_without_token() -> Check {
    Check::report(
        "bots without a token",
        "WITH bot AS MATERIALIZED (SELECT account_id, bot_name, bot_token FROM bot) \
         SELECT CASE WHEN count(*) = 0 THEN 'every bot has its token' \
         ELSE count(*) || ' without a token, which the task set-bot-token sets: ' \
         || string_agg(bot_name || CASE WHEN EXISTS (SELECT 1 FROM bot AS other WHERE other.bot_name = bot.bot_name \
         AND other.account_id <> bot.account_id) THEN ' (account ' || account_id || ')' ELSE '' END, \
         ', ' ORDER BY account_id, bot_name) END FROM bot WHERE bot_token IS NULL",
    )
}

/// Every active run with a bot and a course that exists has a deployment; other active runs are rejects.
pub(crate) fn active_runs_have_deployments() -> Check {
    Check::none(
        "every active run has a deployment, unless it has no bot or its course does not exist",
        "SELECT run.run_id, run.course_id, run.bot_id FROM run \
         WHERE run.is_active AND run.deployment_id IS NULL AND run.bot_id IS NOT NULL \
         AND EXISTS (SELECT FROM course WHERE course.course_id = run.course_id AND course.account_id = run.account_id)",
    )
}

/// A run that is ended is not active.
pub(crate) fn ended_runs_are_inactive() -> Check {
    Check::none("no ended run is active", "SELECT run_id FROM run WHERE is_ended AND is_active")
}

/// At most one run of a chat with a bot is active.
pub(crate) fn one_active_run() -> Check {
    Check::none(
        "at most one run of a chat with a bot is active",
        "SELECT bot_id, chat_id, count(*) FROM run WHERE is_active AND bot_id IS NOT NULL AND chat_id IS NOT NULL \
         GROUP BY bot_id, chat_id HAVING count(*) > 1",
    )
}

/// Every course that names a bot is deployed.
pub(crate) fn courses_have_deployments() -> Check {
    Check::none(
        "every course has a deployment, unless it names no bot",
        "SELECT course.course_id, course.bot_name FROM course WHERE btrim(course.bot_name) <> '' \
         AND NOT EXISTS (SELECT FROM course_deployment AS deployment WHERE deployment.course_id = course.course_id \
         AND deployment.account_id = course.account_id)",
    )
}

/// A run and its deployment say the same account, course and bot.
pub(crate) fn runs_agree_with_deployments() -> Check {
    Check::none(
        "every run agrees with its deployment on account, course and bot",
        // By the account too, so that it can be asked where Citus spreads rows by it.
        "SELECT run.run_id, run.deployment_id FROM run LEFT JOIN course_deployment AS deployment \
         ON deployment.account_id = run.account_id AND deployment.deployment_id = run.deployment_id \
         WHERE run.deployment_id IS NOT NULL AND (deployment.deployment_id IS NULL \
         OR run.course_id <> deployment.course_id OR run.bot_id <> deployment.bot_id)",
    )
}

/// A conversation and its run say the same account and course, or the conversation is a reject.
pub(crate) fn conversations_agree_with_runs() -> Check {
    Check::none(
        "every conversation agrees with its run on account and course, or is listed as a reject",
        format!(
            "WITH disagreeing AS MATERIALIZED ({DISAGREEING_CONVERSATIONS}), listed AS MATERIALIZED \
             (SELECT row_key FROM migration_reject_{NAME} WHERE table_name = 'conversation' AND field = 'course_id') \
             SELECT conversation_id, run_id FROM disagreeing WHERE NOT EXISTS \
             (SELECT 1 FROM listed WHERE listed.row_key = jsonb_build_object('conversation_id', disagreeing.conversation_id))"
        ),
    )
}

/// Conversations that disagree with their run.
const DISAGREEING_CONVERSATIONS: &str = "SELECT source.conversation_id, source.run_id FROM conversation AS source \
    LEFT JOIN run ON run.account_id = source.account_id AND run.run_id = source.run_id \
    WHERE source.run_id IS NOT NULL AND (run.run_id IS NULL OR run.course_id <> source.course_id)";
