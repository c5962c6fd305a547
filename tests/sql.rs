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
    // Only a run notes how many lines a journal has.
    const UNNOTED: &str = "DO $$ DECLARE noted regclass; BEGIN \
        FOR noted IN SELECT objoid::regclass FROM pg_description WHERE description LIKE 'migrate: its journal %' LOOP \
          EXECUTE format('COMMENT ON TABLE %s IS NULL', noted); \
        END LOOP; END $$";
    database.psql(UNNOTED).unwrap();
    let dump = database.pg_dump(&["--schema-only"]).unwrap();
    dump.lines().filter(|line| !line.starts_with("\\")).map(|line| format!("{line}\n")).collect()
}

/// What the histories say, but for when, who and in which run.
fn histories(lab: &Lab) -> String {
    let services = ["chat", "rag", "assessments", "profochatbot", "bookreader"];
    services.map(|service| histories_of(lab, service)).join("\n")
}

/// The same of one service.
fn histories_of(lab: &Lab, service: &str) -> String {
    lab.query(&format!(
        "SELECT migration, direction, outcome, checksum, first_install FROM {service}.migration_journal_{service} ORDER BY id; \
         SELECT version FROM {service}.seaql_migrations_{service} ORDER BY 1"
    ))
}

/// Why a script is refused, once the server has noticed that `psql` is gone, whose session held the locks.
fn refusal_of(lab: &Lab, script: &str) -> String {
    const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
                         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    let says = lab.database.psql(script).unwrap_err().to_string();
    lab.session().until(LOCKS, "0");
    says
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
    note  steps that read or write rows among them: 19; the script refuses a service that has some: use `up` or `down`
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
    let again = refusal_of(&scripted, &up.stdout);
    assert!(again.contains("in which nothing is applied: this is another one"), "{again}");

    let back = scripted.migrate(&["sql", "--down"]).exits(0).stdout;
    let from_head = offline(&scripted, &["--down"]).exits(0).stdout;
    assert_eq!(from_head.lines().count(), back.lines().count());
    // A row of the migrations' own goes with them; one that was changed, or that somebody has added, does not.
    assert_eq!(scripted.query("SELECT count(*) FROM profochatbot.account"), "1");
    for (changed, undone) in [
        ("UPDATE profochatbot.account SET plan = 'pro'", "UPDATE profochatbot.account SET plan = 'free'"),
        (
            "UPDATE profochatbot.account SET settings = '{}'",
            "UPDATE profochatbot.account SET settings = NULL",
        ),
        (
            "INSERT INTO profochatbot.account (account_id, name, slug) VALUES (2, 'Second', 'second')",
            "DELETE FROM profochatbot.account WHERE account_id = 2",
        ),
    ] {
        scripted.query(changed);
        let said = refusal_of(&scripted, &back);
        for says in
            ["what is done to those without rows, and account has some", "deals with rows, those among them"]
        {
            assert!(said.contains(says), "{changed}: {said}");
        }
        scripted.query(undone);
    }
    // Where less is reverted than what has made it, it stays and counts.
    let less =
        scripted.migrate(&["sql", "profochatbot", "--down", "--to", "m20260105_000001"]).exits(0).stdout;
    let counts = refusal_of(&scripted, &less);
    assert!(counts.contains("account has some"), "{counts}");
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

/// Its statements are those that were sent to tables without rows.
#[test]
fn a_script_is_refused_where_it_would_pass_over_rows() {
    let lab = Lab::empty();
    lab.migrate(&["up", "bookreader@m20250824_154500", "chat@+1", "--quiet"]).exits(0);
    lab.query(
        "INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin, reader_settings) \
           SELECT gen_random_uuid(), 'reader' || i, 'hash', true, true, false, '{\"theme\": \"dark\"}' FROM generate_series(1, 8) i; \
         INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at) \
           VALUES (1, 1, 'user', 'kept', 4, now())",
    );
    let preferences = "SELECT count(*) FROM bookreader.user_preferences";
    let settings = "SELECT count(reader_settings) FROM bookreader.users";
    let refused = |arguments: &[&str]| {
        let made = lab.migrate(&[&["sql", "bookreader"], arguments].concat()).exits(0);
        assert!(made.stderr.contains("the script refuses a service that has some"), "{}", made.shown());
        let (before, schema) = (histories_of(&lab, "bookreader"), dump(&lab.database));
        let error = refusal_of(&lab, &made.stdout);
        assert!(error.contains("done to those without rows, and "), "{error}");
        assert_eq!((histories_of(&lab, "bookreader"), dump(&lab.database)), (before, schema));
    };
    refused(&[]);
    refused(&["--contract"]);
    assert_eq!((lab.query(settings), lab.query(preferences)), ("8".to_owned(), "0".to_owned()));
    lab.migrate(&["up", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query(preferences), "8");
    refused(&["--down", "--to", "m20250824_154500"]);
    lab.migrate(&["verify", "bookreader"]).exits(0);

    // What defines and does nothing to rows is for tables that have some, too.
    let defines = ["sql", "chat", "--from", "m20251016", "--to", "m20251017"];
    let defines = lab.migrate(&defines).exits(0);
    assert!(!defines.stderr.contains("refuses"), "{}", defines.shown());
    lab.query(&defines.stdout);
    assert_eq!(lab.query("SELECT content FROM chat.messages"), "kept");
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
        (&["chat", "--out", "a_file/scripts"], 2, "could not write `a_file/scripts`"),
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
