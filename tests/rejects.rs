//! What could not be carried over, listed and counted, for people and for machines.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value;

use crate::support::Lab;

#[test]
fn they_are_listed_with_their_reasons() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@m20251017"]).exits(0);
    lab.query(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) \
         VALUES (1, 1, 'user', 'hi', 2), (1, 1, 'system', 'be kind', 7), (2, 2, 'assistant', 'no', -2)",
    );
    assert_snapshot!(lab.migrate(&["up", "chat"]).shown(), @"
    exit 0
    --- stdout
    chat  m20261120_000001_index_message_history  ok [time]
    chat  m20261120_000002_check_messages         ok [time]
    1 of 5 services up to date · 2 migrations in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    note  `chat`: `m20261120_000002_check_messages`: `messages_role_check` on `messages` holds for new rows only: 1 row breaks it and is listed as a reject
    note  `chat`: `m20261120_000002_check_messages`: `messages_message_length_check` on `messages` holds for new rows only: 1 row breaks it and is listed as a reject
      · `chat`: state of `messages_role_check`: a trigger stands in for it, rows that break it: 1
      · `chat`: state of `messages_message_length_check`: a trigger stands in for it, rows that break it: 1
    note  `chat`: 1 reject from `messages`: `message_length`: negative
    note  `chat`: 1 reject from `messages`: `role`: neither `user` nor `assistant`
    note  `chat`: `rejects chat` lists them
    ");
    assert_snapshot!(lab.migrate(&["rejects", "chat"]).shown(), @r#"
    exit 0
    --- stdout
    TABLE     KEY       FIELD           VALUE   REASON                          MIGRATION
    messages  {"id":2}  role            system  neither `user` nor `assistant`  m20261120_000002_check_messages
    messages  {"id":3}  message_length  -2      negative                        m20261120_000002_check_messages
    --- stderr
    "#);
    assert_snapshot!(lab.migrate(&["rejects", "chat", "--count"]).exits(0).stdout, @"
    ENTRIES  TABLE     FIELD           REASON                          MIGRATION
          1  messages  role            neither `user` nor `assistant`  m20261120_000002_check_messages
          1  messages  message_length  negative                        m20261120_000002_check_messages
    ");
    assert_snapshot!(lab.migrate(&["rejects", "chat", "--limit", "1"]).exits(0).stderr, @"1 of 2 entries; `--limit` shows more, `--count` counts them");
    assert_snapshot!(lab.migrate(&["rejects", "rag"]).exits(0).stdout, @"`rag` has rejected nothing");
    lab.migrate(&["rejects"]).exits(2);
}

#[test]
fn machines_are_told_how_many_there_are_in_all() {
    let lab = Lab::inherited();
    // More than are listed where nobody says how many.
    let document = lab.migrate(&["rejects", "bookreader", "--json"]).exits(0).json();
    assert_eq!((&document["command"], &document["service"]), (&"rejects".into(), &"bookreader".into()));
    assert_eq!(document["n_rejects"], 2_000);
    assert_eq!(document["rejects"].as_array().unwrap().len(), 1_000);
    // In the order in which the server came across them.
    let mut counts = document["counts"].as_array().unwrap().clone();
    counts.sort_by_key(|count| count["field"].to_string());
    assert_json_snapshot!(counts, @r#"
    [
      {
        "migration": "m20250824_154501_backfill_user_preferences",
        "table": "users",
        "field": "language",
        "reason": "is longer than 10 characters",
        "moved": false,
        "harmless": false,
        "n_rejects": 500
      },
      {
        "migration": "m20250824_154501_backfill_user_preferences",
        "table": "users",
        "field": "notifications",
        "reason": "is a JSON string, neither true nor false",
        "moved": false,
        "harmless": false,
        "n_rejects": 500
      },
      {
        "migration": "m20250824_154501_backfill_user_preferences",
        "table": "users",
        "field": "reader_settings",
        "reason": "is a JSON string, not an object",
        "moved": false,
        "harmless": false,
        "n_rejects": 500
      },
      {
        "migration": "m20250824_154501_backfill_user_preferences",
        "table": "users",
        "field": "theme",
        "reason": "is a JSON number, not a string",
        "moved": false,
        "harmless": false,
        "n_rejects": 500
      }
    ]
    "#);
    for (arguments, n_listed) in
        [(&["--limit", "3"] as &[&str], 3), (&["--limit", "5000"], 2_000), (&["--count"], 0)]
    {
        let document =
            lab.migrate(&[&["rejects", "bookreader", "--json"], arguments].concat()).exits(0).json();
        assert_eq!(document["n_rejects"], 2_000, "{arguments:?}");
        assert_eq!(document["rejects"].as_array().unwrap().len(), n_listed, "{arguments:?}");
    }
    let nothing = lab.migrate(&["rejects", "rag", "--json"]).exits(0).json();
    assert_eq!((&nothing["n_rejects"], &nothing["counts"]), (&0.into(), &Value::Array(Vec::new())));
}

#[test]
fn they_are_counted_by_reason() {
    let lab = Lab::inherited();
    let counted = lab.migrate(&["rejects", "bookreader", "--count"]).exits(0).stdout;
    // In the order in which the server came across them.
    let mut lines: Vec<&str> = counted.lines().collect();
    lines[1..].sort_unstable();
    assert_snapshot!(lines.join("\n"), @"
    ENTRIES  TABLE  FIELD            REASON                                    MIGRATION
        500  users  language         is longer than 10 characters              m20250824_154501_backfill_user_preferences
        500  users  notifications    is a JSON string, neither true nor false  m20250824_154501_backfill_user_preferences
        500  users  reader_settings  is a JSON string, not an object           m20250824_154501_backfill_user_preferences
        500  users  theme            is a JSON number, not a string            m20250824_154501_backfill_user_preferences
    ");
    let listed = lab.migrate(&["rejects", "bookreader"]).exits(0);
    assert_eq!(listed.stdout.lines().count(), 1 + 1_000);
    assert_snapshot!(listed.stderr, @"1000 of 2000 entries; `--limit` shows more, `--count` counts them");
}

/// What is gone is not nothing.
#[test]
fn a_table_of_rejects_that_is_missing_is_damage() {
    let lab = Lab::inherited();
    let mut n_lost = 0;
    for service in ["chat", "bookreader", "assessments", "profochatbot"] {
        lab.query(&format!("DROP TABLE IF EXISTS {service}.migration_reject_{service} CASCADE"));
        let code = lab.migrate(&["verify", service]).code;
        for option in [&[][..], &["--count"], &["--json"]] {
            let lost = lab.migrate(&[&["rejects", service], option].concat()).exits(code);
            let says = format!("`{service}.migration_reject_{service}` is missing");
            assert!(code == 0 || lost.shown().contains(&says), "{}", lost.shown());
        }
        n_lost += usize::from(code == 4);
    }
    assert!(n_lost >= 2, "{n_lost}");
    lab.migrate(&["rejects", "rag"]).exits(0);
}
