//! The schema at head: the names that were promised, and that the application's entities read it.

use migration_testing::conformance;
use profochatbot_migration::{entity, service};
use sea_orm::EntityTrait;

use crate::support::{base, dirty};

#[tokio::test]
async fn the_migrations_conform() {
    conformance(service()).await;
}

#[tokio::test]
async fn every_table_is_read_through_its_entity() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    let db = scratch.db();
    assert_eq!(entity::account::Entity::find().all(db).await.unwrap().len(), 1);
    assert_eq!(entity::account_member::Entity::find().all(db).await.unwrap().len(), 0);
    assert_eq!(entity::bannedparticipants::Entity::find().all(db).await.unwrap().len(), 207);
    assert_eq!(entity::bot::Entity::find().all(db).await.unwrap().len(), 13);
    assert_eq!(entity::course::Entity::find().all(db).await.unwrap().len(), 24);
    assert_eq!(entity::course_deployment::Entity::find().all(db).await.unwrap().len(), 28);
    assert_eq!(entity::course_element::Entity::find().all(db).await.unwrap().len(), 405);
    assert_eq!(entity::courseparticipants::Entity::find().all(db).await.unwrap().len(), 1004);
    assert_eq!(entity::enrollment_token::Entity::find().all(db).await.unwrap().len(), 0);
    assert_eq!(entity::gen_settings::Entity::find().all(db).await.unwrap().len(), 62);
    assert_eq!(entity::waiting_element::Entity::find().all(db).await.unwrap().len(), 305);
    // Times before our era and at the end of all days are not the entities' to read.
    db_rows_of_our_time(&scratch).await;
    assert_eq!(entity::run::Entity::find().all(db).await.unwrap().len(), 3012);
    assert_eq!(entity::conversation::Entity::find().all(db).await.unwrap().len(), 9003);
}

async fn db_rows_of_our_time(scratch: &migration_testing::Scratch) {
    scratch
        .execute("DELETE FROM run WHERE NOT isfinite(date_inserted) OR date_inserted < '0001-01-01'")
        .await;
}

#[tokio::test]
async fn constraints_and_indexes_have_the_names_that_were_promised() {
    let scratch = dirty().await;
    scratch.up_contract().await;
    let foreign_keys = "SELECT conname, confrelid::regclass, confdeltype, convalidated FROM pg_constraint \
                        WHERE contype = 'f' AND connamespace = 'profochatbot'::regnamespace ORDER BY 1";
    assert_eq!(scratch.rows(foreign_keys).await, FOREIGN_KEYS);
    let indexes = "SELECT indexrelid::regclass FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid \
                   WHERE relnamespace = 'profochatbot'::regnamespace AND indisvalid AND relname ~ '^idx_' ORDER BY 1";
    let mut names = scratch.rows(indexes).await;
    names.sort_unstable();
    assert_eq!(names, INDEXES);
}

/// Somebody else may have tables, triggers and functions in the schema.
#[tokio::test]
async fn the_checks_ask_for_what_is_the_services_own() {
    let scratch = base().await;
    scratch.up().await;
    scratch.execute("CREATE FUNCTION bot_of(text) RETURNS integer LANGUAGE sql AS 'SELECT 1'").await;
    scratch.verify().await;
    scratch.up_contract().await;
    scratch
        .execute(
            "CREATE TABLE report (account_id INTEGER DEFAULT 1);
             CREATE FUNCTION report() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER report AFTER INSERT ON run FOR EACH ROW EXECUTE FUNCTION report();",
        )
        .await;
    scratch.verify().await;
}

const FOREIGN_KEYS: [&str; 22] = [
    "account_member_account_id_fkey|account|c|t",
    "bannedparticipants_account_id_fkey|account|c|t",
    "bannedparticipants_bot_id_fkey|bot|c|t",
    "bot_account_id_fkey|account|c|t",
    "conversation_account_id_fkey|account|c|t",
    "conversation_run_id_fkey|run|c|t",
    "course_account_id_fkey|account|c|t",
    "course_deployment_bot_fkey|bot|c|t",
    "course_deployment_course_fkey|course|c|t",
    "course_element_course_fkey|course|c|t",
    "courseparticipants_account_id_fkey|account|c|t",
    "courseparticipants_course_fkey|course|c|t",
    "enrollment_token_deployment_fkey|course_deployment|c|t",
    "gen_settings_account_id_fkey|account|c|t",
    "gen_settings_bot_id_fkey|bot|c|t",
    "run_account_id_fkey|account|c|t",
    "run_bot_id_fkey|bot|c|t",
    "run_deployment_id_fkey|course_deployment|r|t",
    "run_token_id_fkey|enrollment_token|a|t",
    "waiting_element_account_id_fkey|account|c|t",
    "waiting_element_bot_id_fkey|bot|c|t",
    "waiting_element_run_id_fkey|run|c|t",
];

/// Three of the base and 48 of phase 5: `idx_account_slug`, `idx_token_token` and `idx_banned_chat` would repeat others.
const INDEXES: [&str; 51] = [
    "idx_account_active",
    "idx_account_member_account",
    "idx_account_member_active",
    "idx_account_member_telegram",
    "idx_banned_account",
    "idx_banned_active",
    "idx_banned_bot",
    "idx_bannedparticipants_3",
    "idx_bot_account",
    "idx_bot_active",
    "idx_bot_name",
    "idx_conversation_account",
    "idx_conversation_chat",
    "idx_conversation_course",
    "idx_conversation_date",
    "idx_conversation_element",
    "idx_conversation_role",
    "idx_conversation_run",
    "idx_course_account",
    "idx_course_active",
    "idx_course_courseid_botname",
    "idx_course_created",
    "idx_course_element_course",
    "idx_course_element_order",
    "idx_course_element_type",
    "idx_courseparticipants_2",
    "idx_courseparticipants_account",
    "idx_courseparticipants_chat",
    "idx_courseparticipants_course",
    "idx_courseparticipants_username",
    "idx_deployment_active",
    "idx_deployment_bot",
    "idx_deployment_course",
    "idx_gen_settings_account",
    "idx_gen_settings_bot",
    "idx_gen_settings_key",
    "idx_run_account",
    "idx_run_active",
    "idx_run_bot",
    "idx_run_chat",
    "idx_run_course",
    "idx_run_deployment",
    "idx_run_ended",
    "idx_token_active",
    "idx_token_deployment",
    "idx_token_expires",
    "idx_waiting_account",
    "idx_waiting_active",
    "idx_waiting_bot",
    "idx_waiting_date",
    "idx_waiting_run",
];
