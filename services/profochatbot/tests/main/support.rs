//! Databases of the single-tenant application as tests find them: as it should be, and as it is after some years.

use migration_testing::Scratch;

/// The schema of the single-tenant application.
pub(crate) const BASE: &str = "m20240101_000001_create_profochatbot";
/// The last expand migration before the contract steps that end the single-tenant application's time.
pub(crate) const EXPANDED: &str = "m20260111_000001_add_foreign_keys";
/// The tables of the single-tenant application.
pub(crate) const TABLES: [&str; 8] = [
    "conversation",
    "run",
    "waiting_element",
    "course",
    "course_element",
    "courseparticipants",
    "bannedparticipants",
    "gen_settings",
];

/// An empty database with the single-tenant schema.
pub(crate) async fn base() -> Scratch {
    let scratch = Scratch::new(profochatbot_migration::service()).await;
    scratch.up_to(BASE).await;
    scratch
}

/// Some ten thousand rows as they should be: 20 courses on 5 bots, 400 chats, several runs of a chat one after the other.
pub(crate) async fn realistic() -> Scratch {
    let scratch = base().await;
    scratch.execute(REALISTIC).await;
    scratch
}

/// The same with what the years brought: duplicates, orphans, empty bot names, unknown courses, odd values.
pub(crate) async fn dirty() -> Scratch {
    let scratch = realistic().await;
    scratch.execute(DIRT).await;
    scratch
}

/// What stands in the tables of the single-tenant application, table by table.
pub(crate) async fn digests(scratch: &Scratch) -> Vec<(&'static str, String)> {
    let mut digests = Vec::new();
    for table in TABLES {
        digests.push((table, scratch.table_digest(table).await));
    }
    digests
}

/// [`digests`] where the application's own numbers stand, and names instead of the numbers of bots and deployments: those
/// follow the batches, whose size follows the time that they take.
pub(crate) async fn named_digests(scratch: &Scratch) -> Vec<(&'static str, String)> {
    let mut digests = digests(scratch).await;
    for (table, digest) in &mut digests {
        if !["run", "waiting_element", "bannedparticipants", "gen_settings"].contains(table) {
            continue;
        }
        let deployment = if *table == "run" { "source.deployment_id" } else { "NULL" };
        let named = format!(
            "SELECT md5(string_agg(named::text, '' ORDER BY named::text)) FROM (SELECT to_jsonb(source) - 'bot_id' \
             - 'deployment_id' || jsonb_build_object('bot', bot.bot_name, 'deployed', deployment.course_id) AS named \
             FROM {table} AS source LEFT JOIN bot ON bot.bot_id = source.bot_id \
             LEFT JOIN course_deployment AS deployment ON deployment.deployment_id = {deployment}) AS rows"
        );
        *digest = scratch.rows(&named).await.concat();
    }
    digests
}

/// Rejects as `table|key|field|reason`, keys as their values alone.
pub(crate) async fn rejects(scratch: &Scratch, condition: &str) -> Vec<String> {
    scratch
        .rows(&format!(
            "SELECT table_name, (SELECT string_agg(value, ',' ORDER BY key) FROM jsonb_each_text(row_key)), field, \
             reason FROM migration_reject_profochatbot WHERE {condition} ORDER BY table_name, field, row_key"
        ))
        .await
}

const REALISTIC: &str = "
INSERT INTO course (course_id, bot_name, creator_id, date_created, yaml)
SELECT 'course-' || n, 'bot-' || n % 5, 1000 + n, TIMESTAMP '2025-01-01 08:00:00.000001' + n * INTERVAL '1 day', 'title: course ' || n
FROM generate_series(1, 20) AS n;
INSERT INTO course_element (element_id, json, element_type, course_id, bot_name)
SELECT 'e' || n / 20, '{\"text\": \"element ' || n || '\"}', (ARRAY['message', 'quiz', 'dialog'])[1 + n % 3], 'course-' || 1 + n % 20, 'bot-' || (1 + n % 20) % 5
FROM generate_series(0, 399) AS n;
INSERT INTO courseparticipants (course_id, username)
SELECT 'course-' || 1 + n % 20, 'user' || n FROM generate_series(1, 1000) AS n;
INSERT INTO bannedparticipants (botname, chat_id, banned_at, ban_reason, excluded)
SELECT 'bot-' || n % 5, 5000000000 + n, TIMESTAMP '2025-02-01' + n * INTERVAL '1 hour', CASE WHEN n % 3 = 0 THEN 'spam' END, n % 2
FROM generate_series(1, 200) AS n;
INSERT INTO gen_settings (id, bot_name, s_key, s_value)
SELECT n, 'bot-' || n % 5, 'key' || n / 5, CASE WHEN n % 7 > 0 THEN 'value ' || n END FROM generate_series(1, 60) AS n;
INSERT INTO run (chat_id, username, botname, course_id, date_inserted, utm_source, utm_campaign, is_ended)
SELECT 5000000000 + n % 400, 'user' || n % 400, 'bot-' || (1 + n % 20) % 5, 'course-' || 1 + n % 20,
    TIMESTAMP '2025-03-01 12:00:00.123456' + n * INTERVAL '97 seconds', CASE WHEN n % 4 = 0 THEN 'tg' END, CASE WHEN n % 8 = 0 THEN 'spring' END,
    CASE WHEN n % 3 = 0 THEN TRUE WHEN n % 3 = 1 THEN FALSE END
FROM generate_series(1, 3000) AS n;
INSERT INTO conversation (chat_id, username, course_id, element_id, element_type, role, json, report, score, maxscore, date_inserted, run_id)
SELECT 5000000000 + r % 400, 'user' || r % 400, 'course-' || 1 + r % 20, 'e' || n % 20, 'dialog', CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END,
    '{\"n\": ' || n || '}', CASE WHEN n % 5 = 0 THEN 'good' END, (n % 10) / 3.0, 3.3, TIMESTAMP '2025-03-01 12:00:00.654321' + n * INTERVAL '13 seconds', r
FROM (SELECT n, 1 + n % 3000 AS r FROM generate_series(1, 9000) AS n) AS numbered;
INSERT INTO waiting_element (chat_id, waiting_till_date, is_waiting, element_id, course_id, botname)
SELECT chat_id, date_inserted + INTERVAL '1 day', run_id % 2 = 0, 'e1', course_id, botname FROM run WHERE run_id % 10 = 1;
";

const DIRT: &str = "
INSERT INTO course (course_id, bot_name, date_created, yaml) VALUES
    ('copied', 'bot-1', '2025-05-01', 'title: old'),
    ('copied', 'bot-2', '2025-06-01', 'title: new'),
    ('copied', 'bot-3', NULL, 'title: new'),
    ('copied', '', '2025-07-01', 'title: nobody''s'),
    ('copied', 'bot-4', '2025-08-01', NULL),
    ('twin', 'bot-b', '2025-05-01', 'a: 1'),
    ('twin', 'bot-a', '2025-05-01', 'a: 1'),
    ('botless', '', '2025-05-01', 'a: 2'),
    ('blank', '  ', '2025-05-01', 'a: 3');
INSERT INTO course_element (element_id, json, element_type, course_id, bot_name) VALUES
    ('x', 'old', 'message', 'copied', 'bot-1'), ('y', 'old', 'quiz', 'copied', 'bot-1'),
    ('x', 'new', 'message', 'copied', 'bot-2'), ('y', 'new', 'quiz', 'copied', 'bot-2'),
    ('x', NULL, NULL, 'copied', 'bot-9'), ('z', '{}', 'message', 'twin', 'bot-b'),
    ('o', 'orphan', 'message', 'never', 'bot-1'), ('n', 'no course', 'message', NULL, NULL);
INSERT INTO courseparticipants (course_id, username) VALUES
    ('course-1', 'twice'), ('course-1', 'twice'), ('course-1', 'twice'), ('course-2', 'twice'),
    ('copied', 'anna'), ('copied', 'anna'), ('never', 'orphan'), ('never', 'orphan'), ('course-1', '');
INSERT INTO bannedparticipants (botname, chat_id, banned_at, ban_reason, excluded) VALUES
    ('bot-1', 77, '2025-01-01', 'first', 0), ('bot-1', 77, '2025-01-02', 'second', 0), ('bot-1', 77, NULL, NULL, 1),
    ('bot-1', 78, '2025-01-01', 'null', NULL), ('bot-1', 78, '2025-01-01', 'null', NULL),
    ('', 77, '2025-01-01', 'nobody''s', 0), ('', 77, '2025-01-01', 'nobody''s', 0), ('bot-of-bans', 79, '2025-05-05', '', 0);
INSERT INTO gen_settings (id, bot_name, s_key, s_value) VALUES (-1, '', 'k', 'v'), (0, 'bot-of-settings', 'k', NULL);
INSERT INTO run (run_id, chat_id, username, botname, course_id, date_inserted, is_ended) VALUES
    (10001, 42, 'a', NULL, 'course-1', '2025-05-01', FALSE), (10002, 42, 'a', '', 'course-1', NULL, NULL),
    (10003, 42, 'a', '   ', 'course-1', '2025-05-01', TRUE), (10004, 43, 'b', 'bot-1', 'never', '2025-05-01', FALSE),
    (10005, 43, 'b', 'bot-of-runs', NULL, '2025-05-01', NULL), (10006, NULL, 'c', 'bot-1', 'course-1', '2025-05-01', NULL),
    (10007, NULL, 'c', 'bot-1', 'course-1', '2025-05-01', NULL), (10008, 44, 'd', 'bot-1', 'copied', '2025-05-03', FALSE),
    (10009, 44, 'd', 'bot-1', 'course-1', '2025-05-02', NULL), (10010, 44, 'd', 'bot-1', 'course-1', '2025-05-01', FALSE),
    (10011, 44, 'd', 'bot-1', 'course-1', '2025-05-04', TRUE), (10012, 44, 'd', 'bot-2', 'copied', '2025-05-04', FALSE),
    (10013, 44, 'd', 'bot-7', 'botless', 'infinity', FALSE), (10014, 45, E'o''neil\\n\\t\"x\"', ' bot-1', 'course-1', '0044-03-15 BC', FALSE);
INSERT INTO conversation (chat_id, course_id, role, json, report, score, maxscore, date_inserted, run_id) VALUES
    (42, 'course-1', 'user', E'{\"a\":  1}\\n', E'tab\\there, \\\\ and ''quotes'' — ünïcödé 🙂', 'NaN', 'Infinity', '-infinity', 999999),
    (42, 'course-1', 'user', '', '', 1e-38, 3.4e38, '2025-05-01 00:00:00.000001', 999998),
    (42, 'course-1', 'user', NULL, NULL, NULL, NULL, NULL, 0), (42, 'course-1', 'user', 'no run', NULL, 0.1, 0.2, '2025-05-05', NULL),
    (43, 'course-2', 'user', 'other course than its run', NULL, 0.1, 0.2, '2025-05-05', 10004), (44, NULL, NULL, NULL, NULL, '-0', 0, '2025-05-05', 10008);
INSERT INTO waiting_element (chat_id, waiting_till_date, is_waiting, element_id, course_id, botname) VALUES
    (44, '2025-06-01', TRUE, 'x', 'copied', 'bot-1'), (44, '2025-06-01', TRUE, 'x', 'course-1', 'bot-1'), (44, NULL, NULL, NULL, NULL, NULL),
    (44, '2025-06-01', TRUE, 'x', 'never', ''), (44, '2025-06-01', TRUE, 'x', 'never', 'bot-of-waits');
";
