//! Many tenants: code that knows accounts and bots by their numbers, beside code that still writes names, and alone.

use migration_testing::Scratch;
use profochatbot_migration::entity::{bannedparticipants, course, courseparticipants, gen_settings};
use profochatbot_migration::{connect_options, service};
use sea_orm::{ActiveModelTrait, ConnectionTrait, Database, DbErr, Set};

use crate::support::{BASE, EXPANDED, base, digests, dirty, realistic, rejects};

/// The end of the single-tenant application's time; names are still keys.
const NAMED: &str = "m20260201_000004_drop_default_account";
const TRIGGERS: &str = "m20260301_000001_create_name_triggers";
const SETTINGS: &str = "m20260401_000001_normalize_settings";

/// What code writes that knows accounts, and names too.
const WITH_NAMES: [&str; 9] = [
    "INSERT INTO course (course_id, bot_name, account_id) VALUES ('named', 'bot-1', 1)",
    "INSERT INTO courseparticipants (course_id, username, account_id) VALUES ('named', 'user', 1)",
    "INSERT INTO bannedparticipants (botname, bot_id, chat_id, excluded, account_id) VALUES ('bot-1', 500, -1, 0, 1)",
    "INSERT INTO gen_settings (id, bot_name, bot_id, s_key, account_id) VALUES ((SELECT max(id) + 1 FROM gen_settings), 'bot-1', 500, 'named', 1)",
    "UPDATE gen_settings SET s_value = 'v' WHERE s_key = 'named' AND bot_name = 'bot-1'",
    "UPDATE bannedparticipants SET botname = 'bot-1', bot_id = 500 WHERE chat_id = -1",
    "DELETE FROM gen_settings WHERE s_key = 'named'",
    "DELETE FROM bannedparticipants WHERE chat_id = -1",
    "DELETE FROM course WHERE course_id = 'named'",
];

/// What code writes that no longer knows names.
const WITHOUT_NAMES: [&str; 12] = [
    "INSERT INTO course (course_id, account_id) VALUES ('numbered', 1)",
    "INSERT INTO course_element (element_id, course_id, account_id) VALUES ('e', 'numbered', 1)",
    "INSERT INTO course_deployment (course_id, account_id, bot_id) VALUES ('numbered', 1, 500)",
    "INSERT INTO courseparticipants (course_id, account_id, chat_id) VALUES ('numbered', 1, -2)",
    "INSERT INTO bannedparticipants (bot_id, chat_id, excluded, account_id) VALUES (500, -2, 0, 1)",
    "INSERT INTO gen_settings (bot_id, s_key, account_id) VALUES (500, 'numbered', 1), (500, 'another', 1)",
    "INSERT INTO run (account_id, bot_id, deployment_id, chat_id, course_id) \
     SELECT account_id, bot_id, deployment_id, -2, course_id FROM course_deployment WHERE course_id = 'numbered'",
    "INSERT INTO waiting_element (account_id, bot_id, run_id, chat_id, course_id) \
     SELECT account_id, bot_id, run_id, chat_id, course_id FROM run WHERE chat_id = -2",
    "DELETE FROM run WHERE chat_id = -2",
    "DELETE FROM gen_settings WHERE bot_id = 500",
    "DELETE FROM bannedparticipants WHERE chat_id = -2",
    "DELETE FROM course WHERE course_id = 'numbered'",
];

/// Rows of the application as they should be, with a bot of a known number, before names are given up.
async fn named() -> Scratch {
    let scratch = realistic().await;
    scratch.up_to(NAMED).await;
    scratch
        .execute(
            "UPDATE bot SET bot_name = 'former ' || bot_name WHERE bot_name = 'bot-1'; \
                     INSERT INTO bot (bot_id, account_id, bot_name) VALUES (500, 1, 'bot-1')",
        )
        .await;
    scratch
}

#[tokio::test]
async fn code_with_names_and_code_without_work_side_by_side() {
    let scratch = named().await;
    // It owns nothing, and has rights on what there is now.
    let application = scratch.as_application_role().await;
    for (step, without_names) in [(NAMED, false), (TRIGGERS, true), (SETTINGS, true)] {
        scratch.up_to(step).await;
        for statement in
            WITH_NAMES.iter().chain(without_names.then_some(&WITHOUT_NAMES).into_iter().flatten())
        {
            application.execute(statement).await;
        }
    }
    scratch.verify().await;
    scratch.up_contract().await;
    for statement in WITH_NAMES.iter().chain(&WITHOUT_NAMES) {
        application.execute(statement).await;
    }
    scratch.verify().await;
}

/// Code that reads names finds what code without names wrote.
#[tokio::test]
async fn rows_without_names_get_them_while_old_code_reads_them() {
    let scratch = named().await;
    scratch.up_to(TRIGGERS).await;
    for statement in &WITHOUT_NAMES[..8] {
        scratch.execute(statement).await;
    }
    let names = "SELECT format('%s %s %s %s', (SELECT botname FROM run WHERE chat_id = -2), \
                 (SELECT botname FROM waiting_element WHERE chat_id = -2), \
                 (SELECT botname FROM bannedparticipants WHERE chat_id = -2), \
                 (SELECT string_agg(format('%s:%s', id, bot_name), ',' ORDER BY id) FROM gen_settings WHERE bot_id = 500)) \
                 FROM course JOIN course_element USING (course_id) JOIN courseparticipants USING (course_id) \
                 WHERE course_id = 'numbered' AND course.bot_name = '' AND course_element.bot_name = '' AND username = ''";
    assert_eq!(scratch.rows(names).await, ["bot-1 bot-1 bot-1 61:bot-1,62:bot-1"]);
    // Another bot has another name, also where only its number is written; a name that is given is kept.
    scratch
        .execute(
            "INSERT INTO bot (bot_id, account_id, bot_name) VALUES (501, 1, 'next'); \
             UPDATE bannedparticipants SET bot_id = 501 WHERE chat_id = -2; \
             UPDATE gen_settings SET bot_id = 501, bot_name = 'given' WHERE s_key = 'another'; \
             INSERT INTO gen_settings (id, bot_name, bot_id, s_key, account_id) VALUES (70, 'given', 500, 'k', 1); \
             INSERT INTO gen_settings (bot_id, s_key, account_id) VALUES (500, 'next', 1)",
        )
        .await;
    let changed = "SELECT botname FROM bannedparticipants WHERE bot_id = 501 UNION ALL (SELECT id || bot_name FROM gen_settings WHERE id > 61 ORDER BY id)";
    assert_eq!(scratch.rows(changed).await, ["next", "62given", "70given", "71bot-1"]);
    scratch.up_contract().await;
    scratch.execute("INSERT INTO gen_settings (bot_id, s_key, account_id) VALUES (500, 'last', 1)").await;
    assert_eq!(scratch.rows("SELECT id, bot_name FROM gen_settings WHERE s_key = 'last'").await, ["72|∅"]);
    scratch.verify().await;
}

/// Between the step that takes copies of settings away and the one from which the server numbers them, too.
#[tokio::test]
async fn the_number_of_a_setting_that_left_is_not_given_again() {
    let scratch = base().await;
    scratch
        .execute("INSERT INTO gen_settings (id, bot_name, s_key) VALUES (1, 'bot', 'k'), (2, 'bot', 'k'), (3, 'bot', 'k')")
        .await;
    let before = scratch.table_digest("gen_settings").await;
    scratch.up_to(SETTINGS).await;
    let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM gen_settings";
    assert_eq!(scratch.rows(ids).await, ["1"]);
    scratch.execute("INSERT INTO gen_settings (account_id, bot_name, s_key) VALUES (1, 'bot', 'new')").await;
    assert_eq!(scratch.rows(ids).await, ["1,4"]);
    scratch.up_contract().await;
    scratch
        .execute("INSERT INTO gen_settings (account_id, bot_name, s_key) VALUES (1, 'bot', 'newer')")
        .await;
    assert_eq!(scratch.rows(ids).await, ["1,4,5"]);
    scratch.execute("DELETE FROM gen_settings WHERE id > 3").await;
    scratch.down_to(crate::support::BASE).await;
    assert_eq!(scratch.table_digest("gen_settings").await, before);
}

/// The statements of the document's "manual actions", its checks, and the calls of its new code as the statements that
/// they are, for two accounts alike.
#[tokio::test]
async fn the_new_code_of_the_document_runs_for_two_accounts() {
    let scratch = base().await;
    scratch
        .execute(
            "INSERT INTO course (course_id, bot_name) VALUES ('course1', 'bot5');
             INSERT INTO run (chat_id, botname, course_id) VALUES (1, 'bot5', 'course1');
             INSERT INTO gen_settings (id, bot_name, s_key) VALUES (2, 'bot5', 'k')",
        )
        .await;
    scratch.up_contract().await;
    scratch
        .execute(
            "INSERT INTO account (name, slug) VALUES ('Second', 'second');
             INSERT INTO bot (account_id, bot_name) VALUES (2, 'bot5');
             INSERT INTO course (account_id, course_id) VALUES (2, 'course1');
             INSERT INTO course_deployment (course_id, account_id, bot_id) SELECT 'course1', 2, bot_id FROM bot WHERE account_id = 2",
        )
        .await;
    for account in [1, 2] {
        scratch
            .execute(&format!(
                "INSERT INTO account_member (account_id, telegram_user_id, telegram_username, role) \
                 VALUES ({account}, 4711, 'your_username', 'owner')"
            ))
            .await;
        // `get_deployment_by_course_and_bot(course_id, bot_id, account_id)`
        let bot = scratch
            .rows(&format!("SELECT bot_id FROM bot WHERE bot_name = 'bot5' AND account_id = {account}"))
            .await;
        let deployment = scratch
            .rows(&format!(
                "SELECT deployment_id FROM course_deployment WHERE course_id = 'course1' AND bot_id = {} AND account_id = {account}",
                bot[0]
            ))
            .await;
        // `create_run(deployment_id=deployment.deployment_id, chat_id=chat_id, ...)`
        scratch
            .execute(&format!(
                "INSERT INTO run (account_id, bot_id, deployment_id, course_id, chat_id) VALUES ({account}, {}, {}, 'course1', 2)",
                bot[0], deployment[0]
            ))
            .await;
        let db = Database::connect(connect_options(scratch.url())).await.unwrap();
        write_through_entities(&db, account, bot[0].parse().unwrap()).await.unwrap();
    }
    // A name that two accounts use is said with its account.
    let service = service();
    let mut checks = service.migrations().flat_map(|listed| &listed.details().checks);
    let reminder = checks.find(|check| check.says == "bots without a token").unwrap();
    assert_eq!(
        scratch.rows(&reminder.sql).await,
        ["2 without a token, which the task set-bot-token sets: bot5 (account 1), bot5 (account 2)"]
    );
    scratch
        .execute(
            "UPDATE bot SET bot_token = 'YOUR_BOT_TOKEN_HERE' WHERE bot_name = 'bot5' AND account_id = 2;
             INSERT INTO enrollment_token (deployment_id, token, token_type, is_active)
             SELECT deployment_id, 'public_' || deployment_id::text, 'public', TRUE FROM course_deployment",
        )
        .await;
    let counts = "SELECT 'account' as table_name, COUNT(*) as count FROM account UNION ALL SELECT 'bot', COUNT(*) FROM bot \
                  UNION ALL SELECT 'course', COUNT(*) FROM course \
                  UNION ALL SELECT 'course_deployment', COUNT(*) FROM course_deployment UNION ALL SELECT 'run', COUNT(*) FROM run";
    assert_eq!(
        scratch.rows(counts).await,
        ["account|2", "bot|2", "course|4", "course_deployment|2", "run|3"]
    );
    for missing in ["bot_id", "deployment_id"] {
        let runs = format!("SELECT COUNT(*) as runs_without FROM run WHERE {missing} IS NULL");
        assert_eq!(scratch.rows(&runs).await, ["0"]);
    }
    let twice = "SELECT bot_id, chat_id, COUNT(*) as count FROM run WHERE is_active = TRUE GROUP BY bot_id, chat_id HAVING COUNT(*) > 1";
    assert_eq!(scratch.rows(twice).await, [""; 0]);
    let numbers = "SELECT string_agg(id::text, ',' ORDER BY id) FROM gen_settings";
    assert_eq!(scratch.rows(numbers).await, ["2,3,4"]);

    // What names nobody is refused.
    for nobody in [
        "INSERT INTO bannedparticipants (account_id, chat_id) VALUES (1, 9)",
        "INSERT INTO gen_settings (account_id, s_key) VALUES (1, 'k')",
        "INSERT INTO courseparticipants (account_id, course_id) VALUES (1, 'course1')",
        "INSERT INTO course (account_id, course_id, bot_name) VALUES (2, 'course1', 'bot of another name')",
        "INSERT INTO gen_settings (account_id, bot_id, s_key) SELECT account_id, bot_id, s_key FROM gen_settings WHERE id = 3",
    ] {
        scratch.db().execute_unprepared(nobody).await.expect_err(nobody);
    }
    scratch.verify().await;
}

async fn write_through_entities(
    db: &sea_orm::DatabaseConnection,
    account: i32,
    bot: i32,
) -> Result<(), DbErr> {
    let course = course::ActiveModel {
        account_id: Set(account),
        course_id: Set("through entities".to_owned()),
        is_active: Set(true),
        ..Default::default()
    };
    course.insert(db).await?;
    let participant = courseparticipants::ActiveModel {
        account_id: Set(account),
        course_id: Set("through entities".to_owned()),
        chat_id: Set(Some(3)),
        ..Default::default()
    };
    participant.insert(db).await?;
    let ban = bannedparticipants::ActiveModel {
        account_id: Set(account),
        bot_id: Set(Some(bot)),
        chat_id: Set(3),
        ..Default::default()
    };
    ban.insert(db).await?;
    let setting = gen_settings::ActiveModel {
        account_id: Set(account),
        bot_id: Set(Some(bot)),
        s_key: Set("language".to_owned()),
        ..Default::default()
    };
    setting.insert(db).await?;
    Ok(())
}

/// Going back with rows of several accounts: nothing is lost, and old code finds its own rows as they were.
#[tokio::test]
async fn rows_of_two_accounts_go_back() {
    let scratch = dirty().await;
    let rows = digests(&scratch).await;
    scratch.up_contract().await;
    scratch
        .execute(
            "INSERT INTO account (name, slug) VALUES ('Second', 'second'), ('Third', 'third');
             INSERT INTO bot (bot_id, account_id, bot_name) VALUES (600, 2, 'bot-1'), (700, 3, 'bot-1');
             INSERT INTO course (account_id, course_id) VALUES (2, 'course-1'), (3, 'course-1'), (2, 'new'), (3, 'new'), (2, 'alone');
             INSERT INTO course_element (account_id, course_id, element_id) VALUES (2, 'course-1', 'e'), (2, 'alone', 'e');
             INSERT INTO course_deployment (account_id, course_id, bot_id) VALUES (2, 'course-1', 600), (3, 'course-1', 700);
             INSERT INTO courseparticipants (account_id, course_id, chat_id) VALUES (2, 'course-1', 5);
             INSERT INTO bannedparticipants (account_id, bot_id, chat_id) VALUES (2, 600, 5);
             INSERT INTO gen_settings (account_id, bot_id, s_key) VALUES (2, 600, 'k');
             INSERT INTO run (account_id, bot_id, chat_id) VALUES (2, 600, 5);",
        )
        .await;
    scratch.down_to(SETTINGS).await;
    scratch.verify().await;
    let courses = "SELECT account_id, course_id, '[' || bot_name || ']', \
                   (SELECT '[' || e.bot_name || ']' FROM course_element e WHERE e.account_id = c.account_id AND e.course_id = c.course_id) \
                   FROM course c WHERE account_id > 1 OR course_id = 'new' ORDER BY 1, 2";
    assert_eq!(
        scratch.rows(courses).await,
        [
            "2|alone|[]|[]",
            "2|course-1|[bot-1 (account 2)]|[bot-1 (account 2)]",
            "2|new|[]|∅",
            "3|course-1|[bot-1 (account 3)]|∅",
            "3|new|[   ]|∅",
        ]
    );
    let reason = "another account has a course of this name under a bot of this name: its account was added";
    assert_eq!(
        rejects(&scratch, "migration ~ 'drop_names'").await,
        ["2,course-1", "3,course-1", "3,new"].map(|course| format!("course|{course}|bot_name|{reason}"))
    );
    let named = "SELECT botname FROM run WHERE account_id = 2 UNION ALL SELECT botname FROM bannedparticipants WHERE account_id = 2 \
                 UNION ALL SELECT bot_name FROM gen_settings WHERE account_id = 2 \
                 UNION ALL SELECT username FROM courseparticipants WHERE account_id = 2";
    assert_eq!(scratch.rows(named).await, ["bot-1", "bot-1", "bot-1", ""]);

    // Forward again, and then all the way back.
    scratch.up_contract().await;
    scratch.verify().await;
    scratch.down_to(EXPANDED).await;
    scratch.verify().await;
    scratch.execute("DELETE FROM gen_settings WHERE account_id > 1; DELETE FROM run WHERE account_id > 1; \
                     DELETE FROM courseparticipants WHERE account_id > 1; DELETE FROM course_element WHERE account_id > 1; \
                     DELETE FROM course WHERE account_id > 1; DELETE FROM bannedparticipants WHERE account_id > 1").await;
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, rows);
}

#[tokio::test]
async fn repeated_settings_leave_and_come_back() {
    let scratch = base().await;
    scratch
        .execute(
            "INSERT INTO gen_settings (id, bot_name, s_key, s_value) VALUES (1, 'bot', 'k', 'a'), (2, 'bot', 'k', 'a'), \
             (3, 'bot', 'k', 'b'), (4, 'other', 'k', 'b'), (5, '', 'k', 'c'), (6, '', 'k', 'c'), (2147483647, 'bot', 'l', NULL)",
        )
        .await;
    let rows = digests(&scratch).await;
    scratch.up_contract().await;
    scratch.verify().await;
    assert_eq!(
        rejects(&scratch, "moved").await,
        [
            "gen_settings|2||its bot has an earlier setting of this key, with the same value",
            "gen_settings|3||its bot has an earlier setting of this key, with another value",
        ]
    );
    scratch.down_to(BASE).await;
    assert_eq!(digests(&scratch).await, rows);
}
