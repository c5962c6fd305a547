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
