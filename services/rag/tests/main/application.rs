//! The application's role: what it writes goes on being written while the service's migrations run.

use migration_testing::Scratch;
use rag_migration::entity::prelude::UserKnowledge;
use rag_migration::service;
use sea_orm::{Database, EntityTrait};

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

/// Another team's table of the same name in `public` is not taken for the service's own.
#[tokio::test]
async fn the_application_finds_its_own_tables() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    scratch.execute("CREATE TABLE public.user_knowledge (other_teams integer)").await;
    let plain = Database::connect(scratch.url()).await.unwrap();
    UserKnowledge::find().all(&plain).await.unwrap_err();
    let own = Database::connect(rag_migration::connect_options(scratch.url())).await.unwrap();
    assert!(UserKnowledge::find().all(&own).await.unwrap().is_empty());
}
