//! `plan --out` and `apply`: what was reviewed is what runs, or nothing.

use insta::assert_snapshot;

use crate::support::Lab;

#[test]
fn a_saved_plan_is_carried_out_as_it_is() {
    let lab = Lab::empty_demo();
    lab.migrate(&["up", "demo@+1", "--quiet"]).exits(0);
    let planned = lab.migrate(&["plan", "demo", "--out", "plan.json"]).exits(0);
    assert!(planned.stderr.contains("wrote `plan.json`"), "{}", planned.stderr);
    let applied = lab.migrate(&["apply", "plan.json", "--json"]).exits(0).json();
    assert_eq!(applied["done"].as_array().unwrap().len(), 1);
    lab.migrate(&["status", "--check"]).exits(0);
    // Consent is given when it is done.
    lab.migrate(&["plan", "--down", "demo@base", "--out", "down.json"]).exits(0);
    lab.query("INSERT INTO demo.note VALUES (1, 'n')");
    lab.migrate(&["apply", "down.json"]).exits(7);
    lab.migrate(&["apply", "down.json", "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query("SELECT count(*) FROM demo.seaql_migrations_demo"), "0");
    // Once.
    lab.migrate(&["apply", "down.json"]).exits(7);
}

#[test]
fn a_plan_is_refused_once_something_moved() {
    let lab = Lab::empty_demo();
    lab.migrate(&["up", "demo@+1", "--quiet"]).exits(0);
    let plan = |lab: &Lab| drop(lab.migrate(&["plan", "--out", "plan.json"]).exits(0));
    let refused = |lab: &Lab, says: &str| {
        let before = lab.query("SELECT count(*) FROM demo.migration_journal_demo");
        let ran = lab.migrate(&["apply", "plan.json"]).exits(7);
        assert!(ran.stderr.contains(says), "{}", ran.shown());
        assert_eq!(lab.query("SELECT count(*) FROM demo.migration_journal_demo"), before);
    };
    for (change, says) in [
        ("CREATE INDEX by_hand ON demo.note (draft)", "the schema of `demo` was changed since"),
        ("ALTER TABLE demo.note ALTER COLUMN draft SET DEFAULT ''", "the schema of `demo` was changed since"),
        ("CREATE TYPE demo.mood AS ENUM ('good')", "the schema of `demo` was changed since"),
        ("ALTER TYPE demo.mood ADD VALUE 'bad'", "the schema of `demo` was changed since"),
        (
            "UPDATE demo.seaql_migrations_demo SET applied_at = applied_at - 1",
            "other migrations of `demo` are applied now",
        ),
    ] {
        plan(&lab);
        lab.query(change);
        refused(&lab, says);
    }
    plan(&lab);
    // Work of applications and of the server moves nothing.
    lab.query(
        "INSERT INTO demo.note SELECT i, 'text' FROM generate_series(1, 1000) i; VACUUM ANALYZE demo.note",
    );
    let database = postgres_sandbox::Cluster::shared().create_database_from(lab.database.name()).unwrap();
    let elsewhere = Lab::demo_with(database);
    let plan_file = std::fs::read_to_string(lab.directory.path().join("plan.json")).unwrap();
    elsewhere.directory.write("plan.json", &plan_file);
    refused(&elsewhere, "it was made for another database of `demo`");
    lab.migrate(&["apply", "plan.json"]).exits(0);
    refused(&lab, "other migrations of `demo` are applied now");
}

/// An ignored soak time that is counted from a step of the same plan ends later whenever one looks.
#[test]
fn the_clock_makes_no_plan_another_one() {
    let lab = Lab::demo();
    lab.migrate(&["down", "demo@-1", "--allow-data-loss", "--quiet"]).exits(0);
    lab.migrate(&["plan", "--contract", "--ignore-soak", "--out", "plan.json"]).exits(0);
    let plan = std::fs::read_to_string(lab.directory.path().join("plan.json")).unwrap();
    let mut later: serde_json::Value = serde_json::from_str(&plan).unwrap();
    let step = later["steps"].as_array_mut().unwrap().last_mut().unwrap();
    assert!(step["ignored_soak"].is_string(), "{plan}");
    step["ignored_soak"] = "2026-01-01T00:00:00Z".into();
    step["description"] = "in other words".into();
    lab.directory.write("later.json", &later.to_string());
    later["steps"][0]["phase"] = "other".into();
    lab.directory.write("other.json", &later.to_string());
    lab.migrate(&["apply", "other.json", "--allow-data-loss"]).exits(7);
    lab.migrate(&["apply", "later.json", "--allow-data-loss"]).exits(0);
    lab.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn what_is_no_plan_of_this_program_is_refused() {
    let lab = Lab::empty_demo();
    lab.migrate(&["plan", "--out", "plan.json"]).exits(0);
    let plan = std::fs::read_to_string(lab.directory.path().join("plan.json")).unwrap();
    assert!(!plan.contains("postgres://"), "{plan}");
    let of = |change: &dyn Fn(&mut serde_json::Value)| {
        let mut changed = serde_json::from_str(&plan).unwrap();
        change(&mut changed);
        changed.to_string()
    };
    for (text, says) in [
        ("nonsense".to_owned(), "is not a saved plan"),
        ("{}".to_owned(), "is not a saved plan"),
        (
            of(&|plan| plan["schema"] = "migrate-plan/v2".into()),
            "is `migrate-plan/v2`, not `migrate-plan/v1`",
        ),
        (of(&|plan| plan["program"]["version"] = "9.9.9".into()), "was made by version 9.9.9"),
        (
            of(&|plan| plan["program"]["services"] = serde_json::json!(["shop"])),
            "a program with other services",
        ),
        (of(&|plan| drop(plan.as_object_mut().unwrap().remove("steps"))), "is not a saved plan"),
    ] {
        lab.directory.write("other.json", &text);
        let ran = lab.migrate(&["apply", "other.json"]).exits(2);
        assert!(ran.stderr.contains(says), "{}", ran.shown());
    }
    assert_snapshot!(lab.migrate(&["apply", "missing.json"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `missing.json` cannot be read: No such file or directory (os error [number])
      hint name a file that `plan --out` wrote
    ");
    let written = lab.migrate(&["plan", "--out", "no/plan.json"]).exits(2);
    assert!(written.stderr.contains("could not write `no/plan.json`"), "{}", written.stderr);
    // Leaving a step out of the review is noticed.
    lab.directory.write("other.json", &of(&|plan| drop(plan["steps"].as_array_mut().unwrap().pop())));
    let ran = lab.migrate(&["apply", "other.json"]).exits(7);
    assert!(ran.stderr.contains("would be another one now"), "{}", ran.shown());
}
