//! Killed: `kill -9`, Ctrl-C and SIGTERM in the middle of a migration. Nothing half-done stays in the way of the next run.

use insta::assert_snapshot;

use crate::support::{Hanging, Lab, SESSIONS};

/// Tables of the bookreader service that are not bookkeeping.
const BOOKREADER_TABLES: &str = "SELECT count(*) FROM pg_tables WHERE schemaname = 'bookreader' \
                                 AND tablename !~ '^(seaql_migrations|migration)_'";

/// Whether the index that the chat service's second migration builds is valid.
const INDEX_IS_VALID: &str =
    "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('chat.idx_messages_source')";

#[test]
fn killed_in_a_transaction_nothing_remains_and_the_next_run_finishes() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_a_transaction(&lab);
    hanging.run.signal("KILL");
    // What it waited for has not ended, and yet the server gives up.
    hanging.watch.until(SESSIONS, "0");
    assert_eq!(hanging.run.finish().code, 128 + 9);
    assert_eq!(hanging.watch.query("SELECT count(*) FROM bookreader.seaql_migrations_bookreader"), "0");
    assert_eq!(hanging.watch.query(BOOKREADER_TABLES), "0");
    assert!(lab.migrate(&["locks"]).exits(0).stdout.contains("no migration lock is held"));
}

#[test]
fn killed_in_a_transaction_the_next_run_finishes() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_a_transaction(&lab);
    hanging.run.signal("KILL");
    hanging.release();
    // The orphan may still hold the lock: then the next run waits for it.
    lab.migrate(&["up", "bookreader"]).exits(0);
    lab.migrate(&["status", "--check", "bookreader"]).exits(0);
    lab.migrate(&["verify", "bookreader"]).exits(0);
}

#[test]
fn killed_in_an_index_build_the_leftover_is_built_again() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_an_index_build(&lab);
    hanging.run.signal("KILL");
    hanging.watch.until(SESSIONS, "0");
    assert_eq!(hanging.watch.query(INDEX_IS_VALID), "f");
    assert_snapshot!(lab.migrate(&["status", "chat", "--check"]).shown(), @"
    exit 6
    --- stdout
    SERVICE  STATE  APPLIED  PENDING  HELD BACK  CURRENT                           VERSION TABLE
    chat     dirty        1        3          0  m20251016_000001_create_messages  chat.seaql_migrations_chat
    chat: `m20251017_000001_add_message_source` stopped midway while it was applied: `up chat` applies it, `down chat@-1` reverts it
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
    // There is nothing to bring back, and nothing is known of it: whoever asks for a script only is told, too.
    let why = "not compared: a migration was begun and not finished";
    assert!(lab.migrate(&["drift", "chat"]).exits(6).stdout.contains(&format!("chat          {why}")));
    let script = lab.migrate(&["drift", "chat", "--repair"]).exits(6);
    assert!(
        script.stdout.is_empty() && script.stderr.contains(&format!("`chat` was {why}")),
        "{}",
        script.shown()
    );
    let verified = lab.migrate(&["verify", "chat"]).exits(6).stdout;
    assert!(
        verified.contains("`m20251017_000001_add_message_source` was begun and not finished"),
        "{verified}"
    );
    hanging.release();
    lab.migrate(&["up", "chat"]).exits(0);
    assert_eq!(hanging.watch.query(INDEX_IS_VALID), "t");
    lab.migrate(&["status", "--check", "chat"]).exits(0);
}

#[test]
fn killed_in_an_index_build_down_takes_the_leftover_away() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_an_index_build(&lab);
    hanging.run.signal("KILL");
    hanging.watch.until(SESSIONS, "0");
    hanging.release();
    assert_snapshot!(lab.migrate(&["up", "chat@m20251016"]).shown(), @"
    exit 7
    --- stdout
    --- stderr
    error: `chat:m20251017_000001_add_message_source` was begun and not finished, and lies beyond the target
      hint `up chat:m20251017_000001_add_message_source` finishes it, `down chat@-1` takes it back
    ");
    assert_snapshot!(lab.migrate(&["plan", "--down", "chat@-1"]).shown(), @"
    exit 0
    --- stdout
       SERVICE  MIGRATION                            DOES    PHASE   HOW              NOTES                  DESCRIPTION
    1  chat     m20251017_000001_add_message_source  revert  expand  resumable steps  stopped midway before  Adds `messages.source`, the channel that a message came through, and its index
    reverting `chat:m20251017_000001_add_message_source` loses for good: the source of each message that did not come from Telegram
    --- stderr
    ");
    assert_snapshot!(lab.migrate(&["down", "chat@-1"]).exits(0).stdout, @"
    chat  m20251017_000001_add_message_source  reverted [time]
    0 of 5 services up to date · 1 migration reverted in [time]
    ");
    assert_eq!(hanging.watch.query("SELECT to_regclass('chat.idx_messages_source')"), "");
    assert!(
        lab.migrate(&["status", "chat", "--check"])
            .exits(3)
            .stdout
            .contains("m20251016_000001_create_messages")
    );
    lab.migrate(&["verify", "chat"]).exits(0);
}

#[test]
fn ctrl_c_rolls_back_tells_the_journal_and_lets_go() {
    let lab = Lab::empty();
    let hanging = Hanging::in_a_transaction(&lab);
    hanging.run.signal("INT");
    let Hanging { run, mut watch, .. } = hanging;
    assert_snapshot!(run.finish().exits(130).shown(), @"
    exit 130
    --- stdout
    bookreader  m20250823_000001_create_bookreader          interrupted [time]
    0 of 5 services up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `bookreader:m20250823_000001_create_bookreader` was interrupted while applying
      hint run `up bookreader` again to continue
    ");
    assert_eq!(watch.query(BOOKREADER_TABLES), "0");
    let journal = "SELECT migration, direction, outcome FROM bookreader.migration_journal_bookreader";
    assert_eq!(watch.query(journal), "m20250823_000001_create_bookreader|apply|interrupted");
    watch.until(SESSIONS, "0");
}

#[test]
fn after_ctrl_c_the_next_run_finishes() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_a_transaction(&lab);
    hanging.run.signal("INT");
    hanging.watch.until("SELECT count(*) FROM bookreader.migration_journal_bookreader", "1");
    hanging.release();
    assert_eq!(hanging.run.finish().code, 130);
    lab.migrate(&["up", "bookreader"]).exits(0);
    lab.migrate(&["status", "--check", "bookreader"]).exits(0);
}

#[test]
fn sigterm_in_an_index_build_is_told_and_resumed() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_an_index_build(&lab);
    hanging.run.signal("TERM");
    let journal =
        "SELECT outcome FROM chat.migration_journal_chat WHERE migration ~ 'add_message_source' ORDER BY id";
    hanging.watch.until(journal, "running\ninterrupted");
    hanging.release();
    assert_snapshot!(hanging.run.finish().exits(143).shown(), @"
    exit 143
    --- stdout
    chat  m20251017_000001_add_message_source     interrupted [time]
    0 of 5 services up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `chat:m20251017_000001_add_message_source` was interrupted while applying
      hint run `up chat` again to continue
    ");
    lab.migrate(&["up", "chat"]).exits(0);
    assert_eq!(lab.query(INDEX_IS_VALID), "t");
}

#[test]
fn the_document_says_which_signal_ended_the_run() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        for format in ["--json", "--format=ndjson"] {
            let lab = Lab::empty();
            let mut other = lab.session();
            other.query("SELECT pg_advisory_lock(hashtextextended('migrate:chat.seaql_migrations_chat', 0))");
            let waiting = lab.start(&["up", "chat", format]);
            let waits = "SELECT count(*) > 0 FROM pg_stat_activity \
                         WHERE datname = current_database() AND application_name = 'migrate chat'";
            other.until(waits, "t");
            waiting.signal(signal);
            let last = waiting.finish().exits(code).stdout;
            assert!(
                last.contains(&format!("\"exit_code\":{code}"))
                    || last.contains(&format!("\"exit_code\": {code}")),
                "{last}"
            );
        }
    }
}

#[test]
fn a_second_ctrl_c_does_not_wait() {
    let lab = Lab::empty();
    let hanging = Hanging::in_a_transaction(&lab);
    hanging.run.signal("INT");
    hanging.run.signal("INT");
    assert_eq!(hanging.run.finish().code, 130);
}

#[test]
fn ctrl_c_while_many_services_begin_is_told_once() {
    let lab = Lab::empty();
    lab.query(
        "CREATE FUNCTION public.rest() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN IF current_query() NOT LIKE ''/* migrate */%'' THEN PERFORM pg_sleep(600); END IF; END'; \
         CREATE EVENT TRIGGER rest ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.rest()",
    );
    let run = lab.start(&["up", "chat", "rag", "assessments"]);
    let mut watch = lab.session();
    watch.until(&format!("{SESSIONS} AND wait_event = 'PgSleep'"), "3");
    run.signal("INT");
    let ran = run.finish().exits(130);
    let told: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(told.len(), 1, "{}", ran.shown());
    assert!(told[0].starts_with("error: the run was interrupted; stopped: `"), "{}", ran.shown());
    watch.until(SESSIONS, "0");
}

#[test]
fn ctrl_c_during_a_revert_is_in_the_journal() {
    // One in a transaction, one in steps, each at the table lock that it waits for.
    for (service, table) in [("rag", "user_knowledge"), ("chat", "messages")] {
        let lab = Lab::migrated();
        let mut blocker = lab.session();
        blocker.query("BEGIN");
        blocker.query(&format!("SELECT count(*) FROM {service}.{table}"));
        let mut run = lab.start(&["down", &format!("{service}@base")]);
        run.says("waiting for the ");
        run.signal("INT");
        run.finish().exits(130);
        let journal = format!(
            "SELECT outcome FROM {service}.migration_journal_{service} WHERE direction = 'revert' ORDER BY id DESC LIMIT 1"
        );
        assert_eq!(lab.query(&journal), "interrupted", "{service}");
    }
}
