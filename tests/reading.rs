//! Unknown is never empty: a command that could not read something says so, names it, and ends with its exit code; what
//! it could read it shows all the same.

use insta::assert_snapshot;
use postgres_sandbox::Cluster;

use crate::support::{Lab, run};

/// What is asked of a service in each state, in the order of the exit codes of [`FAULTS`].
const COMMANDS: [&[&str]; 9] = [
    &["status", "chat"],
    &["history", "chat"],
    &["history", "chat", "--verbose"],
    &["verify", "chat"],
    &["plan", "chat"],
    &["up", "chat"],
    &["locks"],
    &["rejects", "chat"],
    &["space", "chat"],
];

/// What can be wrong with a service's tables, what is said then, and how each of [`COMMANDS`] ends. `{role}` is a role
/// that may read what there was before.
const FAULTS: [(&str, &str, [i32; 9]); 14] = [
    ("", "", [0; 9]),
    (
        "ALTER TABLE chat.seaql_migrations_chat ALTER applied_at TYPE timestamptz USING to_timestamp(applied_at)",
        "`chat`: `chat.seaql_migrations_chat` could not be read",
        [8, 8, 0, 8, 8, 8, 0, 0, 0],
    ),
    (
        "ALTER TABLE chat.seaql_migrations_chat ALTER applied_at DROP NOT NULL; \
         UPDATE chat.seaql_migrations_chat SET applied_at = NULL WHERE version LIKE '%add_message_source'",
        "`chat.seaql_migrations_chat` is damaged: the row of `m20251017_000001_add_message_source` has no `applied_at`",
        [4, 4, 0, 4, 4, 4, 0, 0, 0],
    ),
    (
        "INSERT INTO chat.seaql_migrations_chat VALUES ('', 1)",
        "`chat.seaql_migrations_chat` is damaged: `` is no name of a migration",
        [4, 4, 0, 4, 4, 4, 0, 0, 0],
    ),
    (
        "ALTER TABLE chat.seaql_migrations_chat DROP CONSTRAINT seaql_migrations_chat_pkey; \
         INSERT INTO chat.seaql_migrations_chat SELECT version, applied_at + 1 FROM chat.seaql_migrations_chat WHERE version LIKE '%messages'",
        "`chat`: migration `m20251016_000001_create_messages` is in `chat.seaql_migrations_chat` more than once",
        [4, 4, 0, 4, 4, 4, 0, 0, 0],
    ),
    (
        "DROP TABLE chat.seaql_migrations_chat",
        "version table `chat.seaql_migrations_chat` is missing, although the journal records applied migrations",
        [4, 4, 0, 4, 4, 4, 0, 0, 0],
    ),
    (
        "REVOKE SELECT ON chat.seaql_migrations_chat FROM {role}",
        "may not read `chat.seaql_migrations_chat`",
        [8, 8, 0, 8, 8, 8, 0, 0, 0],
    ),
    (
        "DROP TABLE chat.seaql_migrations_chat; REVOKE SELECT ON chat.migration_journal_chat FROM {role}",
        "chat.migration_journal_chat`",
        [8, 8, 8, 8, 8, 8, 0, 0, 0],
    ),
    (
        "REVOKE SELECT ON chat.migration_journal_chat FROM {role}",
        "chat.migration_journal_chat`",
        [8, 0, 8, 0, 8, 8, 0, 0, 0],
    ),
    (
        "ALTER TABLE chat.migration_journal_chat DROP COLUMN checksum, DROP COLUMN host",
        "chat.migration_journal_chat` could not be read",
        [8, 0, 8, 0, 8, 8, 0, 0, 0],
    ),
    (
        "ALTER TABLE chat.seaql_migrations_chat RENAME TO old; \
         CREATE VIEW chat.seaql_migrations_chat AS SELECT * FROM chat.old",
        "`chat.seaql_migrations_chat` is a view, not a table",
        [4, 4, 0, 4, 4, 4, 0, 0, 0],
    ),
    (
        "DROP TABLE chat.seaql_migrations_chat; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; \
         CREATE FOREIGN TABLE chat.seaql_migrations_chat (version varchar, applied_at bigint) SERVER s",
        "`chat.seaql_migrations_chat` is a foreign table, not a table",
        [4, 4, 0, 4, 4, 4, 0, 0, 0],
    ),
    (
        "ALTER TABLE chat.seaql_migrations_chat RENAME TO old; \
         CREATE TABLE chat.seaql_migrations_chat (LIKE chat.old) PARTITION BY LIST (version); \
         CREATE TABLE chat.part PARTITION OF chat.seaql_migrations_chat DEFAULT; \
         INSERT INTO chat.seaql_migrations_chat SELECT * FROM chat.old; \
         GRANT SELECT ON chat.seaql_migrations_chat TO {role}",
        "",
        [0; 9],
    ),
    ("REVOKE USAGE ON SCHEMA public FROM PUBLIC", "", [0; 9]),
];

/// How many runs of the service are recorded.
const LINES: &str = "SELECT count(*) FROM chat.migration_journal_chat";

#[test]
fn what_cannot_be_read_is_said_by_every_command_and_only_of_its_service() {
    for (fault, says, codes) in FAULTS {
        let lab = Lab::migrated();
        let role = lab.role("");
        for schema in ["chat", "rag", "assessments", "profochatbot", "bookreader"] {
            lab.query(&format!(
                "GRANT USAGE ON SCHEMA {schema} TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}"
            ));
        }
        lab.query(&fault.replace("{role}", &role));
        let lines = lab.query(LINES);
        let ask = |arguments: &[&str]| run(lab.command(arguments).env("DATABASE_URL", lab.url_of(&role)));
        for (arguments, code) in COMMANDS.iter().zip(codes) {
            let document = ask(&[*arguments, &["--json"]].concat()).exits(code).json();
            assert_eq!(document["ok"], code == 0, "{fault}\n{arguments:?}\n{document}");
            if code != 0 {
                let errors = document["errors"].to_string();
                assert!(errors.contains(says), "{fault}\n{arguments:?}\n{errors}");
            }
        }
        // The other services of the same database are what they were, and are migrated.
        for arguments in [["verify", "rag"], ["up", "rag"]] {
            let ran = ask(&arguments).exits(0);
            assert!(!ran.stderr.contains("error:"), "{fault}\n{arguments:?}\n{}", ran.shown());
        }
        // All together end with the worst, and show the rest.
        for (command, code) in [("status", codes[0]), ("history", codes[1]), ("verify", codes[3])] {
            let ran = ask(&[command]).exits(code);
            assert!(ran.stdout.contains("rag "), "{fault}\n{command}\n{}", ran.shown());
            assert!(code == 0 || ran.stderr.contains(says), "{fault}\n{command}\n{}", ran.shown());
        }
        // What is unknown is not started over.
        assert_eq!(lab.query(LINES), lines, "{fault}");
    }
}

#[test]
fn tables_of_others_are_seen_without_rights_on_their_schema() {
    let lab = Lab::migrated();
    let role = lab.role("IN ROLE pg_read_all_data");
    lab.query("CREATE TABLE public.users (); REVOKE USAGE ON SCHEMA public FROM PUBLIC");
    let ran = run(lab.command(&["status", "rag"]).env("DATABASE_URL", lab.url_of(&role))).exits(0);
    assert!(ran.stdout.contains("of the forum that are not there: `public.topics`"), "{}", ran.shown());
}

#[test]
fn a_version_table_that_is_gone_is_not_an_empty_service() {
    let lab = Lab::migrated();
    lab.query("DROP TABLE chat.seaql_migrations_chat");
    assert_snapshot!(lab.migrate(&["status", "chat", "rag"]).shown(), @r#"
    exit 4
    --- stdout
    SERVICE  STATE    APPLIED  PENDING  HELD BACK  CURRENT                                        VERSION TABLE
    chat     damaged        ?        ?          ?  ?                                              chat.seaql_migrations_chat
    rag      current        2        0          0  m20261120_000001_drop_redundant_user_id_index  rag.seaql_migrations_rag
    rag: tables of the AI manager that are not there: `public.embeddings`, `public.message_embeddings`
    rag: tables of the forum that are not there: `public.users`, `public.topics`, `public.messages`
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: `chat`: version table `chat.seaql_migrations_chat` is missing, although the journal records applied migrations
      hint `repair chat` shows how to restore it from the journal; only if the service's tables are gone too, `DROP TABLE "chat"."migration_journal_chat"` lets it start over
    "#);
    assert_snapshot!(lab.migrate(&["up", "chat"]).shown(), @r#"
    exit 4
    --- stdout
    --- stderr
    error: `chat`: version table `chat.seaql_migrations_chat` is missing, although the journal records applied migrations
      hint `repair chat` shows how to restore it from the journal; only if the service's tables are gone too, `DROP TABLE "chat"."migration_journal_chat"` lets it start over
    "#);
    // Without a migration that ever succeeded there is nothing that could be lost.
    lab.query("UPDATE chat.migration_journal_chat SET outcome = 'failed'; DROP TABLE chat.messages");
    lab.migrate(&["plan", "chat"]).exits(0);
}

/// The same where only its rows are gone, and the tables are there; without the tables, another tool has reverted all.
#[test]
fn a_version_table_without_its_rows_is_not_an_empty_service() {
    let lab = Lab::migrated();
    lab.query("DELETE FROM chat.seaql_migrations_chat");
    let error = "error: `chat`: version table `chat.seaql_migrations_chat` is empty, although the journal records applied \
                 migrations and their tables are there";
    for arguments in [&["status", "chat"][..], &["up", "chat"], &["plan", "chat"], &["verify", "chat"]] {
        let said = lab.migrate(arguments).exits(4).stderr;
        assert!(said.contains(error), "{arguments:?}: {said}");
    }
    lab.query("DROP TABLE chat.messages");
    lab.migrate(&["up", "chat"]).exits(0);
    lab.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn one_server_that_is_down_hides_no_other_and_stops_no_run_that_does_not_need_it() {
    let lab = Lab::migrated();
    let cluster = Cluster::temporary().unwrap();
    let down = cluster.url("postgres");
    drop(cluster);
    let ask = |arguments: &[&str]| run(lab.command(arguments).env("RAG_DATABASE_URL", &down));
    lab.migrate(&["down", "chat@-1"]).exits(0);
    assert_snapshot!(ask(&["up", "chat"]).shown(), @"
    exit 0
    --- stdout
    chat  m20261120_000002_check_messages  ok [time]
    4 of 5 services up to date, 1 could not be read · 8 contract steps held back, the first until [timestamp] · 1 migration in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
      · `chat`: state of `messages_role_check`: validated
      · `chat`: state of `messages_message_length_check`: validated
    ");
    assert_snapshot!(ask(&["status", "chat", "rag"]).shown(), @"
    exit 8
    --- stdout
    SERVICE  STATE        APPLIED  PENDING  HELD BACK  CURRENT                          VERSION TABLE
    chat     current            4        0          0  m20261120_000002_check_messages  chat.seaql_migrations_chat
    rag      unreachable        ?        ?          ?  ?                                rag.seaql_migrations_rag
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: cannot reach `postgres@[socket]:5432`
      because No such file or directory (os error [number])
      hint check that the server runs and that host and port of `RAG_DATABASE_URL` are right
    ");
    assert_snapshot!(ask(&["verify", "chat", "rag"]).shown(), @"
    exit 8
    --- stdout
    chat          14 checks hold
      · state of `messages_role_check`: validated
      · state of `messages_message_length_check`: validated
    rag           could not be read
    14 checks of 1 service; 1 could not be read
    --- stderr
    error: cannot reach `postgres@[socket]:5432`
      because No such file or directory (os error [number])
      hint check that the server runs and that host and port of `RAG_DATABASE_URL` are right
    ");
    assert_snapshot!(ask(&["locks"]).shown(), @"
    exit 8
    --- stdout
    no migration lock is held (4 services asked)
    --- stderr
    error: cannot reach `postgres@[socket]:5432`
      because No such file or directory (os error [number])
      hint check that the server runs and that host and port of `RAG_DATABASE_URL` are right
    ");
    let history = ask(&["history"]).exits(8);
    assert_eq!(
        history.stdout.lines().filter(|line| line.starts_with("chat ") && line.contains(" applied ")).count(),
        4
    );
    assert!(history.stdout.contains("m20250727_000001_create_user_knowledge"), "{}", history.shown());
    assert_eq!(history.stdout.matches("unknown").count(), 2, "{}", history.shown());
    let document = ask(&["status", "--json"]).exits(8).json();
    let rag =
        document["services"].as_array().unwrap().iter().find(|service| service["name"] == "rag").unwrap();
    for unknown in [
        "applied",
        "pending",
        "held_back",
        "missing",
        "ahead",
        "renamed",
        "out_of_order",
        "edited",
        "stopped_midway",
    ] {
        assert!(rag[unknown].is_null(), "{unknown}: {rag}");
    }
    assert!(rag["externals"][0]["present"].is_null(), "{rag}");
    assert_eq!(document["summary"]["unknown"], 1);
    for (arguments, code) in [
        (&["up", "chat"][..], 0),
        (&["plan", "chat"], 0),
        (&["down", "chat@-1"], 0),
        (&["redo", "chat"], 0),
        (&["rejects", "chat"], 0),
        (&["space", "chat"], 0),
        (&["verify", "chat"], 0),
        (&["status", "chat"], 0),
        (&["history", "chat", "--verbose"], 0),
        (&["history", "--verbose"], 8),
        (&["up"], 8),
        (&["plan"], 8),
        (&["plan", "rag"], 8),
        (&["up", "rag"], 8),
        (&["rejects", "rag"], 8),
        (&["space", "rag"], 8),
    ] {
        let ran = ask(arguments);
        assert_eq!(ran.code, code, "{arguments:?}\n{}", ran.shown());
    }
}
