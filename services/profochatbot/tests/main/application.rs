//! The application's role: what it writes goes on being written while the service's migrations run.

use crate::support::realistic;
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
