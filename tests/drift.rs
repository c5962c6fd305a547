//! `drift`: what somebody changed by hand, told apart from what applied migrations made, and how to bring it back.

use insta::assert_snapshot;

use crate::support::{Lab, run};

/// Changes of all kinds, none of which a repair would lose rows by bringing back.
const BY_HAND: &str = "
    DROP INDEX chat.idx_messages_source;
    ALTER TABLE chat.messages ALTER COLUMN content DROP NOT NULL, ALTER COLUMN source DROP DEFAULT;
    ALTER TABLE chat.messages RENAME CONSTRAINT messages_pkey TO messages_pkey1;
    COMMENT ON TABLE chat.messages IS 'by hand';
    CREATE INDEX by_hand ON chat.messages (content)";

#[test]
fn what_migrations_made_is_no_drift() {
    let lab = Lab::empty();
    assert_snapshot!(lab.migrate(&["drift", "chat"]).shown(), @"
    exit 0
    --- stdout
    chat          nothing applied
    nothing was compared
    --- stderr
    ");
    // Contract steps are held back here, and rows are carried over: the applied set has gaps.
    for (lab, n_lenient) in [(Lab::migrated(), 0), (Lab::inherited(), 2)] {
        let found = lab.migrate(&["drift", "--json"]).exits(0).json();
        let services = found["services"].as_array().unwrap();
        assert_eq!(services.len(), 5);
        for service in services {
            assert_eq!(service["differences"].as_array().unwrap().len(), 0, "{service}");
            let is_chat = service["service"] == "chat";
            let lenient = service["for_new_rows"].as_array().unwrap().len();
            assert_eq!(lenient, if is_chat { n_lenient } else { 0 }, "{service}");
            assert!(service["objects"].as_u64().unwrap() > 10, "{service}");
        }
    }
}

#[test]
fn what_was_changed_by_hand_is_named_and_brought_back() {
    let lab = Lab::migrated();
    lab.query(BY_HAND);
    assert_snapshot!(lab.migrate(&["drift", "chat"]).shown(), @"
    exit 4
    --- stdout
    chat          5 differences from what 4 migrations make
      ~ table messages: comment nothing → by hand
      ~ column messages.content: not null yes → nothing
      ~ column messages.source: default 'telegram'::character varying → nothing
      + index messages.by_hand
      - index messages.idx_messages_source
      · constraint messages.messages_pkey is called messages_pkey1, and does the same
    20 objects of 1 service compared
    --- stderr
    hint: `drift --repair` prints the statements that bring the schemas back
    ");
    let found = lab.migrate(&["drift", "chat", "--json"]).exits(4).json();
    assert_eq!(found["services"][0]["differences"][0]["kind"], "table");
    assert_eq!(found["services"][0]["renamed"][0]["now"], "messages_pkey1");
    let repair = lab.migrate(&["drift", "chat", "--repair"]).exits(4).stdout;
    lab.query(&repair);
    lab.migrate(&["drift", "chat"]).exits(0);
    // What would lose rows is said, and left to whoever knows.
    lab.query("ALTER TABLE chat.messages ADD COLUMN by_hand text");
    let repair = lab.migrate(&["drift", "chat", "--repair"]).exits(4).stdout;
    assert!(
        repair.contains("\n-- Loses rows or values: ALTER TABLE \"messages\" DROP COLUMN \"by_hand\";"),
        "{repair}"
    );
    lab.query(&repair);
    lab.migrate(&["drift", "chat"]).exits(4);
}

#[test]
fn what_is_not_known_is_not_compared() {
    let lab = Lab::migrated();
    lab.query("INSERT INTO rag.seaql_migrations_rag VALUES ('m20990101_000001_from_the_future', 1)");
    let role = lab.role("");
    lab.query(&format!(
        "GRANT USAGE ON SCHEMA chat TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA chat TO {role}"
    ));
    let ran = lab.migrate(&["drift", "rag"]).exits(4);
    let says =
        "rag           not compared: `m20990101_000001_from_the_future` is applied and not known here\n";
    assert!(ran.stdout.starts_with(says), "{}", ran.stdout);
    // A role that may read only one service compares that one, and says that it could not look at the others.
    let all = run(lab.command(&["drift", "--json"]).env("DATABASE_URL", lab.url_of(&role))).exits(8).json();
    assert_eq!(all["services"][0]["schema"], "chat");
    assert_eq!(all["services"][1]["unknown"], "it could not be read");
}

#[test]
fn the_objects_of_others_in_a_shared_schema_are_no_drift() {
    let lab = Lab::empty();
    lab.query("CREATE TABLE public.theirs (id int); CREATE INDEX theirs_idx ON public.theirs (id)");
    let migrate = |arguments: &[&str]| run(lab.command(arguments).env("CHAT_DATABASE_SCHEMA", "public"));
    migrate(&["up", "chat"]).exits(0);
    migrate(&["drift", "chat"]).exits(0);
    lab.query("CREATE INDEX messages_by_hand ON public.messages (content)");
    let ran = migrate(&["drift", "chat"]).exits(4);
    assert!(ran.stdout.contains("  + index messages.messages_by_hand\n"), "{}", ran.stdout);
}

/// Rules, statistics and foreign keys that are switched off change what statements do, and are seen; what only is spelt
/// otherwise since it was made from a dump is none.
#[test]
fn what_hides_is_seen_and_what_is_spelt_otherwise_is_none() {
    let lab = Lab::migrated();
    let check = lab.query(
        "SELECT format('ALTER TABLE chat.messages DROP CONSTRAINT %I; ALTER TABLE chat.messages ADD CONSTRAINT %1$I %s', conname, \
         pg_get_constraintdef(oid)) FROM pg_constraint WHERE conname = 'messages_role_check'",
    );
    lab.query(&check);
    lab.migrate(&["drift", "chat"]).exits(0);
    lab.query(
        "ALTER TABLE profochatbot.bot DISABLE TRIGGER ALL; DROP STATISTICS chat.stats_messages_dialogue; \
         CREATE RULE swallowed AS ON DELETE TO chat.messages DO INSTEAD NOTHING",
    );
    let found = lab.migrate(&["drift", "chat", "profochatbot", "--json"]).exits(4).json();
    for service in found["services"].as_array().unwrap() {
        let differences = service["differences"].as_array().unwrap();
        let kinds: Vec<&str> = differences.iter().map(|found| found["kind"].as_str().unwrap()).collect();
        if service["service"] == "chat" {
            assert_eq!(kinds, ["rule", "statistics"]);
        } else {
            assert!(kinds.contains(&"constraint"), "{service}");
        }
        lab.query(service["repair"].as_str().unwrap());
    }
    lab.migrate(&["drift", "chat", "profochatbot"]).exits(0);
}

/// Rows of the version table that somebody deleted, and nothing tells of them: the others may not run by themselves, and that is no failure of ours.
#[test]
fn a_history_with_a_gap_is_not_compared() {
    let lab = Lab::migrated();
    lab.query(
        "DELETE FROM chat.seaql_migrations_chat WHERE version LIKE 'm20251016%'; \
         DELETE FROM chat.migration_journal_chat WHERE migration LIKE 'm20251016%'; \
         COMMENT ON TABLE chat.seaql_migrations_chat IS NULL",
    );
    let found = lab.migrate(&["drift", "chat", "--json"]).exits(4).json();
    let why = found["services"][0]["unknown"].as_str().unwrap();
    assert!(why.starts_with("the migrations that are recorded do not run by themselves: "), "{why}");
}

/// What cannot be read of a schema is not known, and no failure of the comparison.
#[test]
fn a_schema_that_cannot_be_read_is_not_known() {
    let lab = Lab::migrated();
    let role = lab.role("");
    lab.query(&format!(
        "GRANT USAGE ON SCHEMA chat TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA chat TO {role}; \
         REVOKE EXECUTE ON FUNCTION pg_catalog.pg_get_constraintdef(oid), pg_catalog.pg_get_constraintdef(oid, bool) FROM PUBLIC"
    ));
    let unread = run(lab.command(&["drift", "chat"]).env("DATABASE_URL", lab.url_of(&role))).exits(8);
    assert!(unread.stderr.contains("the schema of `chat` could not be read"), "{}", unread.shown());
}
