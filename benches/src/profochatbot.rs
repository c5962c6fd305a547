//! A million conversations and a tenth as many runs made multi-tenant beside their application.

use super::Bench;
use super::under_load::{Phase, Subject};

/// The documented script as far as it concerns the big tables, repaired so that it succeeds: one transaction.
const SCRIPT: &str = "\
BEGIN;
CREATE TABLE account (account_id SERIAL PRIMARY KEY, name TEXT NOT NULL, slug TEXT NOT NULL UNIQUE);
INSERT INTO account (name, slug) VALUES ('Default Account', 'default');
ALTER TABLE conversation ADD COLUMN account_id INTEGER NOT NULL DEFAULT 1;
ALTER TABLE run ADD COLUMN account_id INTEGER NOT NULL DEFAULT 1;
ALTER TABLE course ADD COLUMN account_id INTEGER NOT NULL DEFAULT 1;
CREATE TABLE bot (bot_id SERIAL PRIMARY KEY, account_id INTEGER NOT NULL, bot_name TEXT NOT NULL, UNIQUE (account_id, bot_name));
INSERT INTO bot (account_id, bot_name) SELECT DISTINCT 1, botname FROM run WHERE botname IS NOT NULL;
CREATE TABLE course_deployment (deployment_id SERIAL PRIMARY KEY, course_id TEXT NOT NULL, account_id INTEGER NOT NULL,
    bot_id INTEGER NOT NULL, UNIQUE (bot_id, course_id, account_id));
ALTER TABLE run ADD COLUMN bot_id INTEGER, ADD COLUMN deployment_id INTEGER, ADD COLUMN is_active BOOLEAN DEFAULT TRUE;
UPDATE run SET bot_id = bot.bot_id, is_active = COALESCE(NOT is_ended, TRUE) FROM bot WHERE bot.bot_name = run.botname;
INSERT INTO course_deployment (course_id, account_id, bot_id) SELECT DISTINCT course_id, account_id, bot_id FROM run;
UPDATE run SET deployment_id = d.deployment_id FROM course_deployment AS d
WHERE d.course_id = run.course_id AND d.account_id = run.account_id AND d.bot_id = run.bot_id;
ALTER TABLE run ADD CONSTRAINT run_account_id_fkey FOREIGN KEY (account_id) REFERENCES account ON DELETE CASCADE;
ALTER TABLE run ADD CONSTRAINT run_bot_id_fkey FOREIGN KEY (bot_id) REFERENCES bot ON DELETE CASCADE;
ALTER TABLE run ADD CONSTRAINT run_deployment_id_fkey FOREIGN KEY (deployment_id) REFERENCES course_deployment;
ALTER TABLE conversation ADD CONSTRAINT conversation_account_id_fkey FOREIGN KEY (account_id) REFERENCES account ON DELETE CASCADE;
ALTER TABLE conversation ADD CONSTRAINT conversation_run_id_fkey FOREIGN KEY (run_id) REFERENCES run ON DELETE CASCADE;
CREATE INDEX idx_run_account ON run (account_id);
CREATE INDEX idx_run_bot ON run (bot_id);
CREATE INDEX idx_run_deployment ON run (deployment_id);
CREATE INDEX idx_run_chat ON run (bot_id, chat_id);
CREATE INDEX idx_run_course ON run (course_id, account_id);
CREATE INDEX idx_run_active ON run (bot_id, is_active);
CREATE INDEX idx_conversation_account ON conversation (account_id);
CREATE INDEX idx_conversation_run ON conversation (run_id);
CREATE INDEX idx_conversation_chat ON conversation (chat_id);
CREATE INDEX idx_conversation_course ON conversation (course_id, account_id);
CREATE INDEX idx_conversation_element ON conversation (course_id, account_id, element_id);
CREATE INDEX idx_conversation_date ON conversation (date_inserted DESC);
CREATE INDEX idx_conversation_role ON conversation (run_id, role);
CREATE UNIQUE INDEX run_one_active_per_bot_chat ON run (bot_id, chat_id) WHERE is_active;
COMMIT;
";

/// The single-tenant application: it knows nothing of accounts and bots.
const STATEMENTS: [(&str, u32); 5] = [
    (
        "\\set n random(1, 100000)\nSELECT role, json FROM profochatbot.conversation WHERE conversation_id = :n;\n",
        4,
    ),
    ("\\set n random(1, 10000)\nSELECT botname, course_id FROM profochatbot.run WHERE run_id = :n;\n", 2),
    ("\\set n random(1, 10000)\nUPDATE profochatbot.run SET utm_source = 'load' WHERE run_id = :n;\n", 2),
    (
        "\\set n random(1, 10000)\nINSERT INTO profochatbot.conversation (chat_id, username, course_id, element_id, role, \
         json, run_id) SELECT chat_id, username, course_id, 'e1', 'user', '{}', run_id FROM profochatbot.run \
         WHERE run_id = :n;\n",
        3,
    ),
    (
        // Chats from 9,000,000,000 on are new: nobody has two active runs.
        "\\set n random(1, 1000000000000)\nINSERT INTO profochatbot.run (chat_id, username, botname, course_id) \
         VALUES (9000000000 + :n, 'somebody', 'bot-1', 'course-1');\n",
        1,
    ),
];

/// Runs of a bot that are not linked to it.
const LEFT: &str = "SELECT count(*) FROM run WHERE bot_id IS NULL AND botname IS NOT NULL";

/// The service under load.
pub(super) fn subject(bench: &Bench) -> Subject {
    Subject {
        service: "profochatbot",
        before: "m20240101_000001_create_profochatbot",
        seed: seed(bench.rows),
        tables: &["profochatbot.conversation", "profochatbot.run"],
        phases: vec![Phase::expand("profochatbot", &STATEMENTS, SCRIPT, LEFT)],
    }
}

/// Conversations, and a tenth as many runs, each with its own chat.
fn seed(n_rows: u64) -> String {
    let n_runs = n_rows / 10;
    format!(
        "INSERT INTO course (course_id, bot_name, creator_id, yaml)
SELECT 'course-' || n, 'bot-' || n % 5, 1000 + n, 'title: course ' || n FROM generate_series(1, 20) AS n;
INSERT INTO run (chat_id, username, botname, course_id, is_ended)
SELECT 5000000000 + n, 'user' || n, 'bot-' || (n % 20 + 1) % 5, 'course-' || n % 20 + 1, n % 3 = 0
FROM generate_series(1, {n_runs}) AS n;
INSERT INTO conversation (chat_id, username, course_id, element_id, element_type, role, json, score, maxscore, run_id)
SELECT 5000000000 + n % {n_runs} + 1, 'user' || n % {n_runs} + 1, 'course-' || (n % {n_runs} + 1) % 20 + 1, 'e' || n % 20,
    'dialog', CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END, '{{\"text\": \"' || repeat(md5(n::text), 6) || '\"}}',
    1, 3, n % {n_runs} + 1
FROM generate_series(1, {n_rows}) AS n;"
    )
}
