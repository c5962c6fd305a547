//! Contract steps: held back until they are asked for, until their soak time has passed, and until a loss is agreed to.

use insta::assert_snapshot;

use crate::support::Lab;

/// Everything was applied two days earlier.
fn two_days_ago(lab: &Lab) {
    lab.query("UPDATE demo.seaql_migrations_demo SET applied_at = applied_at - 2 * 86400");
}

#[test]
fn it_is_held_back_while_it_soaks() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["up", "--contract"]).shown(), @"
    exit 0
    --- stdout
    1 service up to date · 1 contract step held back, until [timestamp] · nothing to do in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    note  `demo:m20260103_000001_drop_drafts` is held back: it waits until [timestamp], then `up --contract` applies it
    ");
}

#[test]
fn it_is_held_back_while_nobody_asks_for_it() {
    let lab = Lab::demo();
    two_days_ago(&lab);
    assert_snapshot!(lab.migrate(&["up"]).shown(), @"
    exit 0
    --- stdout
    1 service up to date · 1 contract step held back, due now with `--contract` · nothing to do in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    note  `demo:m20260103_000001_drop_drafts` is held back: due now: `up --contract` applies it
    ");
    assert_snapshot!(lab.migrate(&["plan", "--contract"]).shown(), @"
    exit 0
    --- stdout
       SERVICE  MIGRATION                     DOES   PHASE     HOW
    1  demo     m20260103_000001_drop_drafts  apply  contract  one transaction
    applying `demo:m20260103_000001_drop_drafts` loses for good: what was not published
    --- stderr
    ");
}

/// A run that takes its time: what it applies is recorded later than it began, and the soak time is counted from then.
#[test]
fn one_run_names_one_end_of_the_soak() {
    let lab = Lab::demo();
    lab.migrate(&["down", "demo@-1", "--allow-data-loss"]).exits(0);
    lab.query(
        "CREATE FUNCTION demo.later() RETURNS trigger LANGUAGE plpgsql AS \
         'BEGIN NEW.applied_at = NEW.applied_at + 1000; RETURN NEW; END'; \
         CREATE TRIGGER later BEFORE INSERT ON demo.seaql_migrations_demo FOR EACH ROW EXECUTE FUNCTION demo.later()",
    );
    let run = lab.migrate(&["up"]).exits(0);
    let status = lab.migrate(&["status", "--json"]).exits(0).json();
    let until = status["services"][0]["held_back"][0]["until"].as_str().unwrap();
    assert!(run.stdout.contains(&format!("until {until}")), "{until}\n{}", run.shown());
    let spelled = until.replace('T', " ").replace('Z', " UTC");
    assert!(run.stderr.contains(&format!("it waits until {spelled}")), "{until}\n{}", run.shown());
    lab.migrate(&["down", "demo@-1", "--allow-data-loss"]).exits(0);
    let document = lab.migrate(&["up", "--json"]).exits(0).json();
    let status = lab.migrate(&["status", "--json"]).exits(0).json();
    assert_eq!(document["held_back"][0]["until"], status["services"][0]["held_back"][0]["until"]);
}

#[test]
fn soak_times_are_ignored_where_the_operator_says_so() {
    let lab = Lab::demo();
    let ignoring = ["--contract", "--ignore-soak"];
    lab.migrate(&["up", "--ignore-soak"]).exits(2);
    let plan = lab.migrate(&[&["plan", "--json"], &ignoring[..]].concat()).exits(0).json();
    assert!(plan["steps"][0]["ignored_soak"].is_string(), "{plan}");
    let shown = lab.migrate(&[&["plan"], &ignoring[..]].concat()).exits(0).stdout;
    assert!(shown.contains("which is ignored"), "{shown}");
    // It agrees to no loss of data.
    lab.migrate(&[&["up"], &ignoring[..]].concat()).exits(7);
    lab.migrate(&[&["up", "--allow-data-loss"], &ignoring[..]].concat()).exits(0);
    let journal = lab.migrate(&["history", "--verbose", "--json"]).exits(0).json();
    let last = journal["journal"].as_array().unwrap().last().unwrap();
    assert_eq!(last["consent"], "data_loss ignored_soak", "{last}");
    let shown = lab.migrate(&["history", "--verbose"]).exits(0).stdout;
    assert!(shown.contains("apply --allow-data-loss --ignore-soak"), "{shown}");
}

#[test]
fn what_is_due_is_said_by_status() {
    let lab = Lab::demo();
    two_days_ago(&lab);
    let status = lab.migrate(&["status"]).exits(0).stdout;
    assert!(status.contains("is held back: due now: `up --contract` applies it"), "{status}");
    let summary = &lab.migrate(&["status", "--json"]).exits(0).json()["summary"];
    let expected = serde_json::json!({"services": 1, "up_to_date": 1, "at_head": 0, "pending": 0, "held_back": 1, "unknown": 0});
    assert_eq!(*summary, expected);
}

#[test]
fn a_loss_of_data_is_agreed_to_first() {
    let lab = Lab::demo();
    two_days_ago(&lab);
    assert_snapshot!(lab.migrate(&["up", "--contract"]).shown(), @"
    exit 7
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `demo:m20260103_000001_drop_drafts` loses data for good: what was not published
      hint make a backup, then say `--allow-data-loss`
    ");
    lab.migrate(&["up", "--contract", "--allow-data-loss"]).exits(0);
    let draft = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'demo.note'::regclass AND attname = 'draft' AND NOT attisdropped";
    assert_eq!(lab.query(draft), "0");
    lab.migrate(&["status", "--check"]).exits(0);
    lab.migrate(&["verify"]).exits(0);
    // All the way back, and there again.
    lab.migrate(&["down", "demo@base", "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query("SELECT to_regclass('demo.note')"), "");
    lab.migrate(&["up"]).exits(0);
}
