//! `repair`: each thing that can be wrong with a history is explained, and mended by the command that it names.

use crate::support::{Lab, run};

/// What is done to the chat service, the kind of trouble that this is, and a word of the command that mends it.
const TROUBLES: [(&str, &str, &str); 10] = [
    (
        "UPDATE chat.seaql_migrations_chat SET version = 'm20261120_000002_2_checks' \
         WHERE version = 'm20261120_000002_check_messages'",
        "renamed",
        "repair --renamed chat:m20261120_000002_2_checks=m20261120_000002_check_messages",
    ),
    (
        "UPDATE chat.migration_journal_chat SET checksum = 'another' \
         WHERE migration = 'm20251017_000001_add_message_source'",
        "edited",
        "repair --accept-edit chat:m20251017_000001_add_message_source",
    ),
    (
        "INSERT INTO chat.seaql_migrations_chat VALUES ('m20250101_000001_of_yesterday', 1)",
        "missing",
        "repair --forget chat:m20250101_000001_of_yesterday",
    ),
    (
        "INSERT INTO chat.seaql_migrations_chat VALUES ('m20990101_000001_of_tomorrow', 1)",
        "ahead",
        "repair --forget chat:m20990101_000001_of_tomorrow",
    ),
    (
        "INSERT INTO chat.migration_journal_chat (run, migration, direction, started_at, outcome, host, tool) \
         VALUES ('1', 'm20990102_000001_of_another', 'apply', now(), 'running', '', '')",
        "begun_elsewhere",
        "repair --forget chat:m20990102_000001_of_another",
    ),
    (
        "UPDATE chat.seaql_migrations_chat SET version = 'e65a515f830d' WHERE version = 'm20251016_000001_create_messages'",
        "squashed",
        "repair --squashed chat:m20251016_000001_create_messages",
    ),
    ("DELETE FROM chat.seaql_migrations_chat", "rows_lost", "repair --restore-rows chat"),
    ("DROP TABLE chat.seaql_migrations_chat", "rows_lost", "repair --restore-rows chat"),
    (
        "CREATE INDEX left_behind ON chat.messages (content); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chat.left_behind'::regclass",
        "invalid_index",
        "repair --drop-invalid-indexes chat",
    ),
    (
        "DELETE FROM chat.seaql_migrations_chat WHERE version = 'm20261120_000002_check_messages'; \
         INSERT INTO chat.migration_journal_chat (run, migration, direction, started_at, outcome, host, tool) \
         VALUES ('1', 'm20261120_000002_check_messages', 'apply', now(), 'running', '', '')",
        "stopped_midway",
        "up chat",
    ),
];

/// Everything that a decision may change.
const HISTORY: &str = "SELECT string_agg(t::text, ' ' ORDER BY t::text), (SELECT count(*) FROM chat.migration_journal_chat), \
     to_regclass('chat.left_behind') FROM (SELECT query_to_xml('SELECT version FROM chat.seaql_migrations_chat ORDER BY 1', \
     true, false, '')::text WHERE to_regclass('chat.seaql_migrations_chat') IS NOT NULL) AS t";

#[test]
fn every_trouble_is_explained_and_mended_by_what_is_named() {
    let lab = Lab::migrated();
    let well = lab.migrate(&["repair"]).exits(0);
    assert_eq!(well.stdout, "nothing to repair in 5 services\n", "{}", well.shown());
    let applied = "SELECT string_agg(version, ' ' ORDER BY version) FROM chat.seaql_migrations_chat";
    let versions = lab.query(applied);
    for (fault, kind, command) in TROUBLES {
        lab.query(fault);
        let before = lab.query(HISTORY);
        let found = lab.migrate(&["repair", "chat", "--json"]).exits(4).json();
        let troubles = found["services"][0]["troubles"].as_array().unwrap();
        let [trouble] = &troubles[..] else { panic!("{kind}: {found}") };
        assert_eq!(trouble["kind"], kind, "{found}");
        let ways = trouble["ways"].as_array().unwrap();
        assert!(ways.iter().any(|way| way["command"] == command), "{kind}: {found}");
        let shown = lab.migrate(&["repair", "chat"]).exits(4);
        assert!(shown.stdout.contains(&format!("`{command}`")), "{}", shown.shown());
        // Those of others are well, and what the run is refused for names the command.
        lab.migrate(&["repair", "rag"]).exits(0);
        if !matches!(kind, "invalid_index" | "stopped_midway") {
            let refused = lab.migrate(&["up", "chat"]).exits(4);
            assert!(refused.stderr.contains("`repair chat`") || kind == "ahead", "{}", refused.shown());
        }
        let command: Vec<&str> = command.split(' ').collect();
        if command[0] == "repair" {
            let dry_run = lab.migrate(&[&command[..], &["--dry-run"]].concat()).exits(0);
            assert!(dry_run.stdout.ends_with("nothing was changed: a dry run\n"), "{}", dry_run.shown());
        }
        assert_eq!(lab.query(HISTORY), before, "{kind}");
        lab.migrate(&command).exits(0);
        lab.migrate(&["repair", "chat"]).exits(0);
        lab.migrate(&["status", "chat", "--check"]).exits(0);
        assert_eq!(lab.query(applied), versions, "{kind}");
    }
    let shown = lab.migrate(&["history", "chat", "--verbose"]).exits(0);
    for decided in ["forgotten", "accepted-edit", "restored-rows", "dropped-invalid-index:left_behind"] {
        assert!(shown.stdout.contains(&format!("repair:{decided}")), "{}", shown.shown());
    }
}

#[test]
fn what_was_edited_is_not_called_verified() {
    let lab = Lab::migrated();
    lab.query(
        "UPDATE chat.migration_journal_chat SET checksum = 'another' WHERE migration = 'm20251016_000001_create_messages'",
    );
    let verified = lab.migrate(&["verify"]).exits(4).stdout;
    let says = "✗ `m20251016_000001_create_messages` was edited after it was applied: what it promised then was not asked";
    assert!(verified.contains(says), "{verified}");
    let document = lab.migrate(&["verify", "chat", "--json"]).exits(4).json();
    assert_eq!(document["services"][0]["edited"][0], "m20251016_000001_create_messages");
    assert!(document["services"][0]["checks"].as_array().unwrap().iter().all(|check| check["holds"] == true));
    lab.migrate(&["status", "chat", "--check"]).exits(4);
    lab.migrate(&["verify", "rag"]).exits(0);
}

#[test]
fn what_does_not_fit_is_not_decided() {
    let lab = Lab::migrated();
    let before = lab.query(HISTORY);
    let refuses = |arguments: &[&str], code: i32, says: &str| {
        let ran = lab.migrate(&[&["repair"], arguments].concat()).exits(code);
        assert!(ran.stderr.contains(says), "{arguments:?}: {}", ran.shown());
        assert_eq!(lab.query(HISTORY), before, "{arguments:?}");
    };
    let known = "chat:m20251017_000001_add_message_source";
    refuses(&["--accept-edit", known], 2, "was not edited after it was");
    refuses(
        &["--forget", known],
        2,
        "this build has `m20251017_000001_add_message_source`, and can revert it",
    );
    refuses(&["--forget", "chat:m1"], 2, "`m1` is neither applied nor begun");
    refuses(&["--squashed", known], 2, "is applied, or not all of what it replaces is");
    refuses(&["--renamed", &format!("{known}=m1")], 2, "under that name");
    refuses(&["--renamed", known], 2, "SERVICE:OLD=NEW");
    refuses(&["--drop-invalid-indexes", "chat"], 2, "it has no invalid index");
    refuses(&["--restore-rows", "chat"], 2, "its version table is there and has its rows");
    refuses(&["--restore-rows", "nobody"], 2, "`nobody` is not known");
    refuses(&["--restore-rows", "chat", "--drop-invalid-indexes", "chat"], 2, "cannot be used with");
    refuses(&["chat", "--dry-run"], 2, "");
    // What may be being built is left alone, and so is a service that somebody works on.
    lab.query(TROUBLES[8].0);
    let before = lab.query(HISTORY);
    let mut session = lab.session();
    session.query("BEGIN");
    session.query("LOCK TABLE chat.messages IN SHARE UPDATE EXCLUSIVE MODE");
    let busy = lab.migrate(&["repair", "--drop-invalid-indexes", "chat"]).exits(2);
    assert!(busy.stderr.contains("may be being built at this moment"), "{}", busy.shown());
    session.query("ROLLBACK");
    session.query("SELECT pg_advisory_lock(hashtextextended('migrate:chat.seaql_migrations_chat', 0))");
    lab.migrate(&["repair", "--drop-invalid-indexes", "chat", "--wait", "100ms"]).exits(5);
    let running = lab.migrate(&["repair", "chat"]).exits(0);
    assert!(running.stdout.contains("look again when it is over"), "{}", running.shown());
    drop(session);
    assert_eq!(lab.query(HISTORY), before);
    // What may not be read is not well.
    let stranger = lab.role("");
    run(lab.command(&["repair", "chat"]).env("DATABASE_URL", lab.url_of(&stranger))).exits(8);
}
