//! `sql`: the script that it prints makes what a run makes, schema and history, and is refused where it was not made for.

use std::fs;

use insta::assert_snapshot;
use postgres_sandbox::Database;

use crate::support::{Lab, Ran, run};

/// `sql` with these arguments where no database is set.
fn offline(lab: &Lab, arguments: &[&str]) -> Ran {
    run(lab.command(&[&["sql"], arguments].concat()).env_remove("DATABASE_URL"))
}

/// All of a database but its rows, which say when.
fn dump(database: &Database) -> String {
    let dump = database.pg_dump(&["--schema-only"]).unwrap();
    dump.lines().filter(|line| !line.starts_with("\\")).map(|line| format!("{line}\n")).collect()
}

/// What the histories say, but for when, who and in which run.
fn histories(lab: &Lab) -> String {
    let services = ["chat", "rag", "assessments", "profochatbot", "bookreader"];
    let of = |service: &str| {
        lab.query(&format!(
            "SELECT migration, direction, outcome, checksum, first_install FROM {service}.migration_journal_{service} ORDER BY id; \
             SELECT version FROM {service}.seaql_migrations_{service} ORDER BY 1"
        ))
    };
    services.map(of).join("\n")
}

#[test]
fn a_script_makes_what_a_run_makes_and_takes_it_back() {
    let (ran, scripted) = (Lab::empty(), Lab::empty());
    ran.migrate(&["up", "--quiet"]).exits(0);
    let up = offline(&scripted, &[]).exits(0);
    assert!(!scripted.directory.path().join(".postgres").exists(), "it needs no database");
    assert_snapshot!(up.stderr, @"
    note  45 migrations of 5 services, for an empty database
    note  contract steps among them: 8; run them where nobody runs old code
    ");
    scripted.query(&up.stdout);
    assert_eq!(dump(&scripted.database), dump(&ran.database));
    let (found, expected) = (histories(&scripted), histories(&ran));
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert_eq!((differs, found.len()), (None, expected.len()));
    scripted.migrate(&["status", "--check"]).exits(0);
    scripted.migrate(&["verify"]).exits(0);
    let nothing = scripted.migrate(&["sql"]).exits(0);
    assert_eq!(nothing.stdout, "");
    // It knows what it was made for.
    let again = scripted.database.psql(&up.stdout).unwrap_err().to_string();
    assert!(again.contains("in which nothing is applied: this is another one"), "{again}");

    let back = scripted.migrate(&["sql", "--down"]).exits(0).stdout;
    let from_head = offline(&scripted, &["--down"]).exits(0).stdout;
    assert_eq!(from_head.lines().count(), back.lines().count());
    scripted.query(&back);
    ran.migrate(&["down", "--allow-data-loss", "chat@base", "rag@base"]).exits(0);
    for service in ["chat", "rag"] {
        let tables = format!(
            "SELECT relname, relkind FROM pg_class WHERE relnamespace = '{service}'::regnamespace ORDER BY 1"
        );
        assert_eq!(scripted.query(&tables), ran.query(&tables));
    }
    let rest = scripted.migrate(&["sql"]).exits(0).stdout;
    scripted.query(&rest);
    ran.migrate(&["up", "--quiet"]).exits(0);
    assert_eq!(dump(&scripted.database), dump(&ran.database));
    scripted.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn a_script_continues_what_is_applied() {
    let (ran, scripted) = (Lab::empty(), Lab::empty());
    let elsewhere = |lab: &Lab, arguments: &[&str]| {
        run(lab.command(arguments).env("CHAT_DATABASE_SCHEMA", "Talk \"here\""))
    };
    elsewhere(&ran, &["up", "chat"]).exits(0);
    elsewhere(&scripted, &["up", "chat@+1"]).exits(0);
    // Without looking at the database, and after a look.
    let part = ["sql", "chat", "--from", "m20251016", "--to", "m20251017"];
    let part = elsewhere(&scripted, &part).exits(0).stdout;
    scripted.query(&part);
    elsewhere(&scripted, &["sql", "chat", "--out", "scripts"]).exits(0);
    let file = fs::read_to_string(scripted.directory.path().join("scripts/chat.sql")).unwrap();
    assert!(!file.contains("m20251017_000001_add_message_source:"), "{file}");
    // Nobody migrates the service meanwhile.
    let mut session = scripted.session();
    session
        .query("SELECT pg_advisory_lock(hashtextextended('migrate:Talk \"here\".seaql_migrations_chat', 0))");
    let busy = scripted.database.psql(&file).unwrap_err().to_string();
    assert!(busy.contains("another session holds the migration lock of chat"), "{busy}");
    drop(session);
    scripted.query(&file);
    assert_eq!(dump(&scripted.database), dump(&ran.database));
    elsewhere(&scripted, &["status", "chat", "--check"]).exits(0);
}

#[test]
fn bad_input_is_refused_and_writes_nothing() {
    let lab = Lab::empty();
    lab.directory.write("a_file", "");
    for (arguments, code, says) in [
        (&["chatt"][..], 2, "did you mean `chat`"),
        (&["chat@m2099"], 2, "m2099"),
        (&["chat", "rag", "--from", "base"], 2, "are points of one service"),
        (&["chat", "--from", "m2099"], 2, "m2099"),
        (&["chat", "--down", "--to", "+1"], 2, "+1"),
        (&["chat", "--contract", "--down"], 2, "cannot be used with"),
        (&["chat", "--out", "a_file/scripts"], 1, "could not write to `a_file/scripts`"),
    ] {
        let ran = offline(&lab, arguments).exits(code);
        assert!(ran.stderr.contains(says), "{}", ran.shown());
        assert_eq!(ran.stdout, "");
    }
    let found = offline(&lab, &["chat@+1", "--json"]).exits(0).json();
    assert_eq!(found["scripts"][0]["steps"][0]["migration"], "m20251016_000001_create_messages");
    assert!(found["scripts"][0]["sql"].as_str().unwrap().contains("CREATE TABLE messages"), "{found}");
    let mut without = lab.command(&["sql", "chat"]);
    without.env_remove("DATABASE_URL").env("XDG_CACHE_HOME", lab.directory.path());
    let without =
        run(without.env("MIGRATE_TEST_POSTGRES", "17").env("MIGRATE_POSTGRES_DOWNLOAD", "never")).exits(8);
    assert_eq!(without.stdout, "");
}
