//! A password is never shown: not in output, not in errors, not in help, not in the arguments of a process.

use std::fs;

use postgres_sandbox::Cluster;

use crate::support::{Lab, Ran, Running, run};

const SECRET: &str = "s3cr3t-pass";

/// Every command that asks a database, with what makes it do something.
const COMMANDS: [&[&str]; 24] = [
    &["up", "rag"],
    &["up", "rag", "--json"],
    &["up", "rag", "--format", "ndjson"],
    &["redo", "rag"],
    &["down", "rag@base"],
    &["down", "rag@base", "--json"],
    &["status"],
    &["status", "--json"],
    &["history"],
    &["history", "--verbose"],
    &["history", "--verbose", "--json"],
    &["plan"],
    &["plan", "--json"],
    &["verify"],
    &["verify", "--json"],
    &["locks"],
    &["doctor"],
    &["deploy", "rag", "--dry-run"],
    &["locks", "--json"],
    &["rejects", "chat"],
    &["space", "chat"],
    &["space", "chat", "--json"],
    &["psql", "chat", "--", "-c", "SELECT 1"],
    &["db", "status"],
];

#[track_caller]
fn shows_no_secret(ran: &Ran) {
    assert!(!ran.shown().contains("s3cr3t"), "{}", ran.shown());
}

#[test]
fn no_command_shows_the_password_of_a_database_that_answers() {
    let lab = Lab::migrated();
    let owner = lab.role("SUPERUSER");
    let url = lab.url_of(&format!("{owner}:{SECRET}"));
    for command in COMMANDS {
        shows_no_secret(&run(lab.command(command).env("DATABASE_URL", &url)).exits(0));
    }
    let journal = lab.query("SELECT count(*) FROM rag.migration_journal_rag AS j WHERE j::text ~ 's3cr3t'");
    assert_eq!(journal, "0");
}

#[test]
fn no_command_shows_the_password_of_an_address_that_does_not_work() {
    let lab = Lab::empty();
    let socket = Cluster::shared().socket_directory().display();
    let addresses = [
        // Nobody listens.
        format!("postgres://ada:{SECRET}@127.0.0.1:1/shop"),
        format!("postgres://ada:{SECRET}@localhost/shop?host=/nonexistent"),
        // No such host, no such role, no such database.
        format!("postgres://ada:{SECRET}@host.invalid/shop"),
        format!("postgres://nobody_here:{SECRET}@localhost/postgres?host={socket}"),
        format!("postgres://postgres:{SECRET}@localhost/no_such_database?host={socket}"),
        format!("postgres://ada@127.0.0.1:1/shop?password={SECRET}"),
        // No addresses.
        format!("postgres://ada:{SECRET}@host:port/shop"),
        format!("postgres://ada:{SECRET}@127.0.0.1:1"),
        format!("mysql://ada:{SECRET}@127.0.0.1/shop"),
        SECRET.to_owned(),
        // Special characters that are not encoded.
        format!("postgres://ada:/{SECRET}@127.0.0.1:1/shop"),
        format!("postgres://ada:p@ss/{SECRET}@127.0.0.1:1/shop"),
        format!("postgres://ada:1?{SECRET}=1@127.0.0.1:1/shop"),
        format!("postgres://ada:%{SECRET}@127.0.0.1:1/shop"),
    ];
    for address in addresses {
        for command in COMMANDS {
            let ran = run(lab.command(command).env("DATABASE_URL", &address));
            shows_no_secret(&ran);
            if !matches!(command[0], "db" | "psql") {
                assert!(ran.code == 2 || ran.code == 8, "{command:?}: {}", ran.shown());
            }
        }
    }
}

#[test]
fn an_address_among_the_arguments_is_not_repeated() {
    let lab = Lab::empty();
    let address = format!("postgres://ada:{SECRET}@127.0.0.1:1/shop");
    for command in
        [&["up", &address][..], &[&address], &["status", "--url", &address], &["up", "--json", &address]]
    {
        let ran = lab.migrate(command).exits(2);
        shows_no_secret(&ran);
        assert!(ran.shown().contains("set DATABASE_URL"), "{}", ran.shown());
    }
    // Where the name of a service is expected.
    for command in ["status", "verify", "history", "rejects", "drift", "psql", "reset", "repair", "check"] {
        let ran = lab.migrate(&[command, &address]).exits(2);
        shows_no_secret(&ran);
        assert!(ran.stderr.contains("what looks like an address is not a service"), "{}", ran.shown());
    }
    // Where a file, a task or a target is.
    let target = format!("chat@{address}");
    for command in [
        &["restore", &address][..],
        &["apply", &address],
        &["task", "profochatbot", &address],
        &["up", &target],
        &["plan", "--down", &target, "--json"],
    ] {
        let ran = lab.migrate(command).exits(2);
        shows_no_secret(&ran);
        assert!(ran.shown().contains("postgres://ada@127.0.0.1:1/shop"), "{}", ran.shown());
    }
    // The one option that takes an address does not take one with a password, and says so.
    let of_health = address.replace("postgres", "https");
    for format in ["human", "json"] {
        let ran = lab.migrate(&["deploy", "--health-url", &of_health, "--format", format]).exits(2);
        shows_no_secret(&ran);
        assert!(
            ran.shown().contains("an address with a user or password is not accepted"),
            "{}",
            ran.shown()
        );
    }
}

#[test]
fn help_shows_no_value_of_the_environment() {
    let lab = Lab::empty();
    let address = format!("postgres://ada:{SECRET}@127.0.0.1:1/shop");
    for command in [
        "",
        "up",
        "down",
        "redo",
        "status",
        "history",
        "plan",
        "verify",
        "locks",
        "rejects",
        "graph",
        "space",
        "task",
        "psql",
        "db",
        "completions",
    ] {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let ran = run(lab.command(&arguments).env("DATABASE_URL", &address)).exits(0);
        shows_no_secret(&ran);
        assert!(ran.stdout.contains("cargo xtask migrate"), "{}", ran.shown());
    }
}

#[test]
#[cfg(target_os = "linux")]
fn the_arguments_of_a_process_show_no_password() {
    let lab = Lab::migrated();
    let owner = lab.role("SUPERUSER");
    let mut command = lab.command(&["psql", "chat", "--", "-c", "SELECT pg_sleep(600)"]);
    command.env("DATABASE_URL", lab.url_of(&format!("{owner}:{SECRET}")));
    let psql = Running::start(command);
    let mut watch = lab.session();
    watch.until("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^SELECT pg_sleep'", "1");
    let child = child_of(psql.pid());
    for pid in [psql.pid(), child] {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
        assert!(!String::from_utf8_lossy(&arguments).contains("s3cr3t"));
    }
    watch.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND datname = current_database()");
    assert_ne!(psql.finish().code, 0);
}

/// The process that this one started.
#[cfg(target_os = "linux")]
fn child_of(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().next().expect("it has a child").parse().unwrap()
}
