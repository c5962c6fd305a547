//! `check_messages` on rows that break it: listed, left alone, and validated once they are corrected.

use chat_migration::entity::Dialogue;
use chat_migration::service;
use migration_kit::{CheckKind, ServiceMigration};
use migration_testing::Scratch;
use sea_orm::ConnectionTrait;

const BEFORE: &str = "m20261120_000001_index_message_history";
const STATE: &str = "SELECT conname, convalidated FROM pg_constraint WHERE contype = 'c' AND conrelid = 'messages'::regclass ORDER BY 1";
const REJECTS: &str = "SELECT migration, table_name, row_key, field, value, moved FROM migration_reject_chat ORDER BY field, row_key";
const INSERT: &str = "INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES";

/// A database before the migration with one clean row and two that break it.
async fn dirty() -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BEFORE).await;
    scratch
        .execute(&format!(
            "{INSERT} (1, 1, 'user', 'hi', 2), (1, 1, 'system', 'be kind', 7), (2, 2, 'assistant', 'no', -2)"
        ))
        .await;
    scratch
}

/// The rows that the migration's own checks object to.
async fn violations(scratch: &Scratch) -> Vec<String> {
    let details = chat_migration::m20261120_000002_check_messages::Migration.details();
    let mut violations = Vec::new();
    for check in details.checks.iter().filter(|check| check.kind == CheckKind::None) {
        violations.extend(scratch.rows(&check.sql).await);
    }
    violations
}

#[tokio::test]
async fn clean_rows_are_validated_and_wrong_ones_refused_from_then_on() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BEFORE).await;
    scratch.execute(&format!("{INSERT} (1, 1, 'user', 'hi', 2), (1, 1, 'assistant', '', 0)")).await;
    scratch.up().await;
    assert_eq!(scratch.rows(STATE).await, ["messages_message_length_check|t", "messages_role_check|t"]);
    assert_eq!(scratch.rows(REJECTS).await, [""; 0]);
    for (values, rule) in [
        ("(1, 1, 'system', 'x', 1)", "messages_role_check"),
        ("(1, 1, 'user', 'x', -1)", "messages_message_length_check"),
    ] {
        let error =
            scratch.db().execute_unprepared(&format!("{INSERT} {values}")).await.unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
    }
}

#[tokio::test]
async fn rows_that_break_a_check_are_listed_and_left_as_they_are() {
    let scratch = dirty().await;
    let before = scratch.table_digest("messages").await;
    scratch.up().await;
    scratch.verify().await;
    assert_eq!(scratch.table_digest("messages").await, before);
    assert_eq!(scratch.rows(STATE).await, [""; 0]);
    assert_eq!(
        scratch.rows(REJECTS).await,
        [
            r#"m20261120_000002_check_messages|messages|{"id": 3}|message_length|-2|f"#,
            r#"m20261120_000002_check_messages|messages|{"id": 2}|role|system|f"#,
        ]
    );
}

#[tokio::test]
async fn corrected_rows_are_validated_when_it_is_applied_again() {
    let scratch = dirty().await;
    scratch.up().await;
    scratch.execute("UPDATE messages SET role = 'assistant' WHERE role = 'system'").await;
    scratch.execute("UPDATE messages SET message_length = length(content) WHERE message_length < 0").await;
    scratch.verify().await;

    scratch.down_to(BEFORE).await;
    assert_eq!(scratch.rows(REJECTS).await, [""; 0], "reverting forgets the list");
    scratch.up().await;
    assert_eq!(scratch.rows(STATE).await, ["messages_message_length_check|t", "messages_role_check|t"]);
    assert_eq!(scratch.rows(REJECTS).await, [""; 0]);
    scratch.verify().await;
}

#[tokio::test]
async fn a_wrong_row_that_nobody_listed_does_not_verify() {
    let scratch = dirty().await;
    scratch.up().await;
    assert_eq!(violations(&scratch).await, [""; 0]);
    scratch.execute("DELETE FROM migration_reject_chat WHERE field = 'role'").await;
    assert_eq!(violations(&scratch).await, ["2|system"]);
}

#[tokio::test]
async fn a_trigger_that_does_not_fire_stands_in_for_nothing() {
    let scratch = dirty().await;
    scratch.up().await;
    let details = chat_migration::m20261120_000002_check_messages::Migration.details();
    let holds = details.checks.iter().find(|check| check.kind == CheckKind::Holds).unwrap();
    for (set, answer) in [("ENABLE ALWAYS", "t"), ("ENABLE REPLICA", "f"), ("DISABLE", "f"), ("ENABLE", "t")]
    {
        scratch.execute(&format!("ALTER TABLE messages {set} TRIGGER messages_role_check")).await;
        assert_eq!(scratch.rows(&holds.question()).await, [answer], "{set}");
    }
}

/// A listed row can be updated in everything but what is wrong with it, and the rules hold for all that is new.
#[tokio::test]
async fn a_dialogue_with_listed_rows_can_be_cleared() {
    let scratch = dirty().await;
    scratch.up().await;
    for (sql, refused_by) in [
        ("UPDATE messages SET content = 'be polite' WHERE role = 'system'", None),
        ("UPDATE messages SET message_length = 9, role = role WHERE role = 'system'", None),
        ("UPDATE messages SET role = 'tool' WHERE role = 'system'", Some("messages_role_check")),
        (
            "UPDATE messages SET message_length = -3 WHERE message_length < 0",
            Some("messages_message_length_check"),
        ),
        (
            "UPDATE messages SET message_length = -3 WHERE role = 'system'",
            Some("messages_message_length_check"),
        ),
        (
            "INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'system', 'x', 1)",
            Some("messages_role_check"),
        ),
        (
            "INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'user', 'x', 1)",
            None,
        ),
    ] {
        let done = scratch.db().execute_unprepared(sql).await.map_err(|error| error.to_string());
        match (done, refused_by) {
            (Ok(_), None) => {}
            (Err(error), Some(rule)) => {
                assert!(
                    error.contains("violates check constraint") && error.contains(rule),
                    "{sql}: {error}"
                );
            }
            (done, _) => panic!("{sql}: {done:?}"),
        }
    }
    let dialogue = Dialogue { user_id: 1, chat_id: 1 };
    assert_eq!(dialogue.clear().exec(scratch.db()).await.unwrap().rows_affected, 3);
    assert_eq!(dialogue.restore().exec(scratch.db()).await.unwrap().rows_affected, 3);
    scratch.verify().await;
}
