//! `check`: what CI needs, in one command; its results for people, machines and CI systems.

use std::fs;
use std::path::Path;

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
        ["names", "files", "entities", "hazards", "round-trip", "alone", "interleaved"]
            .map(|check| format!("rag {check} passed"))
    );
    let report = fs::read_to_string(lab.directory.path().join("out.xml")).unwrap();
    assert!(report.contains("<testsuite name=\"rag\" tests=\"7\" failures=\"0\">"), "{report}");
    assert!(report.contains("<testcase classname=\"rag\" name=\"round-trip\" time="), "{report}");

    let failed = check(&lab, &["--format", "github", "--junit", "out.xml", "--sarif", "out.sarif"]).exits(4);
    let sarif = fs::read_to_string(lab.directory.path().join("out.sarif")).unwrap();
    assert!(sarif.contains("\"version\": \"2.1.0\""), "{sarif}");
    let annotation = "::error file=./rag/src/lib.rs,line=1,title=rag files::rag: `./rag/schema.sql` is stale; `check --update` writes it\n";
    assert!(failed.stdout.contains(annotation), "{}", failed.stdout);
    let report = fs::read_to_string(lab.directory.path().join("out.xml")).unwrap();
    assert!(report.contains("failures=\"1\"") && report.contains("is stale"), "{report}");

    let found =
        check(&lab, &["--update", "--json", "--skip", "round-trip", "--skip", "alone"]).exits(0).json();
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
fn what_is_no_service_is_refused() {
    let lab = Lab::empty();
    let refused = lab.migrate(&["check", "ragg"]).exits(2).stderr;
    assert!(refused.contains("did you mean `rag`"), "{refused}");
    let refused = check(&lab, &["--skip", "hazards"]).exits(2).stderr;
    assert!(refused.contains("only `round-trip`, `alone`, `interleaved` can be left out"), "{refused}");
    let refused = lab.migrate(&["status", "--format", "github"]).exits(2).stderr;
    assert!(refused.contains("`--format github` is for `check`"), "{refused}");
}
