//! What the example gets for the few lines that are its own: the commands, against a server of the test's.

use std::fs;
use std::path::Path;
use std::process::Command;

use postgres_sandbox::{Cluster, Database};

const HERE: &str = env!("CARGO_MANIFEST_DIR");

/// Runs the program, which has to exit with this code, and gives what it prints.
#[track_caller]
fn byo(database: &Database, arguments: &[&str], code: i32) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_byo"));
    command.args(arguments).current_dir(std::env::temp_dir()).env("DATABASE_URL", database.url());
    let output = command.output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stdout}{stderr}");
    stdout
}

#[test]
fn up_status_plan_verify_and_down_work() {
    let database = Cluster::shared().create_database().unwrap();
    let plan = byo(&database, &["plan"], 0);
    assert!(plan.contains("Add an overview") && plan.contains("0010_index_entries"), "{plan}");
    byo(&database, &["status", "--check"], 3);
    byo(&database, &["up"], 0);
    byo(&database, &["status", "--check"], 0);
    byo(&database, &["verify"], 0);
    assert_eq!(database.psql("SELECT count(*) FROM tickets.ticket").unwrap().trim(), "2");
    assert_eq!(database.psql("SELECT count(*) FROM tickets.tickets_migrations").unwrap().trim(), "4");
    byo(&database, &["down", "tickets@-1", "--allow-data-loss"], 0);
    byo(&database, &["down", "tickets@base", "ledger@base", "--allow-data-loss"], 0);
    assert_eq!(database.psql("SELECT to_regclass('tickets.ticket')").unwrap().trim(), "");
    byo(&database, &["up"], 0);
}

#[test]
fn the_lock_files_are_current() {
    let database = Cluster::shared().create_database().unwrap();
    byo(&database, &["artifacts", "--check", "--directory", HERE], 0);
    let lock = fs::read_to_string(Path::new(HERE).join("tickets/migrations.lock")).unwrap();
    assert!(lock.contains("\nAdd an overview expand transaction "), "{lock}");
}

#[test]
fn it_takes_fewer_than_thirty_lines() {
    let n_lines: usize = ["src/lib.rs", "src/main.rs", "tests/conformance.rs"]
        .iter()
        .map(|file| fs::read_to_string(Path::new(HERE).join(file)).unwrap())
        .map(|text| {
            text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with("//")).count()
        })
        .sum();
    assert!(n_lines < 30, "{n_lines} lines");
}
