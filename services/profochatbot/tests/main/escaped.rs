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
