//! Services that are known only when the program runs: a directory of SQL files that an option of its own names.

use std::fs;

use crate::support::Lab;

/// A lab whose directory holds these migrations of the demo's service.
fn lab(files: &[(&str, &str)]) -> Lab {
    let lab = Lab::empty_demo();
    fs::create_dir(lab.directory.path().join("sql")).unwrap();
    for (name, sql) in files {
        lab.directory.write(&format!("sql/{name}"), sql);
    }
    lab
}

#[test]
fn a_directory_of_files_is_a_service() {
    let lab = lab(&[
        ("m20260101_000001_create_letters.up.sql", "CREATE TABLE letter (id bigint PRIMARY KEY)"),
        ("m20260101_000001_create_letters.down.sql", "DROP TABLE letter"),
    ]);
    let applied = |arguments: &[&str]| {
        let status = lab.migrate(&[&["status", "--json"], arguments].concat()).exits(0).json();
        status["services"][0]["applied"].as_u64().unwrap()
    };
    lab.migrate(&["up", "--migrations", "sql"]).exits(0);
    assert_eq!(lab.query("SELECT to_regclass('demo.letter')"), "demo.letter");
    assert_eq!(applied(&["--migrations", "sql"]), 1);

    // A file more is a migration more, for the same program.
    lab.directory.write("sql/m20260102_000001_add_stamp.up.sql", "ALTER TABLE letter ADD COLUMN stamp text");
    lab.directory.write("sql/m20260102_000001_add_stamp.down.sql", "ALTER TABLE letter DROP COLUMN stamp");
    lab.migrate(&["status", "--check", "--migrations", "sql"]).exits(3);
    lab.migrate(&["up", "demo@+1", "--migrations", "sql"]).exits(0);
    assert_eq!(applied(&["--migrations", "sql"]), 2);
    lab.migrate(&["down", "demo@base", "--migrations", "sql"]).exits(0);
    assert_eq!(lab.query("SELECT to_regclass('demo.letter')"), "");
}

#[test]
fn a_directory_that_is_no_service_is_an_ordinary_error() {
    let lab = lab(&[("m20260101_000001_create_letters.down.sql", "DROP TABLE letter")]);
    for (directory, says) in [("missing", "missing"), ("sql", "m20260101_000001_create_letters")] {
        for command in ["up", "status", "graph"] {
            let ran = lab.migrate(&[command, "--migrations", directory]).exits(2);
            assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains(says), "{}", ran.shown());
            assert!(!ran.stderr.contains("panicked"), "{}", ran.shown());
            let ran = lab.migrate(&[command, "--migrations", directory, "--json"]).exits(2);
            assert!(ran.json()["errors"][0].to_string().contains(says), "{}", ran.shown());
        }
    }
    assert_eq!(lab.query("SELECT to_regnamespace('demo')"), "");
}
