//! What must hold of the service's data, as checks: each lists the rows that break it.
//!
//! They ask the tables and not the functions that linked the rows: they judge the functions too, and still stand when
//! the functions are gone. The migrations say from when on each holds.
//!
//! A check that fails is a promise that something keeps: a constraint, an index, or the triggers until they are dropped. What
//! the application can break with a row that the schema permits is a figure for the reader ([`figures`]).

use migration_kit::{Check, literal};

use crate::NAME;

/// The migration that drops the triggers which link rows. Until then, what they keep is a check; from then on, a figure.
pub(crate) const TRIGGERS_GO: &str = "m20260201_000004_drop_default_account";

/// What should hold of rows.
pub(crate) struct Rule {
    /// What holds, as a sentence.
    says: String,
    /// Rows that break it, as a noun.
    rows: String,
    /// Lists them.
    sql: String,
}

impl Rule {
    fn new(says: impl Into<String>, rows: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { says: says.into(), rows: rows.into(), sql: sql.into() }
    }

    /// The rule as a check that fails, for the time in which something keeps it.
    pub(crate) fn kept(self) -> Check {
        Check::none(self.says, self.sql)
    }
}

/// How many rows break each of these rules, for the reader: `runs … (3), courses … (1)`, or `none`.
pub(crate) fn figures(says: &str, rules: impl IntoIterator<Item = Rule>) -> Check {
    let counted: Vec<String> = rules
        .into_iter()
        .map(|rule| {
            format!(
                "SELECT {} AS what, (SELECT count(*) FROM ({}) AS breaking) AS n",
                literal(&rule.rows),
                rule.sql
            )
        })
        .collect();
    Check::report(
        says,
        format!(
            "SELECT COALESCE(string_agg(what || ' (' || n || ')', ', ') FILTER (WHERE n > 0), 'none') FROM ({}) AS counted",
            counted.join(" UNION ALL "),
        ),
    )
}

/// What the triggers keep until they go.
pub(crate) fn kept_by_triggers() -> [Rule; 7] {
    [
        courses_have_deployments(),
        runs_have_bots(),
        active_runs_have_deployments(),
        ended_runs_are_inactive(),
        named_bots("waiting_element", "waiting_element_id", "botname"),
        named_bots("bannedparticipants", "bannedparticipant_id", "botname"),
        named_bots("gen_settings", "id", "bot_name"),
    ]
}

/// Every run that names a bot has one.
pub(crate) fn runs_have_bots() -> Rule {
    named_bots("run", "run_id", "botname")
}

/// Every row of the table that names a bot has one. That the bot exists is what the foreign key keeps.
pub(crate) fn named_bots(table: &str, key: &str, name_column: &str) -> Rule {
    Rule::new(
        format!("every row of `{table}` with a bot name has a bot"),
        format!("rows of `{table}` with a bot name and no bot"),
        format!(
            "SELECT {table}.{key}, {table}.{name_column} FROM {table} \
             WHERE btrim({table}.{name_column}) <> '' AND octet_length({table}.{name_column}) <= 2000 AND {table}.bot_id IS NULL"
        ),
    )
}

/// Rows of the table whose bot belongs to another account: their foreign key names the bot alone.
fn bots_of_other_accounts(table: &str, key: &str) -> Rule {
    Rule::new(
        "",
        format!("rows of `{table}` with a bot of another account"),
        // By the account, so that it can be asked where Citus spreads rows by it: that the bot exists is what the foreign key keeps.
        format!(
            "SELECT {table}.{key} FROM {table} LEFT JOIN bot \
             ON bot.account_id = {table}.account_id AND bot.bot_id = {table}.bot_id \
             WHERE {table}.bot_id IS NOT NULL AND bot.bot_id IS NULL"
        ),
    )
}

/// Rows of the table that name another bot than the one of their account that they are linked to: new code has changed the link or
/// the bot's name, or old code the row's name where no trigger fires. A row does not say which.
fn bots_of_other_names(table: &str, key: &str, name_column: &str) -> Rule {
    Rule::new(
        "",
        format!("rows of `{table}` that name another bot"),
        format!(
            "SELECT {table}.{key}, {table}.{name_column} FROM {table} JOIN bot \
             ON bot.account_id = {table}.account_id AND bot.bot_id = {table}.bot_id \
             WHERE btrim({table}.{name_column}) <> '' AND bot.bot_name <> {table}.{name_column}"
        ),
    )
}

/// Waits for a run of another account, chat, course or bot: their foreign key names the run alone.
fn waits_unlike_runs() -> Rule {
    Rule::new(
        "",
        "waits for a run of another account, chat, course or bot",
        "SELECT source.waiting_element_id, source.run_id FROM waiting_element AS source LEFT JOIN run \
         ON run.account_id = source.account_id AND run.run_id = source.run_id \
         WHERE source.run_id IS NOT NULL AND (run.run_id IS NULL OR run.chat_id <> source.chat_id \
         OR run.course_id <> source.course_id OR run.bot_id <> source.bot_id)",
    )
}

/// Courses that the bot that they name does not deploy.
fn courses_unlike_deployments() -> Rule {
    Rule::new(
        "",
        "courses that the bot that they name does not deploy",
        "SELECT course.course_id, course.bot_name FROM course \
         JOIN bot ON bot.account_id = course.account_id AND bot.bot_name = course.bot_name \
         WHERE NOT EXISTS (SELECT FROM course_deployment AS deployment WHERE deployment.course_id = course.course_id \
         AND deployment.account_id = course.account_id AND deployment.bot_id = bot.bot_id)",
    )
}

/// What names say otherwise than links; the last sweep lists these rows and changes nothing.
fn disagreeing_names() -> [Rule; 5] {
    [
        waits_unlike_runs(),
        bots_of_other_names("run", "run_id", "botname"),
        bots_of_other_names("waiting_element", "waiting_element_id", "botname"),
        bots_of_other_names("bannedparticipants", "bannedparticipant_id", "botname"),
        bots_of_other_names("gen_settings", "id", "bot_name"),
    ]
}

/// How many rows there are of each kind that the last sweep lists, for who plans it.
pub(crate) fn preview_names() -> String {
    let counted = disagreeing_names()
        .map(|rule| format!("SELECT {}, count(*) FROM ({}) AS breaking", literal(&rule.rows), rule.sql));
    format!(
        "SELECT format('%s (%s)', what, n) FROM ({}) AS counted (what, n) WHERE n > 0",
        counted.join(" UNION ALL ")
    )
}

/// Links that the application gave, or that a change of names has left behind, and that do not agree with their row, for the
/// reader: what is not found anew stays as it is.
pub(crate) fn links_of_others() -> Check {
    let others = [
        runs_unlike_deployments(),
        bots_of_other_accounts("run", "run_id"),
        bots_of_other_accounts("waiting_element", "waiting_element_id"),
        bots_of_other_accounts("bannedparticipants", "bannedparticipant_id"),
        bots_of_other_accounts("gen_settings", "id"),
        courses_unlike_deployments(),
    ];
    figures("links that do not agree with their row", others.into_iter().chain(disagreeing_names()))
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
pub(crate) fn active_runs_have_deployments() -> Rule {
    Rule::new(
        "every active run has a deployment, unless it has no bot, or its course does not exist or has a name too long for it",
        "active runs with a bot and a course, and no deployment",
        "SELECT run.run_id, run.course_id, run.bot_id FROM run \
         WHERE run.is_active AND run.deployment_id IS NULL AND run.bot_id IS NOT NULL \
         AND octet_length(run.course_id) <= 2600 \
         AND EXISTS (SELECT FROM course WHERE course.course_id = run.course_id AND course.account_id = run.account_id)",
    )
}

/// A run that is ended is not active.
pub(crate) fn ended_runs_are_inactive() -> Rule {
    Rule::new(
        "no ended run is active",
        "ended runs that are active",
        "SELECT run_id FROM run WHERE is_ended AND is_active",
    )
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
pub(crate) fn courses_have_deployments() -> Rule {
    Rule::new(
        "every course has a deployment, unless it names no bot or its name is too long for one",
        "courses with a bot name and no deployment",
        "SELECT course.course_id, course.bot_name FROM course WHERE btrim(course.bot_name) <> '' \
         AND octet_length(course.bot_name) <= 2000 AND octet_length(course.course_id) <= 2600 \
         AND NOT EXISTS (SELECT FROM course_deployment AS deployment WHERE deployment.course_id = course.course_id \
         AND deployment.account_id = course.account_id)",
    )
}

/// Runs that say another account, course or bot than their deployment: their foreign key names the deployment alone.
fn runs_unlike_deployments() -> Rule {
    Rule::new(
        "",
        "runs with a deployment of another account, course or bot",
        // By the account too, so that it can be asked where Citus spreads rows by it.
        "SELECT run.run_id, run.deployment_id FROM run LEFT JOIN course_deployment AS deployment \
         ON deployment.account_id = run.account_id AND deployment.deployment_id = run.deployment_id \
         WHERE run.deployment_id IS NOT NULL AND (deployment.deployment_id IS NULL \
         OR run.course_id <> deployment.course_id OR run.bot_id <> deployment.bot_id)",
    )
}

/// Conversations that say another account or course than their run, for the reader, and how many of them were there when the
/// rejects were listed: the application may write more, since their foreign key names the run alone.
pub(crate) fn conversations_unlike_runs() -> Check {
    Check::report(
        "conversations that do not agree with their run on account and course",
        format!(
            "WITH disagreeing AS MATERIALIZED ({DISAGREEING_CONVERSATIONS}), listed AS MATERIALIZED \
             (SELECT row_key FROM migration_reject_{NAME} WHERE table_name = 'conversation' AND field = 'course_id') \
             SELECT CASE WHEN count(*) = 0 THEN 'none' ELSE format('%s, of which %s are listed as rejects and %s were written since', \
             count(*), count(listed), count(*) - count(listed)) END \
             FROM disagreeing LEFT JOIN (SELECT DISTINCT row_key FROM listed) AS listed \
             ON listed.row_key = jsonb_build_object('conversation_id', disagreeing.conversation_id)"
        ),
    )
}

/// Conversations that disagree with their run.
const DISAGREEING_CONVERSATIONS: &str = "SELECT source.conversation_id, source.run_id FROM conversation AS source \
    LEFT JOIN run ON run.account_id = source.account_id AND run.run_id = source.run_id \
    WHERE source.run_id IS NOT NULL AND (run.run_id IS NULL OR run.course_id <> source.course_id)";
