//! What an adopted table has otherwise is accepted by name: recorded in the journal, and honoured from then on.

use super::{PASTS, Past, RAG, lab, migrate};
use crate::support::{Ran, run};

const NARROW: &str = "bookreader:books.title";
const MISSING: &str = "bookreader:ix_books_author";

/// The named checks of `verify`, as JSON.
fn accepted(verified: &Ran) -> Vec<String> {
    let document = verified.json();
    let checks = document["services"][0]["checks"].as_array().unwrap();
    let accepted = checks.iter().filter(|check| check["accepted"] == true);
    accepted.map(|check| check["found"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_base_that_differs_is_taken_over_as_far_as_it_was_accepted() {
    let lab = lab(PASTS[6]);
    lab.query("ALTER TABLE books ALTER title TYPE varchar(200); DROP INDEX ix_books_author");
    let up = |arguments: &[&str]| migrate(&lab, "bookreader", &[&["up", "bookreader"], arguments].concat());
    let refused = up(&[]).exits(7).stderr;
    assert!(refused.contains(&format!("`--accept {NARROW}`")), "{refused}");

    // What is wrong is said, and nothing is written.
    for (arguments, code, says) in [
        (&["--accept", "bookreader:books.titel"][..], 2, "did you mean `bookreader:books.title`?"),
        (&["--accept", "bookreeder:books.title"], 2, "did you mean `bookreader`?"),
        (&["--accept", "books.title"], 2, "expected a service and an object"),
        (&["--accept", "bookreader:books.genre"], 2, "nothing to accept in `bookreader:books.genre`"),
        (&["--accept", "bookreader:books.rating"], 2, "nothing to accept in `bookreader:books.rating`"),
        (&["--accept", NARROW], 7, "`ix_books_author` is missing"),
    ] {
        let said = up(arguments).exits(code).stderr;
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
    assert_eq!(lab.query("SELECT to_regclass('migration_journal_bookreader')"), "");

    let taken_over = up(&["--accept", NARROW, "--accept", MISSING, "--json"]).exits(0).json();
    assert_eq!(taken_over["accepted"][0]["object"], "books.title", "{taken_over}");
    up(&["--accept", NARROW]).exits(0);
    let rest = ["--contract", "--ignore-soak", "--allow-data-loss"];
    up(&rest).exits(0);
    migrate(&lab, "bookreader", &["status", "bookreader", "--check"]).exits(0);
    let verified = migrate(&lab, "bookreader", &["verify", "bookreader", "--json"]).exits(0);
    let day = lab.query("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");
    assert_eq!(
        accepted(&verified),
        [
            format!(
                "`books.title` is `character varying(200) not null`, should be `character varying(500) not null`, accepted by postgres on {day}"
            ),
            format!("`ix_books_author` is missing or not valid, accepted by postgres on {day}"),
        ]
    );
    let shown = migrate(&lab, "bookreader", &["verify", "bookreader"]).exits(0).stdout;
    assert!(shown.contains(&format!("accepted by postgres on {day}")), "{shown}");
    let recorded =
        "SELECT consent, role FROM migration_journal_bookreader WHERE outcome = 'accepted' ORDER BY id";
    assert_eq!(lab.query(recorded), "books.title|postgres\nix_books_author|postgres");
    let history = migrate(&lab, "bookreader", &["history", "bookreader", "--verbose"]).exits(0).stdout;
    assert!(history.contains("--accept books.title"), "{history}");

    // What was accepted as it was is not accepted to be gone.
    lab.query("ALTER TABLE books DROP COLUMN title");
    migrate(&lab, "bookreader", &["verify", "bookreader"]).exits(4);
}

#[test]
fn a_database_at_head_is_accepted_too() {
    let lab = lab(PASTS[1]);
    migrate(&lab, "chat", &["up", "chat"]).exits(0);
    lab.query("ALTER TABLE messages ALTER source DROP NOT NULL, ALTER source DROP DEFAULT");
    migrate(&lab, "chat", &["verify", "chat"]).exits(4);
    migrate(&lab, "chat", &["up", "chat", "--accept", "chat:messages.source"]).exits(0);
    migrate(&lab, "chat", &["verify", "chat"]).exits(0);
    migrate(&lab, "chat", &["status", "chat", "--check"]).exits(0);
    let drift = migrate(&lab, "chat", &["drift", "chat", "--json"]).exits(0).json();
    assert_eq!(drift["services"][0]["accepted"][0]["name"], "source", "{drift}");
}

/// A migration that adopts the table which it would make compares all of it.
#[test]
fn a_table_that_a_migration_adopts_differs_as_far_as_it_was_accepted() {
    const DIFFERENT: &str =
        "ALTER TABLE user_knowledge ALTER name TYPE varchar(50), ADD CONSTRAINT short CHECK (name <> '')";
    let past: Past = ("rag", &[RAG, "ALTER TABLE user_knowledge ADD mood text", DIFFERENT], &[]);
    let lab = lab(past);
    let up = |arguments: &[&str]| migrate(&lab, "rag", &[&["up", "rag"], arguments].concat());
    let refused = up(&[]).exits(1).stderr;
    assert!(refused.contains("column name should be") && refused.contains("constraint short"), "{refused}");
    assert!(!refused.contains("mood"), "{refused}");
    up(&["--accept", "rag:user_knowledge.name"]).exits(1);
    up(&["--accept", "rag:user_knowledge.name", "--accept", "rag:user_knowledge.short"]).exits(0);
    migrate(&lab, "rag", &["verify", "rag"]).exits(0);
    // What was let pass is recorded too: drift is what comes later, until that is accepted by name.
    let names = |found: &serde_json::Value, of: &str| {
        let objects = found["services"][0][of].as_array().unwrap().iter();
        objects.map(|object| object["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let drift = |code: i32| migrate(&lab, "rag", &["drift", "rag", "--json"]).exits(code).json();
    let taken_over = drift(0);
    let accepted = names(&taken_over, "accepted");
    for object in ["my_own", "mood", "name", "file_path", "user_id", "short"] {
        assert!(accepted.iter().any(|name| name == object), "{object}: {accepted:?}");
    }
    lab.query(
        "CREATE INDEX by_hand ON user_knowledge (background); CREATE INDEX too ON user_knowledge (file_path)",
    );
    assert_eq!(names(&drift(4), "differences"), ["by_hand", "too"]);
    up(&["--accept", "rag:user_knowledge.by_hand", "--accept", "rag:too"]).exits(0);
    drift(0);
    up(&["--accept", "rag:user_knowledge.nothing"]).exits(2);
}

#[test]
fn what_an_adopted_table_lacks_is_named_and_cannot_be_accepted() {
    let lab = lab(("rag", &[RAG, "ALTER TABLE user_knowledge DROP preferences"], &[]));
    let up = |arguments: &[&str]| migrate(&lab, "rag", &[&["up", "rag"], arguments].concat());
    assert!(up(&[]).exits(1).stderr.contains("column preferences is missing"));
    let refused = up(&["--accept", "rag:user_knowledge.preferences"]).exits(7).stderr;
    assert!(
        refused.contains("`rag:user_knowledge.preferences` is missing")
            && refused.contains("what is missing cannot be accepted"),
        "{refused}"
    );
    // What is as it should be, and what is not made yet, is nothing to accept.
    for (arguments, schema) in
        [("rag:user_knowledge.background", "public"), ("rag:user_knowledge.background", "rag")]
    {
        let mut command = lab.command(&["up", "rag", "--new-beside", "--accept", arguments]);
        let refused = run(command.env("RAG_DATABASE_SCHEMA", schema)).exits(2).stderr;
        assert!(refused.contains("nothing to accept"), "{refused}");
    }
}

/// What is missing altogether is no matter of taste: a base of which an earlier system has removed something as a later
/// migration does is further than somebody recorded by hand.
#[test]
fn what_later_migrations_need_cannot_be_accepted_to_be_missing() {
    let (service, scripts, _) = PASTS[7];
    let lab = lab((service, scripts, &["m20250823_000001_create_bookreader"]));
    let up = |arguments: &[&str]| migrate(&lab, service, &[&["up", service], arguments].concat());
    let adopt = "`adopt bookreader --from schema`";
    let refused = up(&[]).exits(7).stderr;
    assert!(refused.contains("`users.reader_settings` is missing") && refused.contains(adopt), "{refused}");
    assert!(!refused.contains("--accept bookreader:users.reader_settings"), "{refused}");
    let refused = up(&["--accept", "bookreader:users.reader_settings"]).exits(7).stderr;
    assert!(refused.contains("what is missing cannot be accepted") && refused.contains(adopt), "{refused}");
}
