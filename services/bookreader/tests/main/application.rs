//! The application's role: what it writes goes on being written while the service's migrations run.

use bookreader_migration::entity::user;
use bookreader_migration::service;
use migration_testing::{Scratch, application_finds_its_own_tables};

use crate::data::{self, TABLES};
use crate::{BACKFILL, BASE, CONTRACT, HEAD};

const BEFORE: [&str; 3] = [
    r#"INSERT INTO users (id, email, password_hash, is_active, is_verified, is_admin, reader_settings, created_at, updated_at)
       VALUES (md5('a')::uuid, 'a@b', 'x', true, true, false, '{"theme": 7}', now(), now())"#,
    r#"UPDATE users SET reader_settings = '{"theme": "dark"}' WHERE id = md5('a')::uuid"#,
    "DELETE FROM users WHERE id = md5('a')::uuid",
];
const AFTER: [&str; 3] = [
    "INSERT INTO users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at)
     VALUES (md5('a')::uuid, 'a@b', 'x', true, true, false, now(), now())",
    "UPDATE users SET full_name = 'A' WHERE id = md5('a')::uuid",
    "DELETE FROM users WHERE id = md5('a')::uuid",
];

#[tokio::test]
async fn a_role_that_owns_nothing_writes_before_between_and_after_all_migrations() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::realistic(&scratch).await;
    // A row of each table is written anew and the last one taken out.
    let touched: Vec<String> = TABLES
        .iter()
        .flat_map(|table| {
            [
                format!("UPDATE {table} SET updated_at = now() WHERE id = (SELECT min(id::text)::uuid FROM {table})"),
                format!("DELETE FROM {table} WHERE id IS NULL"),
            ]
        })
        .collect();
    let touched: Vec<&str> = touched.iter().map(String::as_str).collect();
    let statements: Vec<&str> = BEFORE.into_iter().chain(touched.iter().copied()).collect();
    let application = scratch.expand_beside_application(&statements).await;
    scratch.verify().await;
    for target in [CONTRACT, HEAD] {
        scratch.up_to(target).await;
        for statement in AFTER.into_iter().chain(touched.iter().copied()) {
            application.execute(statement).await;
        }
    }
}

#[tokio::test]
async fn the_application_finds_its_own_tables() {
    application_finds_its_own_tables::<user::Entity>(service(), bookreader_migration::connect_options).await;
}

#[tokio::test]
async fn no_check_fails_because_of_a_row_that_the_schema_permits() {
    let written = |columns: &str, values: &str| {
        format!(
            "INSERT INTO users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at{columns}) \
             SELECT gen_random_uuid(), number || '@b', '', true, true, false, 'infinity', '-infinity'{values} FROM generate_series(1, 9) AS number"
        )
    };
    let settings = r#", (ARRAY['{"theme": 7}', '[]', '7', 'null', NULL, '{"language": "\u0000"}', '{"theme": "\ud800"}',
        '{"notifications": true, "notifications_enabled": false}', '{"theme": "a theme of too many characters"}'])[number]::json"#;
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BACKFILL).await;
    scratch.verify_beside_application(&[&written(", reader_settings", settings)]).await;
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    scratch.verify_beside_application(&[&written("", "")]).await;
}
