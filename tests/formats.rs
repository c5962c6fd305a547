//! For people and for machines: colour, quiet, JSON of every command, NDJSON line by line.

use std::process::Stdio;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{BOOKREADER_ROWS, Lab, Ran, run};

const ESCAPE: char = '\u{1b}';

/// The events of `--format ndjson`, each with its number.
#[track_caller]
fn events(ran: &Ran) -> Vec<Value> {
    let lines = ran.stdout.lines().map(serde_json::from_str);
    let events: Vec<Value> =
        lines.collect::<Result<_, _>>().unwrap_or_else(|error| panic!("{error}\n{}", ran.shown()));
    for (event, number) in events.iter().zip(1_u64..) {
        assert_eq!(event["seq"], number, "{event}");
        assert!(
            event["ts"].is_string() && event["level"].is_string() && event["kind"].is_string(),
            "{event}"
        );
    }
    events
}

#[test]
fn every_command_has_a_document() {
    let lab = Lab::demo();
    for (arguments, code) in [
        (vec!["status"], 0),
        (vec!["history"], 0),
        (vec!["history", "--verbose"], 0),
        (vec!["plan"], 0),
        (vec!["plan", "--down", "demo@base"], 0),
        (vec!["verify"], 0),
        (vec!["locks"], 0),
        (vec!["doctor"], 0),
        (vec!["rejects", "demo"], 0),
        (vec!["rejects", "demo", "--count"], 0),
        (vec!["graph"], 0),
        (vec!["space", "demo"], 0),
        (vec!["space", "demo", "--reclaim", "note"], 0),
        (vec!["graph", "--notation", "json"], 0),
        (vec!["db", "status"], 0),
        (vec!["task"], 0),
        (vec!["redo", "demo"], 0),
        (vec!["down", "demo@-1"], 0),
        (vec!["up"], 0),
        (vec!["status", "nobody"], 2),
        (vec!["up", "demo@zzz"], 2),
        (vec!["verify", "nobody"], 2),
        (vec!["db", "reset"], 7),
    ] {
        let document = lab.migrate(&[&arguments[..], &["--json"]].concat()).exits(code).json();
        // One frame around all of them; a failure has no command.
        let frame = ["schema", "command", "ok", "exit_code", "errors"];
        let is_there = |field: &&&str| **field != "command" || document.get("command").is_some();
        let expected: Vec<&&str> = frame.iter().filter(is_there).collect();
        let keys: Vec<&String> = document.as_object().unwrap().keys().take(expected.len()).collect();
        assert_eq!(keys, expected, "{arguments:?}: {document}");
        assert_eq!(document["schema"], "migrate/v1", "{arguments:?}");
        assert_eq!(document["exit_code"], code, "{arguments:?}: {document}");
        assert_eq!(document["ok"], code == 0, "{arguments:?}: {document}");
        assert_eq!(document["errors"].as_array().unwrap().is_empty(), code == 0, "{arguments:?}: {document}");
    }
}

#[test]
fn what_every_command_understands_may_precede_it() {
    let lab = Lab::demo();
    assert!(lab.migrate(&["--json", "status"]).exits(0).json()["services"].is_array());
    events(&lab.migrate(&["--format", "ndjson", "redo", "demo"]).exits(0));
    assert_snapshot!(lab.migrate(&["--contract", "status"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: an option of `up` precedes the command
      hint write options behind the command that they are for: `up --contract`
    ");
}

#[test]
fn a_run_is_reported_event_by_event() {
    let lab = Lab::empty_demo();
    let ran = lab.migrate(&["up", "--format", "ndjson"]).exits(0);
    let events = events(&ran);
    let kinds = |kind: &str| events.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!(events[0]["kind"], "run_started");
    assert_eq!((kinds("migration_started"), kinds("migration_finished"), kinds("run_finished")), (3, 3, 1));
    let last = events.last().unwrap();
    assert_eq!((&last["kind"], &last["ok"], &last["exit_code"]), (&"ended".into(), &true.into(), &0.into()));
    assert_eq!(ran.stderr, "");
}

#[test]
fn a_backfill_reports_how_far_it_has_come_and_how_long_it_will_take() {
    let lab = Lab::empty();
    lab.migrate(&["up", "bookreader@m20250824_154500", "--quiet"]).exits(0);
    lab.query(BOOKREADER_ROWS);
    let ran = lab.migrate(&["up", "bookreader@+1", "--format", "ndjson"]).exits(0);
    let reported =
        events(&ran).into_iter().filter(|event| event["kind"] == "progress" && event["what"] == "users");
    let reported: Vec<Value> = reported.collect();
    let (first, last) = (reported.first().unwrap(), reported.last().unwrap());

    assert_eq!(first["service"], "bookreader");
    assert_eq!(first["migration"], "m20250824_154501_backfill_user_preferences");
    // The first batch is reported at once.
    assert_eq!((&first["done"], &first["total"]), (&1_000.into(), &4_000.into()));
    assert!(first["rows_per_s"].as_u64() > Some(0) && first["eta_ms"].as_u64() > Some(0), "{first}");
    assert_eq!((&last["done"], &last["total"], &last["eta_ms"]), (&4_000.into(), &4_000.into(), &0.into()));
    let done: Vec<u64> = reported.iter().map(|event| event["done"].as_u64().unwrap()).collect();
    assert!(done.is_sorted(), "{done:?}");
}

#[test]
fn a_run_that_fails_ends_with_its_error() {
    let lab = Lab::demo();
    for (arguments, code) in [(vec!["up", "nobody"], 2), (vec!["down", "demo"], 2), (vec!["status"], 2)] {
        let ran = lab.migrate(&[&arguments[..], &["--format", "ndjson"]].concat()).exits(code);
        let events = events(&ran);
        let kinds: Vec<&Value> = events.iter().map(|event| &event["kind"]).collect();
        assert_eq!(kinds, ["error", "ended"], "{}", ran.shown());
        assert_eq!(events[1]["exit_code"], code);
    }
}

#[test]
fn a_pipe_gets_no_colour_unless_it_is_asked_for() {
    let lab = Lab::demo();
    for arguments in [&["status"] as &[&str], &["up"], &["history"], &["verify"], &["down", "demo"]] {
        let plain = lab.migrate(arguments).shown();
        assert!(!plain.contains(ESCAPE), "{plain}");
        let coloured = lab.migrate(&[arguments, &["--color", "always"]].concat());
        assert!(coloured.shown().contains(ESCAPE), "{coloured:?}");
        let never = run(lab.command(&[arguments, &["--color", "never"]].concat()).env("CLICOLOR_FORCE", "1"));
        assert!(!never.shown().contains(ESCAPE), "{never:?}");
    }
}

#[test]
fn quiet_leaves_results_and_errors() {
    let lab = Lab::demo();
    lab.migrate(&["down", "demo@-1", "--quiet"]).exits(0);
    assert_snapshot!(lab.migrate(&["up", "--quiet"]).shown(), @"
    exit 0
    --- stdout
    demo  m20260102_000001_index_notes  ok [time]
    1 service up to date · 1 contract step held back, until [timestamp] · 1 migration in [time]
    --- stderr
    ");
    assert_snapshot!(lab.migrate(&["down", "demo", "--quiet"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: reverting `demo` needs a target
      hint `demo@-1` reverts the last one, `demo@NAME` all after that one, `demo@base` all
    ");
}

#[test]
fn wrong_usage_is_a_document_too() {
    let lab = Lab::empty();
    for (arguments, message, hint) in [
        (
            &["chat", "--json"][..],
            "`chat` is a service, not a command",
            "to apply its migrations: `cargo xtask migrate up chat`",
        ),
        (
            &["--format=json", "chat@+1"],
            "`chat` is a service, not a command",
            "to apply its migrations: `cargo xtask migrate up chat@+1`",
        ),
        (
            &["status", "--json", "--cheque"],
            "unexpected argument '--cheque' found",
            "`cargo xtask migrate --help` explains the arguments",
        ),
        (
            &["up", "--format", "json", "--jobs", "0"],
            "invalid value '0' for '--jobs <N>': 0 is not in 1..=65535",
            "`cargo xtask migrate --help` explains the arguments",
        ),
    ] {
        let document = lab.migrate(arguments).exits(2).json();
        assert_eq!(document["exit_code"], 2);
        let error = &document["errors"][0];
        assert_eq!(
            (error["message"].as_str(), error["hint"].as_str()),
            (Some(message), Some(hint)),
            "{arguments:?}"
        );
    }
    assert!(lab.migrate(&["chat"]).exits(2).stderr.contains("`chat` is a service, not a command"));
}

#[test]
#[cfg(target_os = "linux")]
fn output_that_could_not_be_written_is_a_failure() {
    let lab = Lab::empty_demo();
    let full = || std::fs::File::create("/dev/full").unwrap();
    for arguments in [
        &["up", "demo"][..],
        &["up", "demo", "--json"],
        &["up", "demo", "--format", "ndjson"],
        &["status"],
        &["status", "--json"],
        &["history"],
        &["plan", "--json"],
        &["verify", "demo"],
        &["locks", "--json"],
        &["graph"],
        &["db", "status"],
        &["completions", "bash"],
        &["--help"],
    ] {
        let child = lab.command(arguments).stdout(full()).stderr(Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {stderr}");
        assert!(stderr.contains("the output could not be written: No space left on device"), "{stderr}");
    }
    let mut child = lab.command(&["history"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0), "a closed pipe is the reader's choice");
}

/// What a command does to a database goes to its end, whoever stops to read what it prints.
#[test]
fn a_closed_stdout_stops_nothing_and_is_said_of_what_changes_something() {
    let lab = Lab::empty_demo();
    let unread = |arguments: &[&str], code: i32| {
        let mut command = lab.command(arguments);
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let said = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(code), "{arguments:?}: {said}");
        said.matches("stdout was closed by its reader, which stops nothing").count()
    };
    assert_eq!(unread(&["up", "--format", "ndjson"], 0), 1);
    lab.migrate(&["status", "--check"]).exits(0);
    for (arguments, code, n_said) in [
        (&["redo", "demo", "--format", "ndjson", "--allow-data-loss"][..], 0, 1),
        (&["down", "demo@-1", "--format", "ndjson", "--allow-data-loss"], 0, 1),
        (&["deploy", "--no-backup"], 0, 1),
        (&["down", "demo@-1", "--allow-data-loss"], 0, 1),
        (&["plan", "--out", "plan.json"], 0, 0),
        (&["apply", "plan.json", "--format", "ndjson"], 0, 1),
        (&["down", "demo@-1", "--allow-data-loss", "--json"], 0, 1),
        (&["up", "--json"], 0, 1),
        (&["backup", "--no-verify"], 0, 1),
        // What went wrong is what the exit code says.
        (&["up", "demo@zzz", "--json"], 2, 1),
        (&["status"], 0, 0),
        (&["status", "--json"], 0, 0),
        (&["verify"], 0, 0),
        (&["graph"], 0, 0),
    ] {
        assert_eq!(unread(arguments, code), n_said, "{arguments:?}");
    }
    lab.migrate(&["status", "--check"]).exits(0);
}
