//! The application's role: what it writes goes on being written while the service's migrations run.

use migration_testing::{Scratch, application_finds_its_own_tables};
use rag_migration::entity::prelude::UserKnowledge;
use rag_migration::service;

#[tokio::test]
async fn a_role_that_owns_nothing_writes_before_between_and_after_all_migrations() {
    const STATEMENTS: [&str; 3] = [
        "INSERT INTO user_knowledge (user_id, name) VALUES ('u', 'n')",
        "UPDATE user_knowledge SET preferences = '{}'",
        "DELETE FROM user_knowledge",
    ];
    let scratch = Scratch::new(service()).await;
    scratch.up_to("m20250727_000001_create_user_knowledge").await;
    let application = scratch.expand_beside_application(&STATEMENTS).await;
    scratch.up_contract().await;
    for statement in STATEMENTS {
        application.execute(statement).await;
    }
}

#[tokio::test]
async fn no_check_fails_because_of_a_row_that_the_schema_permits() {
    const WRITE: &str = "INSERT INTO user_knowledge (user_id, name, expertise, preferences, created_at, updated_at) VALUES \
        ('', '', '7', '[]', 'infinity', '-infinity'), ('u', 'n', NULL, NULL, NULL, NULL)";
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    scratch.verify_beside_application(&[WRITE]).await;
}

#[tokio::test]
async fn the_application_finds_its_own_tables() {
    application_finds_its_own_tables::<UserKnowledge>(service(), rag_migration::connect_options).await;
}
