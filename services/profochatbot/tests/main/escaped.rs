//! Rows that escaped the triggers, because their writer's were off: the last sweep links them, beside unique indexes.

use migration_testing::Scratch;

use crate::support::{base, rejects};

/// The last migration before the sweep.
const BEFORE: &str = "m20260201_000003_check_run_links";
/// The last migration before the rule of one active run.
const BEFORE_RULE: &str = "m20260109_000003_index_chats";

async fn contracted() -> Scratch {
    let scratch = base().await;
    scratch.execute("INSERT INTO course (course_id, bot_name) VALUES ('c', 'bot')").await;
    scratch.up_to(BEFORE).await;
    scratch
}

/// Runs statements as a session in which no trigger fires.
async fn escape(scratch: &Scratch, sql: &str) {
    scratch.execute(&format!("SET LOCAL session_replication_role = replica; {sql}")).await;
}

#[tokio::test]
async fn of_escaped_runs_the_newest_stays_active() {
    let scratch = contracted().await;
    scratch
        .execute(
            "INSERT INTO account (account_id, name, slug) VALUES (2, 'Second', 'second');
             INSERT INTO bot (bot_id, account_id, bot_name) VALUES (500, 2, 'bot');
             INSERT INTO run (run_id, chat_id, botname) VALUES (1, 1, 'bot'), (4, 2, 'bot'), (8, 4, 'bot'), (10, 5, 'bot');",
        )
        .await;
    // Chat 1: newer. 2: older. 3: two of a bot that nobody knew. 4: ended. 5: older, and the newer one was ended.
    // 6: the older one has the bot of another account.
    escape(
        &scratch,
        "INSERT INTO run (run_id, chat_id, botname, bot_id, is_ended) VALUES (2, 1, 'bot', NULL, FALSE), \
             (3, 2, 'bot', NULL, NULL), (5, 3, 'new bot', NULL, NULL), (6, 3, 'new bot', NULL, NULL), \
             (7, 4, 'bot', NULL, TRUE), (9, 5, 'bot', NULL, NULL), (11, 6, 'bot', 500, NULL), (12, 6, 'bot', NULL, NULL); \
         UPDATE run SET is_ended = TRUE WHERE run_id = 10;",
    )
    .await;
    let active = "SELECT run_id FROM run WHERE is_active ORDER BY 1";
    let listed = "table_name = 'run' AND field = 'is_active'";

    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(active).await, ["2", "4", "6", "8", "9", "12"]);
    assert_eq!(
        rejects(&scratch, listed).await,
        [
            "run|1|is_active|its chat has a newer active run with the bot: this one is not active any more",
            "run|3|is_active|its chat has a newer active run with the bot: this one is not active any more",
            "run|5|is_active|its chat has a newer active run with the bot: this one is not active any more",
            "run|11|is_active|its chat has a newer active run with the bot: this one is not active any more",
        ]
    );

    scratch.down_to(BEFORE_RULE).await;
    assert_eq!(scratch.rows(active).await, ["1", "2", "3", "4", "5", "6", "8", "9", "11", "12"]);
    assert_eq!(rejects(&scratch, listed).await, [""; 0]);
    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(active).await, ["2", "4", "6", "8", "9", "12"]);
}

#[tokio::test]
async fn an_escaped_ban_that_its_bot_has_already_leaves() {
    let scratch = contracted().await;
    scratch
        .execute("INSERT INTO bannedparticipants (botname, chat_id, excluded) VALUES ('bot', 77, 0)")
        .await;
    escape(
        &scratch,
        "INSERT INTO bannedparticipants (botname, chat_id, ban_reason, excluded) VALUES ('bot', 77, 'again', 0), \
             ('bot', 77, NULL, 1), ('new bot', 78, NULL, 0), ('new bot', 78, 'again', 0), ('', 77, NULL, 0), \
             ('bot', 79, NULL, NULL), ('bot', 79, NULL, NULL);",
    )
    .await;
    let bans = "SELECT bannedparticipant_id, ban_reason, bot_name FROM bannedparticipants LEFT JOIN bot USING (bot_id) ORDER BY 1";
    let swept = ["1|∅|bot", "3|∅|bot", "4|∅|new bot", "6|∅|∅", "7|∅|bot", "8|∅|bot"];

    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(bans).await, swept);
    assert_eq!(
        rejects(&scratch, "table_name = 'bannedparticipants' AND moved").await,
        [
            "bannedparticipants|2||its bot has another ban of this chat",
            "bannedparticipants|5||its bot has another ban of this chat",
        ]
    );

    scratch.down_to(BEFORE).await;
    assert_eq!(
        scratch.rows(bans).await,
        ["1|∅|bot", "2|again|∅", "3|∅|bot", "4|∅|new bot", "5|again|∅", "6|∅|∅", "7|∅|bot", "8|∅|bot"]
    );
    assert_eq!(rejects(&scratch, "moved").await, [""; 0]);
    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(scratch.rows(bans).await, swept);
}

/// What a row's names say and what its links say are both there after the sweep, and whoever asks hears of it.
#[tokio::test]
async fn names_that_changed_where_no_trigger_fires_are_listed_and_stay() {
    const LINKS: &str = "links that do not agree with their row";
    let scratch = contracted().await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name) VALUES ('d', 'other'), ('e', 'bot');
             INSERT INTO run (run_id, chat_id, botname, course_id) VALUES (1, 1, 'bot', 'c'), (2, 2, 'bot', 'c'), (3, 3, 'bot', 'c'), \
                 (4, 4, 'bot', 'c'), (5, 5, 'bot', 'c');
             INSERT INTO waiting_element (waiting_element_id, chat_id, botname, course_id) VALUES (1, 1, 'bot', 'c'), \
                 (2, 4, 'bot', 'c'), (3, 3, 'bot', 'c');
             INSERT INTO bannedparticipants (botname, chat_id, excluded) VALUES ('bot', 77, 0);
             INSERT INTO gen_settings (id, bot_name, s_key, s_value) VALUES (1, 'bot', 'k', 'v');",
        )
        .await;
    assert_eq!(answer(&scratch, LINKS).await, "none");
    escape(
        &scratch,
        "UPDATE run SET botname = 'other' WHERE run_id = 1; \
         UPDATE run SET botname = 'other', course_id = 'd' WHERE run_id = 2; \
         UPDATE run SET botname = '' WHERE run_id = 3; \
         UPDATE waiting_element SET chat_id = 2 WHERE waiting_element_id = 1; \
         UPDATE waiting_element SET botname = 'nobody' WHERE waiting_element_id = 3; \
         DELETE FROM run WHERE run_id = 4; \
         UPDATE bannedparticipants SET botname = 'other'; UPDATE gen_settings SET bot_name = 'other'; \
         UPDATE course SET bot_name = 'new' WHERE course_id = 'e'; INSERT INTO bot (account_id, bot_name) VALUES (1, 'new');",
    )
    .await;
    let named = "rows of `run` that name another bot (2), rows of `waiting_element` that name another bot (1), \
         rows of `bannedparticipants` that name another bot (1), rows of `gen_settings` that name another bot (1)";
    assert_eq!(
        answer(&scratch, LINKS).await,
        format!(
            "runs with a deployment of another account, course or bot (1), courses that the bot that they name does not deploy (1), \
             waits for a run of another account, chat, course or bot (2), {named}"
        )
    );
    let previewed = previewed(&scratch).await;
    assert_eq!(
        previewed.join(", "),
        format!("waits for a run of another account, chat, course or bot (2), {named}")
    );

    scratch.up_contract().await;
    scratch.verify().await;
    let runs = "SELECT run_id, botname, bot_name, run.course_id, deployment.course_id FROM run LEFT JOIN bot USING (bot_id) \
         LEFT JOIN course_deployment AS deployment USING (deployment_id) ORDER BY 1";
    assert_eq!(
        scratch.rows(runs).await,
        ["1|other|bot|c|c", "2|other|bot|d|d", "3||bot|c|c", "5|bot|bot|c|c"]
    );
    let others = "SELECT 'wait', waiting_element_id, botname, bot_name, run_id FROM waiting_element LEFT JOIN bot USING (bot_id) \
         UNION ALL SELECT 'ban', bannedparticipant_id, botname, bot_name, NULL FROM bannedparticipants LEFT JOIN bot USING (bot_id) \
         UNION ALL SELECT 'setting', id, s.bot_name, bot.bot_name, NULL FROM gen_settings AS s LEFT JOIN bot USING (bot_id) ORDER BY 1, 2";
    assert_eq!(
        scratch.rows(others).await,
        [
            "ban|1|other|bot|∅",
            "setting|1|other|bot|∅",
            "wait|1|bot|bot|1",
            "wait|2|bot|bot|∅",
            "wait|3|nobody|bot|3"
        ]
    );
    let found = rejects(&scratch, "field <> 'deployment_id'").await;
    for expected in [
        "run|1|botname|names another bot than the one that it is linked to",
        "run|2|botname|names another bot than the one that it is linked to",
        "run|3|botname|names no bot: the run escapes the rule of one active run",
        "waiting_element|1||waits for a run of another chat, course or bot",
        "waiting_element|2|run_id|points to nothing that belongs to the row",
        "waiting_element|3|botname|names another bot than the one that it is linked to",
        "bannedparticipants|1|botname|names another bot than the one that it is linked to",
        "gen_settings|1|bot_name|names another bot than the one that it is linked to",
    ] {
        assert!(found.iter().any(|line| line == expected), "{expected}: {found:#?}");
    }
    assert_eq!(found.len(), 8, "{found:#?}");
    assert_eq!(
        answer(&scratch, LINKS).await,
        format!("waits for a run of another account, chat, course or bot (1), {named}")
    );
    scratch.down_to(BEFORE).await;
    scratch.up_contract().await;
    assert_eq!(rejects(&scratch, "field <> 'deployment_id'").await.len(), 8);
}

/// What a report of the service answers.
async fn answer(scratch: &Scratch, says: &str) -> String {
    let migrations = profochatbot_migration::migrations();
    let checks = migrations.iter().flat_map(|migration| migration.details().checks);
    let check = checks.into_iter().find(|check| check.says == says).unwrap();
    scratch.rows(&check.sql).await.concat()
}

/// What the plan says of rows whose names say something else than their links.
async fn previewed(scratch: &Scratch) -> Vec<String> {
    let migrations = profochatbot_migration::migrations();
    let previews = migrations.iter().flat_map(|migration| migration.details().previews);
    let preview = previews.into_iter().find(|preview| preview.says.contains("something else")).unwrap();
    scratch.rows(&preview.sql).await
}
