//! One run at a time: who waits says for whom, and who does not want to wait is told.

use insta::assert_snapshot;
use postgres_sandbox::Cluster;

use crate::support::{Hanging, Lab, SESSIONS};

/// How often each migration of the services was applied.
const APPLIED: &str = "SELECT max(n) FROM (\
    SELECT count(*) AS n FROM chat.migration_journal_chat WHERE outcome = 'succeeded' GROUP BY migration UNION ALL \
    SELECT count(*) FROM rag.migration_journal_rag WHERE outcome = 'succeeded' GROUP BY migration UNION ALL \
    SELECT count(*) FROM assessments.migration_journal_assessments WHERE outcome = 'succeeded' GROUP BY migration UNION ALL \
    SELECT count(*) FROM bookreader.migration_journal_bookreader WHERE outcome = 'succeeded' GROUP BY migration) AS counts";

/// Lines without the padding of their columns, which differs with the length of a process id.
fn words(text: &str) -> String {
    let lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn two_runs_at_once_on_an_empty_database_apply_each_migration_once() {
    let lab = Lab::empty();
    let runs = [lab.start(&["up"]), lab.start(&["up"])];
    for run in runs {
        run.finish().exits(0);
    }
    assert_eq!(lab.query(APPLIED), "1");
    lab.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn who_waits_says_for_whom_and_goes_on() {
    let lab = Lab::empty_demo();
    let mut first = Hanging::in_an_index_build_of_demo(&lab);
    let mut second = lab.start(&["up", "demo"]);
    assert_snapshot!(second.says("waiting"), @"waiting for the migration lock of `demo` · held by pid [pid] (migrate demo:m20260102_000001_index_notes, local socket) · waiting for [time]");
    first.release();
    first.run.finish().exits(0);
    assert_snapshot!(second.finish().exits(0).shown(), @"
    exit 0
    --- stdout
    1 service up to date · 1 contract step held back, until [timestamp] · nothing to do in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    waiting for the migration lock of `demo` · held by pid [pid] (migrate demo:m20260102_000001_index_notes, local socket) · waiting for [time]
    got the migration lock of `demo` after [time]
    note  `demo:m20260103_000001_drop_drafts` is held back: it waits until [timestamp], then `up --contract` applies it
    ");
}

#[test]
fn who_does_not_want_to_wait_is_told_who_holds_the_lock() {
    let lab = Lab::empty();
    let mut first = Hanging::in_an_index_build(&lab);
    assert_snapshot!(lab.migrate(&["up", "chat", "--wait", "0"]).shown(), @"
    exit 5
    --- stdout
    0 of 5 services up to date · no migration was finished in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: `chat`: another run holds the migration lock: pid [pid] (`migrate chat:m20251017_000001_add_message_source`, local socket)
      hint wait longer with `--wait 10m`, or see `locks`
    ");
    // Another service is another lock.
    lab.migrate(&["up", "rag", "--wait", "0"]).exits(0);
    first.release();
    first.run.finish().exits(0);
}

#[test]
fn a_held_lock_is_shown() {
    let lab = Lab::empty_demo();
    let mut first = Hanging::in_an_index_build_of_demo(&lab);
    assert_snapshot!(words(&lab.migrate(&["locks"]).exits(0).stdout), @"
    SERVICE PID APPLICATION HOST SINCE
    demo [pid] migrate demo:m20260102_000001_index_notes local socket [timestamp]
    ");
    let lock = lab.migrate(&["locks", "--json"]).exits(0).json()["locks"][0].clone();
    assert_eq!(lock["service"], "demo");
    assert_eq!(lock["application"], "migrate demo:m20260102_000001_index_notes");
    assert_snapshot!(lab.migrate(&["status", "demo"]).exits(0).stdout, @"
    SERVICE  STATE    APPLIED  PENDING  HELD BACK  CURRENT                        VERSION TABLE
    demo     running        1        1          1  m20260101_000001_create_notes  demo.seaql_migrations_demo
    demo: `m20260103_000001_drop_drafts` is held back: its soak time begins when what is pending is applied
    demo: the migration lock is held by pid [pid] (migrate demo:m20260102_000001_index_notes, local socket) since [timestamp]
    ");
    let verified = lab.migrate(&["verify", "demo"]).stdout;
    assert!(verified.contains("· the migration lock is held by pid "), "{verified}");
    assert_eq!(lab.migrate(&["verify", "demo", "--json"]).json()["services"][0]["running"], true);
    first.release();
    first.run.finish().exits(0);
    first.watch.until(SESSIONS, "0");
    assert_snapshot!(lab.migrate(&["locks"]).exits(0).stdout, @"no migration lock is held (1 service asked)");
}

#[test]
fn who_is_in_the_way_of_a_table_lock_is_named() {
    // That nothing was done before is certain only while no other session of the server commits.
    let quiet = Cluster::builder().setting("autovacuum", "off").start().unwrap();
    let lab = Lab::with(quiet.create_database().unwrap());
    lab.migrate(&["up", "chat@m20251016"]).exits(0);
    let mut reader = lab.session();
    reader.query("SET application_name = 'nightly report'");
    reader.query("BEGIN");
    reader.query("SELECT count(*) FROM chat.messages");
    let mut run = lab.start(&["up", "chat"]);
    assert_snapshot!(run.says("waiting for"), @"waiting for the ACCESS EXCLUSIVE lock on `messages` of `chat` · pid [pid] (nightly report) blocks it, its transaction is [time] old · waiting for [time]");
    reader.query("COMMIT");
    run.finish().exits(0);
    reader.query("BEGIN");
    reader.query("SELECT count(*) FROM chat.messages");
    let refused = lab.migrate(&["down", "chat@-1", "--lock-patience", "1s"]).exits(5);
    for says in [
        "waiting for the ACCESS EXCLUSIVE lock on `messages` of `chat`",
        "(nightly report) blocks it",
        "because no ACCESS EXCLUSIVE lock on `chat.messages` within 1 s",
        "(`nightly report`) has held ACCESS SHARE for",
    ] {
        assert!(refused.shown().contains(says), "{}", refused.shown());
    }
}

#[test]
fn who_verifies_beside_a_run_is_told_of_it() {
    let lab = Lab::empty_demo();
    let mut hanging = Hanging::in_an_index_build_of_demo(&lab);
    let verified = lab.migrate(&["verify", "demo"]).exits(0);
    assert!(verified.stdout.contains("the migration lock is held by pid"), "{}", verified.shown());
    assert!(verified.stdout.contains("what it has not finished may not hold yet"), "{}", verified.shown());
    hanging.release();
    hanging.run.finish().exits(0);
    let verified = lab.migrate(&["verify", "demo"]).exits(0);
    assert!(!verified.stdout.contains("may not hold"), "{}", verified.shown());
}

/// What a run asks before it begins needs the tables too, and waits for them no longer than what it does afterwards.
#[test]
fn a_table_that_another_keeps_locked_is_waited_for_with_the_same_patience() {
    let lab = Lab::migrated();
    lab.migrate(&["down", "chat@-1"]).exits(0);
    lab.query(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) VALUES (1, 2, 'user', 'hello', 5)",
    );
    let mut holder = lab.session();
    holder.query("BEGIN");
    holder.query("LOCK TABLE chat.messages IN ACCESS EXCLUSIVE MODE");
    for arguments in [&["up", "chat"][..], &["down", "chat@-1"], &["redo", "chat"]] {
        let ran = lab.migrate(&[arguments, &["--lock-patience", "3s"]].concat()).exits(5);
        assert!(ran.stderr.contains("keeps a table locked"), "{}", ran.shown());
        assert!(ran.stderr.contains("(psql), whose transaction is"), "{}", ran.shown());
    }
    holder.query("ROLLBACK");
    lab.migrate(&["up", "chat", "--lock-patience", "500ms"]).exits(0);
}
