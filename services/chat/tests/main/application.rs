//! The application's role: what it writes goes on being written while the service's migrations run.

use chat_migration::entity::prelude::Messages;
use chat_migration::service;
use migration_testing::{Scratch, application_finds_its_own_tables};

#[tokio::test]
async fn a_role_that_owns_nothing_writes_before_between_and_after_all_migrations() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to("m20251016_000001_create_messages").await;
    let statements = [
        "INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES (1, 2, 'user', 'x', 1)",
        "UPDATE messages SET content = 'yy', message_length = 2, deleted_at = now()",
        "DELETE FROM messages",
    ];
    scratch.expand_beside_application(&statements).await;
}

#[tokio::test]
async fn the_application_finds_its_own_tables() {
    application_finds_its_own_tables::<Messages>(service(), chat_migration::connect_options).await;
}

#[tokio::test]
async fn no_check_fails_because_of_a_row_that_the_schema_permits() {
    const WRITE: &str = "INSERT INTO messages (user_id, chat_id, role, content, message_length, source, created_at, deleted_at) VALUES \
        (-1, 0, 'user', '', 0, '', '-infinity', 'infinity'), (1, -1, 'assistant', 'x', 2147483647, 'elsewhere', now(), '-infinity')";
    for before in [
        "",
        "INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'system', 'x', -1)",
    ] {
        let scratch = Scratch::new(service()).await;
        scratch.up_to("m20261120_000001_index_message_history").await;
        scratch.execute(before).await;
        scratch.up_contract().await;
        scratch.verify_beside_application(&[WRITE, "UPDATE messages SET deleted_at = now()"]).await;
    }
}
