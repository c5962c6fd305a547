//! What is written where no trigger fires (a restored dump, logical replication), between the expand and the contract step:
//! nothing of it is lost.

use bookreader_migration::service;
use migration_testing::Scratch;

use crate::{BACKFILL, BASE, CONTRACT};

/// What a writer did, and what is there after the contract step.
struct Case {
    statement: &'static str,
    /// Theme, language and notifications of the user.
    preferences: &'static [&'static str],
    /// Field and value of each reject.
    rejects: &'static [&'static str],
    /// The settings after `down`, if the preferences have not changed.
    restored: &'static [&'static str],
}

const CASES: [Case; 8] = [
    Case {
        statement: "INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) \
             VALUES ('new@example.org', '', true, true, false, '{\"theme\": \"dark\", \"language\": 1}')",
        preferences: &["dark|ru|t", "night|de|t"],
        rejects: &[r#"language|1"#],
        restored: &[r#"{"theme": "dark", "language": 1}"#, FROM_PREFERENCES],
    },
    Case {
        statement: "UPDATE users SET reader_settings = '{\"theme\": \"blue\"}'",
        preferences: &["night|de|t"],
        rejects: &[r#"preferences|{"theme": "blue"}"#],
        restored: &[r#"{"theme": "blue"}"#],
    },
    // A part of what there was.
    Case {
        statement: "UPDATE users SET reader_settings = '{\"theme\": \"night\", \"notifications\": false, \"language\": \"de\"}'",
        preferences: &["night|de|t"],
        rejects: &[r#"preferences|{"theme": "night", "notifications": false, "language": "de"}"#],
        restored: &[r#"{"theme": "night", "notifications": false, "language": "de"}"#],
    },
    // What no column takes, instead of what one took.
    Case {
        statement: "UPDATE users SET reader_settings = '{\"theme\": 7, \"language\": \"de\"}'",
        preferences: &["night|de|t"],
        rejects: &["preferences|{\"theme\": 7, \"language\": \"de\"}", "theme|7"],
        restored: &[r#"{"theme": 7, "language": "de"}"#],
    },
    // Twice, with the trigger and without it.
    Case {
        statement: "SET LOCAL session_replication_role = origin; UPDATE users SET reader_settings = '{\"theme\": [1]}'; \
             SET LOCAL session_replication_role = replica; UPDATE users SET reader_settings = '{\"theme\": [2]}'",
        preferences: &["light|ru|t"],
        rejects: &["theme|[2]"],
        restored: &[r#"{"theme": [2]}"#],
    },
    // The value goes, and nothing comes instead.
    Case {
        statement: "UPDATE users SET reader_settings = NULL",
        preferences: &["night|de|t"],
        rejects: &[],
        restored: &[FROM_PREFERENCES],
    },
    Case { statement: "DELETE FROM users", preferences: &["night|de|t"], rejects: &[], restored: &[] },
    // New code, whose change is none of an escaped row, keeps what it wrote.
    Case {
        statement: "UPDATE user_preferences SET theme = 'sepia'",
        preferences: &["sepia|de|t"],
        rejects: &[r#"preferences|{"theme": "night", "language": "de"}"#],
        restored: &[r#"{"theme": "night", "language": "de"}"#],
    },
];

const FROM_PREFERENCES: &str = r#"{"theme" : "night", "language" : "de", "notifications" : true}"#;

#[tokio::test]
async fn nothing_that_escaped_the_trigger_is_lost() {
    for Case { statement, preferences, rejects, restored } in CASES {
        let scratch = Scratch::new(service()).await;
        scratch.up_to(BASE).await;
        scratch
            .execute(
                "INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) \
                 VALUES ('user@example.org', '', true, true, false, '{\"theme\": \"night\", \"language\": \"de\"}')",
            )
            .await;
        scratch.up_to(BACKFILL).await;
        scratch
            .execute(&format!("BEGIN; SET LOCAL session_replication_role = replica; {statement}; COMMIT"))
            .await;
        let preview = previewed(&scratch).await;
        let differs = rejects.iter().any(|reject| reject.starts_with("preferences"));
        assert_eq!(preview, if differs { vec!["1"] } else { vec![] }, "{statement}");

        scratch.up_to(CONTRACT).await;
        let kept = "SELECT theme, language, notifications_enabled FROM user_preferences ORDER BY 1";
        assert_eq!(scratch.rows(kept).await, preferences, "{statement}");
        let listed = "SELECT field, value FROM migration_reject_bookreader ORDER BY 1, 2";
        assert_eq!(scratch.rows(listed).await, rejects, "{statement}");
        let both = "SELECT count(*) FROM migration_reject_bookreader JOIN user_preferences AS kept \
             ON row_data -> 'preferences' ->> 'theme' = kept.theme AND row_data ->> 'reader_settings' = value \
             WHERE field = 'preferences'";
        assert_eq!(scratch.rows(both).await, [if differs { "1" } else { "0" }], "{statement}");
        assert_eq!(previewed(&scratch).await, [""; 0], "{statement}");

        scratch.down_to(BACKFILL).await;
        let settings = "SELECT reader_settings::text FROM users ORDER BY email";
        assert_eq!(scratch.rows(settings).await, restored, "{statement}");
        assert_eq!(scratch.rows(kept).await, preferences, "{statement}");
        scratch.up_to(CONTRACT).await;
        assert_eq!(scratch.rows(kept).await, preferences, "{statement}");
        assert_eq!(scratch.rows(listed).await, rejects, "{statement}");
    }
}

/// Who changes preferences after the contract step says what old code reads again, and agrees that the old value goes.
#[tokio::test]
async fn a_revert_writes_preferences_that_changed_since() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BASE).await;
    scratch
        .execute(
            "INSERT INTO users (email, password_hash, is_active, is_verified, is_admin, reader_settings) \
             VALUES ('user@example.org', '', true, true, false, '{\"theme\": \"night\"}')",
        )
        .await;
    scratch.up_to(BACKFILL).await;
    scratch.execute("UPDATE user_preferences SET theme = 'sepia'").await;
    scratch.up_to(CONTRACT).await;
    let details = details();
    let (_, condition) = details.lost_rows.iter().map(|lost| (&lost.table, &lost.condition)).next().unwrap();
    assert_eq!(scratch.rows(&format!("SELECT count(*) FROM users WHERE {condition}")).await, ["1"]);
    scratch.execute("UPDATE user_preferences SET theme = 'dark'").await;
    scratch.down_to(BACKFILL).await;
    assert_eq!(
        scratch.rows("SELECT reader_settings::text FROM users").await,
        [r#"{"theme" : "dark", "language" : "ru", "notifications" : true}"#]
    );
    assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_bookreader").await, ["0"]);
}

/// How many users the plan names whose settings say something else than their preferences.
async fn previewed(scratch: &Scratch) -> Vec<String> {
    let details = details();
    let preview = details.previews.iter().find(|preview| preview.says.contains("else")).unwrap();
    scratch.rows(&preview.sql).await
}

fn details() -> migration_kit::Details {
    service().migrations().find(|listed| listed.name().as_str() == CONTRACT).unwrap().details().clone()
}
