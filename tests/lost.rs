//! The connection is lost, or the network falls silent: what is said afterwards is true.

use std::thread;
use std::time::{Duration, Instant};

use crate::support::{BOOKREADER_ROWS, Fault, Hanging, Lab, Relay, Running, SESSIONS, run};

/// The answer to a `COMMIT` may be lost, but not whether it was done.
#[test]
fn what_was_committed_is_done_and_what_was_not_is_not() {
    use Fault::{Unanswered, UnansweredForGood, Unsent};
    // What runs before, the command, the transaction that fails; the exit, a word of what is said, how many of the chat
    // service's migrations are applied then.
    type Case = (&'static str, &'static [&'static str], (&'static str, Fault), (i32, &'static str, u64));
    let cases: [Case; 9] = [
        ("", &["up", "chat@+1"], ("succeeded", Unanswered), (0, "1 migration in", 1)),
        ("", &["up", "chat@+1"], ("succeeded", Unsent), (1, "nothing was changed", 0)),
        ("", &["up", "chat@+1"], ("succeeded", UnansweredForGood), (6, "it is not known whether", 1)),
        ("", &["up", "chat@+1", "rag@+1", "--atomic"], ("succeeded", Unanswered), (0, "2 migrations in", 1)),
        ("", &["up", "chat@+1", "rag@+1", "--atomic"], ("succeeded", Unsent), (1, "nothing was changed", 0)),
        ("chat@+1", &["up", "chat@+1"], ("succeeded", Unanswered), (0, "1 migration in", 2)),
        ("chat@+1", &["up", "chat@+1"], ("succeeded", Unsent), (6, "what was done is kept", 1)),
        ("chat@+1", &["up", "chat@+1"], ("running", Unsent), (1, "nothing was changed", 1)),
        ("chat@+1", &["down", "chat@-1"], ("succeeded", Unanswered), (0, "1 migration reverted", 0)),
    ];
    for (before, arguments, (outcome, fault), (code, said, n_applied)) in cases {
        let lab = Lab::empty();
        if !before.is_empty() {
            lab.migrate(&["up", before]).exits(0);
        }
        let relay = Relay::at_commit(&lab, outcome, fault);
        let ran = run(lab.command(arguments).env("DATABASE_URL", relay.url()));
        let case = format!("{arguments:?} {outcome} {fault:?}: {}", ran.shown());
        assert_eq!(relay.n_faults(), 1, "{case}");
        assert_eq!(ran.code, code, "{case}");
        assert!(format!("{}{}", ran.stdout, ran.stderr).contains(said), "{case}");
        if code != 0 {
            assert!(ran.stderr.contains("because the connection to the server was lost"), "{case}");
        }
        let status = lab.migrate(&["status", "chat", "--json"]).exits(0).json();
        assert_eq!(status["services"][0]["applied"], n_applied, "{case}");
        lab.migrate(&["up", "chat", "rag"]).exits(0);
        lab.migrate(&["verify", "chat", "rag"]).exits(0);
    }
}

#[test]
fn ctrl_c_ends_a_run_although_the_network_is_silent() {
    for arguments in [["up", "bookreader"], ["up", "chat"]] {
        let lab = Lab::empty();
        let relay = Relay::open_to_all(&lab);
        let mut command = lab.command(&arguments);
        command.env("DATABASE_URL", relay.url());
        let start = |_: &Lab, _: &[&str]| Running::start(command);
        let hanging = if arguments[1] == "chat" {
            Hanging::in_an_index_build_of(&lab, start)
        } else {
            Hanging::in_a_transaction_of(&lab, start)
        };
        relay.fall_silent();
        let begun = Instant::now();
        hanging.run.signal("INT");
        let ran = hanging.run.finish().exits(130);
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", begun.elapsed());
        assert!(
            ran.stderr.contains("the server does not answer: its process ")
                && ran.stderr.contains("may still be running"),
            "{}",
            ran.shown()
        );
    }
}

/// A process that is frozen in the middle of a batch does not keep the application from its rows.
#[test]
fn a_frozen_run_lets_go_of_the_rows_of_its_batch() {
    let lab = Lab::empty();
    lab.migrate(&["up", "bookreader@m20250824_154500"]).exits(0);
    lab.query(BOOKREADER_ROWS);
    // The last message of a batch before its commit.
    let relay = Relay::freezing_at(&lab, " SET cursor = ");
    let mut command = lab.command(&["up", "bookreader"]);
    command.env("DATABASE_URL", relay.url());
    let run = Running::start(command);
    relay.freezes(run.pid());
    while relay.n_faults() == 0 {
        thread::sleep(Duration::from_millis(20));
    }
    let mut application = lab.session();
    application.until(&format!("{SESSIONS} AND state = 'idle in transaction'"), "1");
    application.query("SET lock_timeout = '20s'");
    // A new address is a new key, for which the batch's reference to the row has to be gone.
    application.query("UPDATE bookreader.users SET email = 'new' || email");
    run.signal("CONT");
    let ran = run.finish();
    let reasons = ["idle-in-transaction timeout", "the connection to the server was lost"];
    assert!(ran.code == 6 && reasons.iter().any(|reason| ran.stderr.contains(reason)), "{}", ran.shown());
    lab.migrate(&["up", "bookreader"]).exits(0);
    lab.migrate(&["verify", "bookreader"]).exits(0);
}
