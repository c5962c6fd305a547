//! On a standby everything that reads works, and everything that writes is refused before it begins.

use postgres_sandbox::Cluster;

use crate::support::{Lab, run};

/// Commands that only read.
const READING: [&[&str]; 9] = [
    &["status"],
    &["history"],
    &["history", "--verbose"],
    &["plan"],
    &["plan", "--down", "chat@-1"],
    &["verify"],
    &["locks"],
    &["rejects", "bookreader"],
    &["space", "chat"],
];

/// Commands that write.
const WRITING: [&[&str]; 8] = [
    &[],
    &["up"],
    &["up", "chat", "--contract", "--ignore-soak"],
    &["up", "chat@+1", "--atomic"],
    &["down", "chat@-1"],
    &["down", "bookreader@base"],
    &["redo", "chat"],
    &["space", "chat", "--reclaim", "messages"],
];

#[test]
fn a_standby_is_read_and_never_written() {
    let primary = Cluster::temporary().unwrap();
    let lab = Lab::with(primary.create_database().unwrap());
    lab.migrate(&["up", "chat@+1", "bookreader", "rag", "--quiet"]).exits(0);
    // No standby has such a transaction.
    lab.query("ALTER ROLE CURRENT_USER SET default_transaction_isolation = serializable");
    let on_primary = READING.map(|arguments| lab.migrate(arguments).exits(0).stdout);
    let standby = Cluster::builder().standby_of(&primary).start().unwrap();
    let url = standby.url(lab.database.name());
    let ask = |arguments: &[&str]| run(lab.command(arguments).env("DATABASE_URL", &url));
    for (arguments, expected) in READING.into_iter().zip(on_primary) {
        let ran = ask(arguments).exits(0);
        // Statistics are each server's own.
        if arguments[0] != "space" {
            assert_eq!(ran.stdout, expected, "{arguments:?}");
        }
    }
    assert_eq!(ask(&["status", "--json"]).json()["database"]["read_only"], true);
    let doctor = ask(&["doctor"]).exits(4);
    assert!(doctor.stdout.contains("it is a standby: nothing can be written"), "{}", doctor.shown());
    // What only looks says so too.
    let moving = ["move", "chat", "--to", lab.database.url()];
    assert!(ask(&moving).exits(8).stderr.contains("is read-only: a standby"));
    for arguments in WRITING {
        let ran = ask(arguments).exits(8);
        assert!(ran.stderr.contains("is read-only: a standby"), "{arguments:?}\n{}", ran.shown());
        assert_eq!(ran.stdout, "", "{arguments:?}");
    }
}
