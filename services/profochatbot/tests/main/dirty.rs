//! What becomes of rows that are not as they should be: which stay, which leave, and what the rejects say of them.

use crate::support::{BASE, EXPANDED, base, dirty, rejects};

#[tokio::test]
async fn of_the_copies_of_a_course_the_best_stays_and_every_bot_keeps_its_deployment() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    assert_eq!(
        scratch
            .rows("SELECT course_id, bot_name, yaml FROM course WHERE course_id IN ('copied', 'twin') ORDER BY 1")
            .await,
        ["copied|bot-2|title: new", "twin|bot-a|a: 1"]
    );
    assert_eq!(
        rejects(&scratch, "table_name = 'course' AND moved").await,
        [
            "course|,copied||a copy of a course that stands under another bot, with other content",
            "course|bot-1,copied||a copy of a course that stands under another bot, with other content",
            "course|bot-3,copied||a copy of a course that stands under another bot, with the same content",
            "course|bot-4,copied||a copy of a course that stands under another bot, with other content",
            "course|bot-b,twin||a copy of a course that stands under another bot, with the same content",
        ]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT course_id, bot_name, environment FROM course_deployment JOIN bot USING (bot_id) \
                 WHERE course_id IN ('copied', 'twin') ORDER BY 1, 2",
            )
            .await,
        [
            "copied|bot-1|prod",
            "copied|bot-2|prod",
            "copied|bot-3|prod",
            "copied|bot-4|prod",
            "twin|bot-a|prod",
            "twin|bot-b|prod"
        ]
    );
}

/// Two copies that are the same as each other are not the same as the one that stays.
#[tokio::test]
async fn a_copy_is_compared_with_the_one_that_stays() {
    let scratch = base().await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name, date_created, yaml) VALUES
                 ('c', 'first', '2025-04-01', 'x'), ('c', 'second', '2025-03-01', 'y'),
                 ('c', 'third', '2025-02-01', 'y'), ('c', 'fourth', '2025-01-01', 'x')",
        )
        .await;
    scratch.up_contract().await;
    assert_eq!(scratch.rows("SELECT bot_name FROM course").await, ["first"]);
    assert_eq!(
        rejects(&scratch, "table_name = 'course' AND moved").await,
        [
            "course|fourth,c||a copy of a course that stands under another bot, with the same content",
            "course|second,c||a copy of a course that stands under another bot, with other content",
            "course|third,c||a copy of a course that stands under another bot, with other content",
        ]
    );
}

/// The key of a course names no account: another one may have taken it when the copy is to come back.
#[tokio::test]
async fn a_copy_whose_key_was_taken_stays_a_reject() {
    let scratch = base().await;
    scratch
        .execute("INSERT INTO course (course_id, bot_name, yaml) VALUES ('c', 'first', 'x'), ('c', 'second', NULL)")
        .await;
    scratch.up_contract().await;
    scratch
        .execute(
            "INSERT INTO account (account_id, name, slug) VALUES (2, 'Second', 'second');
             INSERT INTO course (course_id, bot_name, account_id) VALUES ('c', 'second', 2);",
        )
        .await;
    scratch.down_to(EXPANDED).await;
    let courses = "SELECT bot_name, account_id FROM course ORDER BY 1";
    assert_eq!(scratch.rows(courses).await, ["first|1", "second|2"]);
    let copy = "course|second,c||a copy of a course that stands under another bot, with other content";
    assert_eq!(rejects(&scratch, "moved").await, [copy]);
    scratch.up_contract().await;
    assert_eq!(scratch.rows(courses).await, ["first|1", "second|2"]);
    assert_eq!(rejects(&scratch, "moved").await, [copy]);
}

#[tokio::test]
async fn elements_leave_with_their_copy_unless_the_course_has_no_others() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    assert_eq!(
        scratch
            .rows(
                "SELECT course_id, bot_name, element_id, json FROM course_element \
                 WHERE course_id IN ('copied', 'twin', 'never') OR course_id IS NULL ORDER BY course_element_id",
            )
            .await,
        ["copied|bot-2|x|new", "copied|bot-2|y|new", "copied|bot-9|x|∅", "twin|bot-b|z|{}", "∅|∅|n|no course"]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT row_data ->> 'json', reason FROM migration_reject_profochatbot \
                 WHERE table_name = 'course_element' AND moved ORDER BY id",
            )
            .await,
        [
            "old|belongs to a copy of a course that stands under another bot",
            "old|belongs to a copy of a course that stands under another bot",
            "orphan|its course does not exist"
        ]
    );
}

#[tokio::test]
async fn runs_that_cannot_be_linked_stay_and_are_listed_once() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    assert_eq!(
        rejects(&scratch, "table_name = 'run' AND (row_key ->> 'run_id')::int > 10000").await,
        [
            "run|10001|botname|names no bot: the run escapes the rule of one active run",
            "run|10002|botname|names no bot: the run escapes the rule of one active run",
            "run|10003|botname|names no bot: the run escapes the rule of one active run",
            "run|10006|chat_id|names no chat: the run escapes the rule of one active run",
            "run|10007|chat_id|names no chat: the run escapes the rule of one active run",
            "run|10004|course_id|there is no such course: the run has no deployment",
            "run|10005|course_id|names no course: the run has no deployment",
            "run|10008|is_active|its chat has a newer active run with the bot: this one is not active any more",
            "run|10009|is_active|its chat has a newer active run with the bot: this one is not active any more",
        ]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT run_id, bot.bot_name, course_deployment.course_id, run.is_active FROM run \
                 LEFT JOIN bot USING (bot_id) LEFT JOIN course_deployment USING (deployment_id) \
                 WHERE run_id > 10000 ORDER BY 1",
            )
            .await,
        [
            "10001|∅|∅|t",
            "10002|∅|∅|t",
            "10003|∅|∅|f",
            "10004|bot-1|∅|t",
            "10005|bot-of-runs|∅|t",
            "10006|bot-1|course-1|t",
            "10007|bot-1|course-1|t",
            "10008|bot-1|copied|f",
            "10009|bot-1|course-1|f",
            "10010|bot-1|course-1|t",
            "10011|bot-1|course-1|f",
            "10012|bot-2|copied|t",
            "10013|bot-7|botless|t",
            "10014| bot-1|course-1|t"
        ]
    );
}

#[tokio::test]
async fn a_bot_is_made_of_every_name_wherever_it_stands() {
    let scratch = dirty().await;
    scratch.up().await;
    assert_eq!(
        scratch.rows("SELECT '[' || bot_name || ']', account_id, bot_token FROM bot ORDER BY bot_name COLLATE \"C\"").await,
        [
            "[ bot-1]|1|∅",
            "[bot-0]|1|∅",
            "[bot-1]|1|∅",
            "[bot-2]|1|∅",
            "[bot-3]|1|∅",
            "[bot-4]|1|∅",
            "[bot-7]|1|∅",
            "[bot-a]|1|∅",
            "[bot-b]|1|∅",
            "[bot-of-bans]|1|∅",
            "[bot-of-runs]|1|∅",
            "[bot-of-settings]|1|∅",
            "[bot-of-waits]|1|∅"
        ]
    );
}

#[tokio::test]
async fn of_participants_and_bans_the_first_stays() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    assert_eq!(
        scratch
            .rows(
                "SELECT course_id, username, count(*) FROM courseparticipants \
                 WHERE username !~ '^user' GROUP BY 1, 2 ORDER BY 1, 2",
            )
            .await,
        ["copied|anna|1", "course-1||1", "course-1|twice|1", "course-2|twice|1"]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT botname, chat_id, ban_reason, excluded FROM bannedparticipants \
                 WHERE chat_id < 80 ORDER BY bannedparticipant_id",
            )
            .await,
        [
            "bot-1|77|first|0",
            "bot-1|77|∅|1",
            "bot-1|78|null|∅",
            "bot-1|78|null|∅",
            "|77|nobody's|0",
            "|77|nobody's|0",
            "bot-of-bans|79||0"
        ]
    );
    assert_eq!(
        scratch
            .rows(
                "SELECT table_name, row_data ->> 'ban_reason', row_data ->> 'username', reason \
                 FROM migration_reject_profochatbot \
                 WHERE moved AND table_name IN ('bannedparticipants', 'courseparticipants') ORDER BY id",
            )
            .await,
        [
            "courseparticipants|∅|orphan|its course does not exist",
            "courseparticipants|∅|orphan|its course does not exist",
            "courseparticipants|∅|twice|stands in its course already",
            "courseparticipants|∅|twice|stands in its course already",
            "courseparticipants|∅|anna|stands in its course already",
            "bannedparticipants|second|∅|its bot has an earlier ban of this chat"
        ]
    );
}

#[tokio::test]
async fn conversations_of_no_run_leave_and_those_of_another_course_are_listed() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    assert_eq!(
        scratch
            .rows(
                "SELECT row_data ->> 'run_id', row_data ->> 'score', field, reason FROM migration_reject_profochatbot \
                 WHERE table_name = 'conversation' ORDER BY id",
            )
            .await,
        [
            "999999|NaN||its run does not exist",
            "999998|1e-38||its run does not exist",
            "0|∅||its run does not exist",
            "10004|0.1|course_id|its run has another account or course"
        ]
    );
    assert_eq!(scratch.rows("SELECT count(*) FROM conversation").await, ["9003"]);
}

#[tokio::test]
async fn a_wait_gets_the_newest_active_run_of_its_chat_course_and_bot() {
    let scratch = dirty().await;
    scratch.up().await;
    assert_eq!(
        scratch
            .rows(
                "SELECT waiting_element.course_id, waiting_element.botname, bot.bot_name, waiting_element.run_id \
                 FROM waiting_element LEFT JOIN bot USING (bot_id) WHERE chat_id = 44 ORDER BY waiting_element_id",
            )
            .await,
        [
            "copied|bot-1|bot-1|10008",
            "course-1|bot-1|bot-1|10010",
            "∅|∅|∅|∅",
            "never||∅|∅",
            "never|bot-of-waits|bot-of-waits|∅"
        ]
    );
    assert_eq!(rejects(&scratch, "table_name = 'waiting_element'").await.len(), 2);
}

#[tokio::test]
async fn times_of_old_rows_are_not_those_of_the_migration() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    for (table, column) in [
        ("courseparticipants", "added_at"),
        ("course", "updated_at"),
        ("waiting_element", "created_at"),
        ("gen_settings", "created_at"),
        ("gen_settings", "updated_at"),
        ("run", "ended_at"),
    ] {
        let known = format!("SELECT count({column}) FROM {table}");
        assert_eq!(scratch.rows(&known).await, ["0"], "{table}.{column}");
    }
    scratch
        .execute("INSERT INTO courseparticipants (course_id, username, account_id) VALUES ('twin', 'new', 1)")
        .await;
    assert_eq!(scratch.rows("SELECT count(added_at) FROM courseparticipants").await, ["1"]);
}

/// As many bytes as an index does not take, whatever PostgreSQL compresses.
const LONG: &str = "(SELECT string_agg(md5(n::text), '') FROM generate_series(1, 282) AS n)";

#[tokio::test]
async fn bot_names_too_long_for_an_index_are_rejects() {
    let scratch = base().await;
    let old_code = [
        format!("INSERT INTO run (chat_id, botname, course_id) VALUES (1, {LONG}, 'c')"),
        format!("INSERT INTO waiting_element (chat_id, botname) VALUES (1, {LONG})"),
        // Short enough for the key of a course, too long for that of its reject and its deployment.
        format!(
            "INSERT INTO course (course_id, bot_name) SELECT left({LONG}, 2650) || count(*), ' ' FROM course"
        ),
    ];
    let old_code: Vec<&str> = old_code.iter().map(String::as_str).collect();
    scratch.expand_beside_application(&old_code).await;
    scratch.verify().await;
    scratch.up_contract().await;
    assert_eq!(scratch.rows("SELECT bot_name FROM bot").await, [""; 0]);
    let reasons = scratch
        .rows("SELECT table_name, reason, count(*) > 1 FROM migration_reject_profochatbot WHERE field LIKE 'bot%' GROUP BY 1, 2 ORDER BY 1, 2")
        .await;
    assert_eq!(
        reasons,
        [
            "course|names no bot: the course is deployed only by bots whose runs show it|t",
            "run|has a bot name of more than 2000 bytes, which names no bot: the run escapes the rule of one active run|t",
            "waiting_element|has a bot name of more than 2000 bytes, which names no bot|t",
        ]
    );
}

#[tokio::test]
async fn settings_are_numbered_after_those_that_left() {
    let scratch = base().await;
    scratch
        .execute(
            "INSERT INTO gen_settings (id, bot_name, s_key) SELECT n, 'bot', 'k' || n % 40 FROM generate_series(1, 60) AS n; \
             INSERT INTO gen_settings (id, bot_name, s_key) VALUES (2147483647, 'bot', 'last')",
        )
        .await;
    let before = scratch.table_digest("gen_settings").await;
    scratch.up_contract().await;
    scratch.execute("INSERT INTO gen_settings (account_id, bot_name, s_key) VALUES (1, 'new', 'k')").await;
    assert_eq!(
        scratch.rows("SELECT id FROM gen_settings WHERE id > 40 ORDER BY 1").await,
        ["61", "2147483647"]
    );
    let high = "gen_settings|2147483647|id|leaves no room for the numbers of further settings: they are numbered below it";
    assert_eq!(rejects(&scratch, "harmless AND field = 'id'").await, [high]);
    scratch.execute("DELETE FROM gen_settings WHERE bot_name = 'new'").await;
    scratch.down_to(BASE).await;
    assert_eq!(rejects(&scratch, "table_name = 'gen_settings'").await, [""; 0]);
    assert_eq!(scratch.table_digest("gen_settings").await, before);
}
