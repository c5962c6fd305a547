//! `check`: what CI needs, in one command; its results for people, machines and CI systems.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::support::{Lab, Ran, run};

const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../services");

/// `check` with these arguments where no database is set.
fn check(lab: &Lab, arguments: &[&str]) -> Ran {
    run(lab.command(&[&["check", "rag"], arguments].concat()).env_remove("DATABASE_URL"))
}

#[test]
fn what_is_sound_passes_and_what_is_stale_is_written() {
    let lab = Lab::empty();
    let passed = check(&lab, &["--directory", SERVICES, "--junit", "out.xml"]).exits(0);
    let words = passed
        .stdout
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" "));
    assert_eq!(
        words.collect::<Vec<_>>(),
        ["names", "files", "entities", "hazards", "round-trip", "alone", "rows", "interleaved"]
            .map(|check| format!("rag {check} passed"))
    );
    let report = fs::read_to_string(lab.directory.path().join("out.xml")).unwrap();
    assert!(report.contains("<testsuite name=\"rag\" tests=\"8\" failures=\"0\">"), "{report}");
    assert!(report.contains("<testcase classname=\"rag\" name=\"round-trip\" time="), "{report}");

    let failed = check(&lab, &["--format", "github", "--junit", "out.xml", "--sarif", "out.sarif"]).exits(4);
    let sarif = fs::read_to_string(lab.directory.path().join("out.sarif")).unwrap();
    assert!(sarif.contains("\"version\": \"2.1.0\""), "{sarif}");
    let annotation = "::error file=./rag/src/lib.rs,line=1,title=rag files::rag: `./rag/schema.sql` is stale; `check --update` writes it\n";
    assert!(failed.stdout.contains(annotation), "{}", failed.stdout);
    let report = fs::read_to_string(lab.directory.path().join("out.xml")).unwrap();
    assert!(report.contains("failures=\"1\"") && report.contains("is stale"), "{report}");

    let found =
        check(&lab, &["--update", "--json", "--skip", "round-trip", "--skip", "alone", "--skip", "rows"])
            .exits(0)
            .json();
    let checks = found["services"][0]["checks"].as_array().unwrap().iter().map(|one| one["check"].clone());
    assert_eq!(checks.collect::<Vec<_>>(), ["names", "files", "entities", "hazards", "interleaved"]);
    let files = &found["services"][0]["checks"][1];
    assert_eq!((&files["check"], &files["passed"]), (&"files".into(), &true.into()));
    // What a migration does is said where its source is.
    let lines = |directory: &Path, file: &str| {
        let text = fs::read_to_string(directory.join("rag").join(file)).unwrap();
        // Nor is the version of the server a difference.
        let is_compared =
            |line: &&str| !line.starts_with("  does ") && !line.starts_with("-- As pg_dump writes it");
        text.lines().filter(is_compared).map(str::to_owned).collect::<Vec<_>>()
    };
    for file in ["migrations.lock", "schema.sql"] {
        assert_eq!(lines(lab.directory.path(), file), lines(Path::new(SERVICES), file));
    }
}

#[test]
fn a_migration_with_a_hazard_fails_and_its_safe_twin_does_not() {
    let lab = Lab::empty_demo();
    fs::create_dir(lab.directory.path().join("sql")).unwrap();
    let first = [
        ("up", "CREATE TABLE letter (id bigint PRIMARY KEY, number integer, stamp text)"),
        ("down", "DROP TABLE letter"),
    ];
    for (direction, sql) in first {
        lab.directory.write(&format!("sql/m20260101_000001_create_letters.{direction}.sql"), sql);
    }
    lab.directory.write("sql/m20260102_000001_change_letters.down.sql", "SELECT 1");
    let cases: [(&str, &[&str]); 4] = [
        ("ALTER TABLE letter ALTER COLUMN number TYPE bigint", &["cached-plan", "table-rewrite"]),
        ("ALTER TABLE letter ALTER COLUMN stamp SET NOT NULL", &["scan-under-lock"]),
        ("CREATE INDEX letter_stamp ON letter (stamp)", &["index-blocks-writes"]),
        ("-- no-transaction\nCREATE INDEX CONCURRENTLY letter_stamp ON letter (stamp)", &[]),
    ];
    for (sql, rules) in cases {
        lab.directory.write("sql/m20260102_000001_change_letters.up.sql", sql);
        let asked = ["check", "demo", "--migrations", "sql", "--json"];
        let skipped = ["round-trip", "alone", "rows", "interleaved"].map(|name| ["--skip", name]);
        let found = lab.migrate(&[&asked, skipped.as_flattened()].concat()).exits(4).json();
        let checks = found["services"][0]["checks"].as_array().unwrap();
        // Its files are not written, and it would contain none, which is another matter.
        let files = checks.iter().find(|check| check["check"] == "files").unwrap()["findings"].to_string();
        assert!(
            files.contains("migrations.lock` is stale") && files.contains("does not contain its"),
            "{files}"
        );
        let hazards = checks.iter().find(|check| check["check"] == "hazards").unwrap();
        assert_eq!(hazards["passed"], rules.is_empty(), "{sql}: {hazards}");
        for rule in rules {
            let findings = hazards["findings"].as_array().unwrap();
            let says = |finding: &Value| finding["message"].as_str().unwrap().contains(rule);
            assert!(findings.iter().any(says), "{rule}: {hazards}");
        }
    }
}

#[test]
fn the_services_pass_the_rules_for_citus_and_what_citus_refuses_fails() {
    let lab = Lab::empty();
    let skipped = ["round-trip", "alone", "rows", "interleaved"].map(|name| ["--skip", name]);
    let asked = [&["check", "--directory", SERVICES, "--citus"], skipped.as_flattened()].concat();
    run(lab.command(&asked).env_remove("DATABASE_URL")).exits(0);

    let write = |file: &str, text: &str| fs::write(lab.directory.path().join(file), text).unwrap();
    write("schema.sql", "CREATE TABLE item (id bigint PRIMARY KEY, name text);\n");
    write("1.sql", "ALTER TABLE item RENAME CONSTRAINT item_pkey TO item_key;\n");
    let asked = ["check", "1.sql", "--base", "schema.sql", "--json"];
    assert_eq!(lab.migrate(&asked).exits(0).json()["files"][0]["passed"], true);
    let found = lab.migrate(&[&asked[..], &["--citus"]].concat()).exits(4).json();
    let found = &found["files"][0]["findings"][0];
    assert_eq!(
        (&found["rule"], &found["object"]),
        (&"citus-refused-statement".into(), &"item: RENAME CONSTRAINT".into())
    );
}

#[test]
fn what_is_no_service_is_refused() {
    let lab = Lab::empty();
    let refused = lab.migrate(&["check", "ragg"]).exits(2).stderr;
    assert!(refused.contains("did you mean `rag`"), "{refused}");
    let refused = check(&lab, &["--skip", "hazards"]).exits(2).stderr;
    assert!(
        refused.contains("only `round-trip`, `alone`, `rows`, `interleaved` can be left out"),
        "{refused}"
    );
    let refused = lab.migrate(&["status", "--format", "github"]).exits(2).stderr;
    assert!(refused.contains("`--format github` is for `check`"), "{refused}");
}

#[test]
fn sql_files_of_any_tool_are_judged_on_top_of_a_schema() {
    let lab = Lab::empty();
    lab.query("CREATE TABLE item (id bigint PRIMARY KEY, name text)");
    let write = |file: &str, text: &str| fs::write(lab.directory.path().join(file), text).unwrap();
    write("schema.sql", "CREATE TABLE item (id bigint PRIMARY KEY, name text);\n");
    write("1.sql", "CREATE INDEX item_name ON item (name);\n");
    write("2.sql", "-- no-transaction\nCREATE INDEX CONCURRENTLY item_id_name ON item (id, name);\n");
    write("2.down.sql", "DROP INDEX item_name;\n");

    let reports = ["--junit", "out.xml", "--sarif", "out.sarif", "--format", "github"];
    let asked = ["check", "1.sql", "2.down.sql", "2.sql", "--base", "schema.sql"];
    let found = lab.migrate(&[&asked[..], &reports].concat()).exits(4);
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(lines[..3], ["FILE   RESULT", "1.sql  1 finding", "2.sql  passed"]);
    assert!(
        lines[3].starts_with("1.sql: index-blocks-writes: item: writes to the table wait"),
        "{}",
        lines[3]
    );
    assert!(
        lines[4].starts_with("::error file=1.sql,line=1,title=1.sql hazards::index-blocks-writes"),
        "{}",
        lines[4]
    );
    assert!(found.stderr.contains("`2.down.sql` takes back what another file does"), "{}", found.stderr);
    let read = |file: &str| fs::read_to_string(lab.directory.path().join(file)).unwrap();
    assert!(read("out.xml").contains("<testsuite name=\"1.sql\" tests=\"1\" failures=\"1\">"));
    assert!(read("out.sarif").contains("\"uri\": \"1.sql\""));

    // Of a live database the schema is read, and nothing is written.
    let live = lab.migrate(&["check", "1.sql", "2.sql", "--base", "DATABASE_URL", "--json"]).exits(4).json();
    assert_eq!(live["files"][0]["findings"][0]["rule"], "index-blocks-writes");
    assert_eq!(live["files"][1]["passed"], true);
    lab.migrate(&["check", "2.sql", "--base", lab.database.url()]).exits(0);
    assert_eq!(lab.query("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "item item_pkey");
}

#[test]
fn sql_files_that_cannot_be_checked_are_refused_with_file_and_line() {
    let lab = Lab::empty();
    fs::write(lab.directory.path().join("1.sql"), "SELECT 1;\n\nALTER TABLE item\n  ADD COLUMN n int;\n")
        .unwrap();
    let refused = |arguments: &[&str], code, says: &str| {
        let ran = lab.migrate(&[&["check"], arguments].concat()).exits(code);
        assert!(ran.stderr.contains(says), "{arguments:?}\n{}", ran.shown());
    };
    refused(&["1.sql"], 2, "`1.sql`, line 3, could not be applied: relation \"item\" does not exist");
    refused(&["2.sql"], 2, "`2.sql` cannot be read");
    refused(&["1.sql", "--base", "none.sql"], 2, "`none.sql` cannot be read");
    refused(&["1.sql", "--base", "STAGING_DATABASE_URL"], 2, "`STAGING_DATABASE_URL`, which is not set");
    refused(&["1.sql", "--base", "postgres://127.0.0.1:1/none"], 8, "cannot reach `none@127.0.0.1:1`");
    refused(&["1.sql", "rag"], 2, "`rag` is not an SQL file");
    refused(&["rag", "--base", "schema.sql"], 2, "`--base` is for SQL files");
    refused(&["1.sql", "--update"], 2, "`--update` and `--skip` are for services");
}
