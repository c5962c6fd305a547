//! What becomes of `reader_settings`: carried over once, kept in step, swept, and gone.

use std::cell::Cell;

use bookreader_migration::service;
use migration_testing::{Scratch, ScratchError};
use sea_orm_migration::SchemaManager;

use crate::data::{self, DIRTY, REALISTIC, Settings, of_kind};
use crate::{BACKFILL, BASE, CONTRACT, CREATE_PREFERENCES};

const PREFERENCES: &str = "theme, language, notifications_enabled";
const BOTH: &str = "users JOIN user_preferences AS kept ON kept.user_id = users.id";

#[tokio::test]
async fn each_kind_of_settings_is_carried_over_or_listed() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::users(&scratch, "reader", &REALISTIC, 200).await;
    data::users(&scratch, "dirty", &DIRTY, 100).await;
    scratch.up_to(BACKFILL).await;
    assert_carried(&scratch, "reader", &REALISTIC, 200).await;
    assert_carried(&scratch, "dirty", &DIRTY, 100).await;
    let n_users = 200 * REALISTIC.len() + 100 * DIRTY.len();
    assert_eq!(scratch.rows("SELECT count(*) FROM user_preferences").await, [n_users.to_string()]);
    scratch.verify().await;
}

/// Old code writes the same kinds while the trigger is there: what it carries over is what the backfill carries over.
#[tokio::test]
async fn rows_of_old_code_are_kept_in_step() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BACKFILL).await;
    data::users(&scratch, "reader", &REALISTIC, 2).await;
    data::users(&scratch, "dirty", &DIRTY, 2).await;
    assert_carried(&scratch, "reader", &REALISTIC, 2).await;
    assert_carried(&scratch, "dirty", &DIRTY, 2).await;
    scratch.verify().await;
    // Old code repairs its settings: nothing is listed any more.
    scratch.execute(r#"UPDATE users SET reader_settings = '{"theme": "dark", "language": "en"}'"#).await;
    let n_dark = "SELECT count(*) FROM user_preferences WHERE theme = 'dark' AND language = 'en'";
    let n_users = 2 * (REALISTIC.len() + DIRTY.len());
    assert_eq!(scratch.rows(n_dark).await, [n_users.to_string()]);
    assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_bookreader").await, ["0"]);
    scratch.verify().await;
    scratch.execute("DELETE FROM users").await;
    assert_eq!(scratch.rows("SELECT count(*) FROM user_preferences").await, ["0"]);
}

#[tokio::test]
async fn old_code_overwrites_only_what_it_changes() {
    let scratch = one_user(r#"{"theme": "dark", "language": "de"}"#, BACKFILL).await;
    scratch.execute("UPDATE user_preferences SET theme = 'night', updated_at = '2025-01-01'").await;
    let preferences = format!("SELECT {PREFERENCES}, updated_at = '2025-01-01' FROM user_preferences");
    assert_eq!(scratch.rows(&preferences).await, ["night|de|t|t"]);
    // The settings as they were, and the user's name.
    scratch.execute("UPDATE users SET full_name = 'Anna', reader_settings = reader_settings").await;
    assert_eq!(scratch.rows(&preferences).await, ["night|de|t|t"]);
    // Another spelling of the same settings.
    scratch.execute(r#"UPDATE users SET reader_settings = '{"language":"de","theme":"dark"}'"#).await;
    assert_eq!(scratch.rows(&preferences).await, ["night|de|t|t"]);
    // Another language: the theme that new code chose stays.
    scratch.execute(r#"UPDATE users SET reader_settings = '{"theme": "dark", "language": "en"}'"#).await;
    assert_eq!(scratch.rows(&preferences).await, ["night|en|t|f"]);
    // Another theme.
    scratch.execute(r#"UPDATE users SET reader_settings = '{"theme": "sepia", "language": "en"}'"#).await;
    assert_eq!(scratch.rows(&preferences).await, ["sepia|en|t|f"]);
}

#[tokio::test]
async fn what_new_code_wrote_before_the_backfill_stays() {
    let scratch = one_user(r#"{"theme": "dark"}"#, CREATE_PREFERENCES).await;
    scratch.execute("INSERT INTO user_preferences (user_id, theme) SELECT id, 'night' FROM users").await;
    scratch.up_to(BACKFILL).await;
    assert_eq!(scratch.rows("SELECT theme FROM user_preferences").await, ["night"]);
    scratch.up_contract().await;
    assert_eq!(scratch.rows("SELECT theme FROM user_preferences").await, ["night"]);
}

/// The application's role may write users and preferences, and knows nothing of migrations.
#[tokio::test]
async fn the_application_needs_no_privilege_on_the_bookkeeping() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BACKFILL).await;
    for statement in [
        "CREATE ROLE bookreader_application",
        "GRANT USAGE ON SCHEMA bookreader TO bookreader_application",
        "GRANT INSERT, UPDATE, SELECT ON users TO bookreader_application",
    ] {
        scratch.execute(statement).await;
    }
    scratch
        .execute(
            "BEGIN; SET LOCAL ROLE bookreader_application; \
             INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) \
             VALUES ('a@example.org', '', true, true, false, '[]'); COMMIT",
        )
        .await;
    assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_bookreader").await, ["1"]);
    scratch.execute("DROP OWNED BY bookreader_application").await;
    scratch.execute("DROP ROLE bookreader_application").await;
}

/// Old code writes, changes and deletes users as long as the backfill runs. With the documented script, hundreds of
/// users written meanwhile stayed without preferences.
#[tokio::test]
async fn nobody_is_missed_while_old_code_writes() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::users(&scratch, "reader", &REALISTIC, 500).await;
    data::users(&scratch, "dirty", &DIRTY, 20).await;
    scratch.up_to(CREATE_PREFERENCES).await;
    let is_done = Cell::new(false);
    let backfilling = async {
        scratch.up_to(BACKFILL).await;
        is_done.set(true);
    };
    let writing = async {
        let mut n = 0;
        while !is_done.get() {
            n += 1;
            scratch
                .execute(&format!(
                    "INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) \
                     VALUES ('new{n}@example.org', '', true, true, false, '{{\"theme\": \"night\"}}')"
                ))
                .await;
            let some = "id IN (SELECT id FROM users ORDER BY md5(email) LIMIT 5";
            scratch
                .execute(&format!(
                    "UPDATE users SET reader_settings = '{{\"language\": \"en\"}}' WHERE {some} OFFSET {n})"
                ))
                .await;
            scratch.execute(&format!("DELETE FROM users WHERE {some} OFFSET 3 * {n})")).await;
        }
    };
    tokio::join!(backfilling, writing);
    scratch.verify().await;
    let out_of_step = format!(
        "SELECT count(*) FROM {BOTH} CROSS JOIN LATERAL carried_preferences(reader_settings) AS carried \
         WHERE (kept.theme, kept.language, kept.notifications_enabled) \
         <> (carried.theme, carried.language, carried.notifications_enabled)"
    );
    assert_eq!(scratch.rows(&out_of_step).await, ["0"]);
}

#[tokio::test]
async fn the_contract_step_sweeps_once_more() {
    let scratch = one_user("{}", BACKFILL).await;
    // As a restore or a replica writes: without triggers.
    scratch
        .execute(
            "BEGIN; SET LOCAL session_replication_role = replica; \
             INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) VALUES \
             ('late@example.org', '', true, true, false, '{\"theme\": \"dark\"}'), \
             ('dirty@example.org', '', true, true, false, '{\"theme\": 1}'); COMMIT",
        )
        .await;
    scratch.up_to(CONTRACT).await;
    let themes = format!("SELECT email, theme FROM {BOTH} ORDER BY email");
    assert_eq!(
        scratch.rows(&themes).await,
        ["dirty@example.org|light", "late@example.org|dark", "user@example.org|light"]
    );
    assert_eq!(
        scratch.rows("SELECT migration, field, value FROM migration_reject_bookreader").await,
        [format!("{CONTRACT}|theme|1")]
    );
    scratch.down_to(BACKFILL).await;
    scratch.verify().await;
    // Now it is the trigger that has listed it, under the backfill's name.
    assert_eq!(
        scratch.rows("SELECT migration, field, value FROM migration_reject_bookreader").await,
        [format!("{BACKFILL}|theme|1")]
    );
}

#[tokio::test]
async fn the_contract_step_refuses_while_somebody_reads_the_settings() {
    let scratch = one_user(r#"{"theme": "dark"}"#, BACKFILL).await;
    scratch.execute("CREATE VIEW themes AS SELECT reader_settings ->> 'theme' AS theme FROM users").await;
    let refused = scratch.try_up_to(CONTRACT).await.unwrap_err();
    assert!(
        matches!(&refused, ScratchError::Guard { failed, .. } if failed[0].says.contains("reads")),
        "{refused}"
    );
    scratch.verify().await;
    scratch.execute("DROP VIEW themes").await;
    // A replica's trigger fires for nobody who writes here.
    for switch in ["DISABLE", "ENABLE REPLICA"] {
        scratch.execute(&format!("ALTER TABLE users {switch} TRIGGER keep_preferences_in_step")).await;
        let refused = scratch.try_up_to(CONTRACT).await.unwrap_err();
        assert!(
            matches!(&refused, ScratchError::Guard { failed, .. } if failed[0].says.contains("trigger")),
            "{refused}"
        );
    }
    scratch.execute("ALTER TABLE users ENABLE TRIGGER keep_preferences_in_step").await;
    scratch.up_to(CONTRACT).await;
}

#[tokio::test]
async fn the_contract_step_says_what_is_lost() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    data::users(&scratch, "reader", &REALISTIC, 3).await;
    data::users(&scratch, "dirty", &DIRTY, 3).await;
    scratch.up_to(BACKFILL).await;
    let details =
        service().migrations().find(|listed| listed.name().as_str() == CONTRACT).unwrap().details().clone();
    assert!(details.loses.is_some());
    let report = details.guards.iter().find(|guard| guard.says.contains("lost")).unwrap();
    assert_eq!(scratch.rows(&report.sql).await, ["extra (3), fontSize (3), lineHeight (3), note (3)"]);
    scratch.up_to(CONTRACT).await;
    assert_eq!(scratch.rows(&report.sql).await, ["none"]);
}

/// Stopped after trigger and column were dropped and before the functions were.
#[tokio::test]
async fn a_contract_step_that_was_stopped_goes_on() {
    let scratch = one_user(r#"{"theme": "dark"}"#, BACKFILL).await;
    scratch
        .execute(
            "DROP TRIGGER keep_preferences_in_step ON users; ALTER TABLE users DROP COLUMN reader_settings",
        )
        .await;
    scratch.up_to(CONTRACT).await;
    scratch.verify().await;
    assert_eq!(scratch.rows("SELECT theme FROM user_preferences").await, ["dark"]);
}

/// A user who cannot lose the column does not lose the trigger either: what old code writes meanwhile is kept.
#[tokio::test]
async fn trigger_and_column_go_together_or_not_at_all() {
    let scratch = one_user(r#"{"theme": "dark"}"#, BACKFILL).await;
    scratch.execute("CREATE VIEW themes AS SELECT reader_settings FROM users").await;
    // As plain sea-orm runs it, which asks no guards.
    let service = service();
    let contract = service.migrations().find(|listed| listed.name().as_str() == CONTRACT).unwrap();
    contract.body().up(&SchemaManager::new(scratch.db())).await.unwrap_err();
    scratch.execute(r#"UPDATE users SET reader_settings = '{"theme": "sepia"}'"#).await;
    assert_eq!(scratch.rows("SELECT theme FROM user_preferences").await, ["sepia"]);
}

#[tokio::test]
async fn reverting_the_contract_step_keeps_old_code_in_step_again() {
    let scratch = one_user(r#"{"theme": "dark"}"#, CONTRACT).await;
    // A user that only new code knows, without preferences.
    scratch
        .execute(
            "INSERT INTO users (email, password_hash, is_active, is_verified, is_admin) \
             VALUES ('new@example.org', '', true, true, false)",
        )
        .await;
    scratch.down_to(BACKFILL).await;
    scratch.verify().await;
    scratch
        .execute(r#"UPDATE users SET reader_settings = '{"theme": "sepia"}' WHERE email LIKE 'new%'"#)
        .await;
    let themes = format!("SELECT email, theme FROM {BOTH} ORDER BY email");
    assert_eq!(scratch.rows(&themes).await, ["new@example.org|sepia", "user@example.org|dark"]);
}

/// A database with one user, migrated up to and including `target`.
async fn one_user(settings: &str, target: &str) -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    scratch
        .execute(&format!(
            "INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) \
             VALUES ('user@example.org', '', true, true, false, '{settings}')"
        ))
        .await;
    scratch.up_to(target).await;
    scratch
}

/// Asserts preferences and rejects of every kind of settings.
async fn assert_carried(scratch: &Scratch, name: &str, kinds: &[Settings], n_each: usize) {
    for (kind, settings) in kinds.iter().enumerate() {
        let users = (name, kinds.len(), kind);
        let found = of_kind(scratch, users, PREFERENCES, BOTH).await;
        assert_eq!(found, vec![settings.preferences(); n_each], "{:?}", settings.json);
        let listed = "users JOIN migration_reject_bookreader ON row_key = jsonb_build_object('id', users.id)";
        let mut found =
            of_kind(scratch, users, "DISTINCT field, reason, row_data ->> 'reader_settings'", listed).await;
        found.sort_unstable();
        let expected: Vec<String> = settings
            .rejects
            .iter()
            .map(|(field, reason)| format!("{field}|{reason}|{}", settings.json.unwrap_or_default()))
            .collect();
        assert_eq!(found, expected, "{:?}", settings.json);
    }
}
