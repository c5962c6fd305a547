//! The application's role: what it writes goes on being written while the service's migrations run.

use crate::support::{EXPANDED, realistic};
use migration_kit::CheckKind;
use migration_testing::application_finds_its_own_tables;
use profochatbot_migration::entity::run;
use profochatbot_migration::service;

/// Writes to each table of the single-tenant application, with bots that nobody has named before. A course that has
/// deployments stays.
const STATEMENTS: [&str; 23] = [
    "INSERT INTO run (run_id, chat_id, username, botname, course_id) VALUES (-1, -1, 'u', 'new bot', 'new course')",
    "INSERT INTO course (course_id, bot_name) VALUES ('new course', 'new bot') ON CONFLICT DO NOTHING",
    "INSERT INTO course_element (course_element_id, element_id, course_id, bot_name) VALUES (-1, 'e', 'new course', 'new bot')",
    "INSERT INTO courseparticipants (courseparticipant_id, course_id, username) VALUES (-1, 'new course', 'new user')",
    "INSERT INTO bannedparticipants (bannedparticipant_id, botname, chat_id, excluded) VALUES (-1, 'banning bot', -1, 0)",
    "INSERT INTO gen_settings (id, bot_name, s_key) VALUES (-1, 'set bot', 'k')",
    "INSERT INTO waiting_element (waiting_element_id, chat_id, course_id, botname) VALUES (-1, -1, 'new course', 'new bot')",
    "INSERT INTO conversation (conversation_id, chat_id, course_id, run_id) VALUES (-1, -1, 'new course', -1)",
    "UPDATE run SET is_ended = true, botname = 'newer bot' WHERE run_id = -1",
    "UPDATE course SET yaml = 'a: 1' WHERE course_id = 'new course'",
    "UPDATE course_element SET json = '{}' WHERE course_element_id = -1",
    "UPDATE courseparticipants SET username = 'newer user' WHERE courseparticipant_id = -1",
    "UPDATE bannedparticipants SET botname = 'newer bot' WHERE bannedparticipant_id = -1",
    "UPDATE gen_settings SET bot_name = 'newer bot' WHERE id = -1",
    "UPDATE waiting_element SET botname = 'newer bot' WHERE waiting_element_id = -1",
    "UPDATE conversation SET json = '{}' WHERE conversation_id = -1",
    "DELETE FROM conversation WHERE conversation_id = -1",
    "DELETE FROM waiting_element WHERE waiting_element_id = -1",
    "DELETE FROM gen_settings WHERE id = -1",
    "DELETE FROM bannedparticipants WHERE bannedparticipant_id = -1",
    "DELETE FROM courseparticipants WHERE courseparticipant_id = -1",
    "DELETE FROM course_element WHERE course_element_id = -1",
    "DELETE FROM run WHERE run_id = -1",
];

#[tokio::test]
async fn a_role_that_owns_nothing_writes_before_between_and_after_all_expand_steps() {
    let scratch = realistic().await;
    scratch.expand_beside_application(&STATEMENTS).await;
    scratch.verify().await;
}

#[tokio::test]
async fn the_application_finds_its_own_tables() {
    application_finds_its_own_tables::<run::Entity>(service(), profochatbot_migration::connect_options).await;
}

/// Rows that the schema permits and that break what the migrations have linked: no check fails because of them, and each is
/// counted.
const PERMITTED: [&str; 11] = [
    "INSERT INTO account (account_id, name, slug) VALUES (2, 'Second', 'second')",
    "INSERT INTO bot (bot_id, account_id, bot_name) VALUES (-2, 2, 'bot of another account')",
    "INSERT INTO course (account_id, course_id, bot_name) VALUES (1, 'undeployed', 'bot-1')",
    "INSERT INTO run (run_id, account_id, chat_id, botname, course_id) VALUES (-2, 1, -2, 'bot of no number', 'course-1')",
    "INSERT INTO run (run_id, account_id, chat_id, botname, bot_id, course_id, is_ended, is_active) \
     VALUES (-3, 1, -3, 'bot-1', -2, 'course-1', TRUE, TRUE)",
    "INSERT INTO run (run_id, account_id, chat_id, bot_id, deployment_id, course_id) \
     SELECT -4, 2, -4, -2, min(deployment_id), 'course-9' FROM course_deployment WHERE course_id = 'course-1'",
    "INSERT INTO conversation (conversation_id, account_id, chat_id, course_id, run_id) VALUES (-2, 1, -2, 'course-9', -2)",
    "INSERT INTO conversation (conversation_id, account_id, chat_id, course_id, run_id) VALUES (-3, 2, -2, 'course-1', -2)",
    "INSERT INTO waiting_element (account_id, chat_id, course_id, botname, bot_id) VALUES (1, -2, 'course-1', 'bot-1', -2)",
    "INSERT INTO bannedparticipants (account_id, botname, chat_id, excluded) VALUES (1, 'new ban', -2, 0)",
    "INSERT INTO gen_settings (id, account_id, bot_name, s_key) VALUES (-2, 1, 'new setting', 'k')",
];

#[tokio::test]
async fn no_check_fails_because_of_a_row_that_the_schema_permits() {
    let scratch = realistic().await;
    scratch.up_to(EXPANDED).await;
    scratch.verify_beside_application(&PERMITTED).await;

    let scratch = realistic().await;
    scratch.up_contract().await;
    scratch.verify_beside_application(&PERMITTED).await;
    let mut figures = Vec::new();
    for migration in profochatbot_migration::migrations() {
        for check in migration.details().checks.iter().filter(|check| check.kind == CheckKind::Report) {
            let answer = scratch.rows(&check.sql).await.concat();
            if answer != "none" && !check.says.contains("token") {
                figures.push(format!("{}: {answer}", check.says));
            }
        }
    }
    assert_eq!(
        figures,
        [
            "links that do not agree with their row: runs with a deployment of another account, course or bot (1), \
             rows of `run` with a bot of another account (1), rows of `waiting_element` with a bot of another account (1), \
             courses that the bot that they name does not deploy (1)",
            "conversations that do not agree with their run on account and course: 2, of which 0 are listed as rejects \
             and 2 were written since",
            "rows that no trigger links any more: courses with a bot name and no deployment (1), rows of `run` with a bot name \
             and no bot (1), active runs with a bot and a course, and no deployment (1), ended runs that are active (1), \
             rows of `bannedparticipants` with a bot name and no bot (1), rows of `gen_settings` with a bot name and no bot (1)",
        ]
    );
}
