//! `up`: everything from nothing, and nothing where everything is applied.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use postgres_sandbox::Cluster;
use serde_json::Value;

use crate::support::{Hanging, Lab, Ran, run};

/// Every known migration as `service migration`, and whether it is an expand step.
fn known(lab: &Lab) -> Vec<(String, bool)> {
    let graph = lab.migrate(&["graph", "--json"]).exits(0).json();
    let services = graph["services"].as_array().unwrap().iter();
    let migrations = services.flat_map(|service| {
        let migrations = service["migrations"].as_array().unwrap().iter();
        migrations.map(|migration| {
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let name = format!("{} {}", text(&service["name"]), text(&migration["name"]));
            (name, migration["phase"] == "expand")
        })
    });
    migrations.collect()
}

/// The migrations that a run said it applied.
fn applied(ran: &Ran) -> BTreeSet<String> {
    let done = ran.stdout.lines().filter(|line| line.contains(" ok "));
    done.map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn from_empty_every_step_is_applied_once_contract_steps_too() {
    let lab = Lab::empty();
    let plan = lab.migrate(&["plan", "--json"]).exits(0).json();
    let ran = lab.migrate(&["up"]).exits(0);

    let known = known(&lab);
    assert!(known.iter().any(|(_, expand)| !expand));
    assert_eq!(applied(&ran), known.iter().map(|(name, _)| name.clone()).collect());
    assert_eq!(plan["steps"].as_array().unwrap().len(), known.len());
    assert_eq!(plan["held_back"].as_array().unwrap().len(), 0);
    assert_eq!(ran.stdout.lines().count(), known.len() + 1, "{}", ran.shown());
    assert!(!ran.stderr.contains("held back"), "{}", ran.shown());
    let summary = &lab.migrate(&["status", "--check", "--json"]).exits(0).json()["summary"];
    assert_eq!((&summary["at_head"], &summary["held_back"]), (&summary["services"], &0.into()));
    lab.migrate(&["verify"]).exits(0);
    let first = ran.stderr.lines().next().unwrap();
    assert_snapshot!(first, @"database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`");
}

#[test]
fn in_a_log_the_name_comes_before_the_work() {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_a_transaction(&lab);
    let line = hanging.run.says("applying");
    assert_eq!(
        line.split_whitespace().collect::<Vec<_>>(),
        ["bookreader", "m20250823_000001_create_bookreader", "applying"]
    );
    hanging.release();
    hanging.run.finish().exits(0);
    let reverted = lab.migrate(&["down", "bookreader@-1"]).exits(0);
    assert!(reverted.stderr.contains("  reverting\n"), "{}", reverted.shown());
    let quiet = lab.migrate(&["up", "bookreader", "--quiet"]).exits(0);
    assert!(!quiet.stderr.contains("applying"), "{}", quiet.shown());
}

#[test]
fn a_run_is_reported_line_by_line() {
    let lab = Lab::empty_demo();
    assert_snapshot!(lab.migrate(&["up"]).shown(), @"
    exit 0
    --- stdout
    demo  m20260101_000001_create_notes  ok [time]
    demo  m20260102_000001_index_notes   ok [time]
    demo  m20260103_000001_drop_drafts   ok [time]
    1 service up to date · 3 migrations in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
}

#[test]
fn the_second_time_nothing_is_left_to_do_and_nothing_is_written() {
    let cluster = Cluster::builder().setting("autovacuum", "off").start().unwrap();
    let lab = Lab::empty_demo();
    let up = || run(lab.command(&["up"]).env("DATABASE_URL", cluster.url("postgres"))).exits(0);
    // A transaction that writes takes a number; reading takes none.
    let next_number = || cluster.psql("postgres", "SELECT pg_snapshot_xmax(pg_current_snapshot())").unwrap();
    up();
    let before = next_number();
    let second = up();
    assert_eq!(next_number(), before);
    assert_snapshot!(second.stdout, @"1 service up to date · nothing to do in [time]");
}

#[test]
fn nothing_to_do_is_no_error_where_nothing_may_be_written() {
    let lab = Lab::demo();
    lab.query(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", lab.database.name()));
    let ran = lab.migrate(&["up"]).exits(0);
    assert!(ran.stdout.contains("nothing to do"), "{}", ran.shown());
}

#[test]
fn something_to_do_is_refused_where_nothing_may_be_written() {
    let lab = Lab::empty_demo();
    lab.query(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", lab.database.name()));
    assert_snapshot!(lab.migrate(&["up"]).shown(), @"
    exit 8
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: `[database]` is read-only: a standby, or set so
      hint connect to the primary
    ");
    let lab = Lab::demo();
    lab.query(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", lab.database.name()));
    let ran = lab.migrate(&["space", "demo", "--reclaim", "note"]).exits(8);
    assert!(ran.stderr.contains(" is read-only: a standby, or set so"), "{}", ran.shown());
}

#[test]
fn without_a_command_it_is_up() {
    let lab = Lab::demo();
    assert!(lab.migrate(&[]).exits(0).stdout.contains("nothing to do"));
    let json = lab.migrate(&["--json", "--wait", "1s"]).exits(0).json();
    assert_eq!(json["command"], "up");
}

#[test]
fn other_tools_words_are_understood() {
    let lab = Lab::demo();
    let command = |arguments: &[&str]| lab.migrate(arguments).exits(0).json()["command"].clone();
    assert_eq!(command(&["upgrade", "--json"]), "up");
    assert_eq!(command(&["current", "--json"]), "status");
    assert_eq!(command(&["info", "--json"]), "status");
    assert_eq!(command(&["downgrade", "demo@-1", "--json"]), "down");
    assert_eq!(command(&["revert", "demo@-1", "--json"]), "down");
}

#[test]
fn a_target_is_a_name_a_prefix_or_a_number_of_steps() {
    let lab = Lab::empty_demo();
    let current = || lab.query("SELECT max(version) FROM demo.seaql_migrations_demo");
    for (target, reached) in [
        ("demo@m20260101", "m20260101_000001_create_notes"),
        ("demo@+1", "m20260102_000001_index_notes"),
        // As messages print it.
        ("demo:m20260103_000001_drop_drafts", "m20260103_000001_drop_drafts"),
    ] {
        lab.migrate(&["up", target, "--contract", "--ignore-soak", "--allow-data-loss"]).exits(0);
        assert_eq!(current(), reached);
    }
    lab.migrate(&["down", "demo@base"]).exits(0);
    lab.migrate(&["up", "demo@head", "--contract", "--ignore-soak", "--allow-data-loss"]).exits(0);
    assert_eq!(current(), "m20260103_000001_drop_drafts");
    for arguments in [["up", "demo@+99"], ["down", "demo@-99"], ["up", "demo@-1"], ["down", "demo@+1"]] {
        let stderr = lab.migrate(&arguments).exits(2).stderr;
        assert!(stderr.starts_with("error: ") && stderr.contains("hint "), "{arguments:?}: {stderr}");
    }
    assert_eq!(current(), "m20260103_000001_drop_drafts");
}

#[test]
fn up_never_goes_back() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["up", "demo@m20260101"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `demo:m20260101_000001_create_notes` is behind `m20260102_000001_index_notes`, which is applied
      hint to revert what was applied after it, use `down demo:m20260101_000001_create_notes`
    ");
}
