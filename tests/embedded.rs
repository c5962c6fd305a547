//! Without `DATABASE_URL`: a private server beside the working directory, its data kept.

use std::thread;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Directory, Ran, Running, filters, run};

/// A directory in which no address is set. Its server and data go with it.
struct Embedded {
    directory: Directory,
}

impl Embedded {
    fn new() -> Self {
        Self { directory: Directory::new() }
    }

    fn migrate(&self, arguments: &[&str]) -> Ran {
        run(&mut self.directory.command(arguments))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.migrate(&["db", "reset", "--yes"]);
    }
}

#[test]
fn a_server_is_made_and_its_data_kept() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    assert_snapshot!(embedded.migrate(&["db", "status"]).shown(), @"
    exit 0
    --- stdout
    absent nothing in .postgres yet
    --- stderr
    ");
    assert_snapshot!(embedded.migrate(&["up", "rag"]).shown(), @"
    exit 0
    --- stdout
    rag  m20250727_000001_create_user_knowledge         ok [time]
    rag  m20261120_000001_drop_redundant_user_id_index  ok [time]
    1 of 5 services up to date · 2 migrations in [time]
    --- stderr
    database  embedded PostgreSQL [version] in .postgres (no DATABASE_URL set)
    ");
    assert!(embedded.directory.path().join(".postgres").is_dir());
    assert_snapshot!(embedded.migrate(&["up", "rag"]).stdout, @"1 of 5 services up to date · nothing to do in [time]");
    let status = embedded.migrate(&["db", "status", "--json"]).exits(0).json();
    assert_eq!((&status["running"], &status["url"]), (&Value::Bool(false), &Value::Null));
    for command in [&["status", "--json"][..], &["wait", "rag", "--timeout", "0", "--json"]] {
        let document = embedded.migrate(command).exits(0).json();
        assert_eq!(document["databases"][0]["embedded"], true, "{command:?}");
    }
}

#[test]
fn it_is_started_stopped_and_reset_by_hand() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    assert_snapshot!(embedded.migrate(&["db", "start"]).shown(), @"
    exit 0
    --- stdout
    running PostgreSQL [version] in .postgres, pid [pid], until `db stop`
    postgres://postgres@localhost:5432/postgres?host=[directory]/.postgres/socket
    --- stderr
    ");
    embedded.migrate(&["up", "rag"]).exits(0);
    let status = embedded.migrate(&["db", "status", "--json"]).exits(0).json();
    assert_eq!((&status["running"], &status["keeps_running"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_snapshot!(embedded.migrate(&["db", "stop"]).shown(), @"
    exit 0
    --- stdout
    stopped PostgreSQL [version] in .postgres, [size] of data
    --- stderr
    ");
    assert_snapshot!(embedded.migrate(&["db", "reset"]).shown(), @"
    exit 7
    --- stdout
    --- stderr
    error: `db reset` deletes all data in .postgres
      hint say `db reset --yes`
    ");
    embedded.migrate(&["status", "--check", "rag"]).exits(0);
    assert_snapshot!(embedded.migrate(&["db", "reset", "--yes"]).shown(), @"
    exit 0
    --- stdout
    deleted [size] of data in .postgres
    --- stderr
    ");
    embedded.migrate(&["status", "--check", "rag"]).exits(3);
}

#[test]
fn two_runs_at_once_share_it() {
    let embedded = Embedded::new();
    let up = || Running::start(embedded.directory.command(&["up", "rag", "chat"])).finish();
    thread::scope(|scope| {
        let runs = [scope.spawn(up), scope.spawn(up)];
        for run in runs {
            run.join().unwrap().exits(0);
        }
    });
    let history = embedded.migrate(&["history", "--verbose", "--json"]).exits(0).json();
    let lines = history["journal"].as_array().unwrap().iter();
    let mut applied: Vec<&str> = lines
        .filter(|line| line["outcome"] == "succeeded")
        .map(|line| line["migration"].as_str().unwrap())
        .collect();
    let n_lines = applied.len();
    applied.sort_unstable();
    applied.dedup();
    assert_eq!(applied.len(), n_lines, "each migration once: {applied:?}");
    assert_eq!(n_lines, 6);
}

#[test]
fn a_damaged_data_directory_is_named_and_nothing_in_it_is_touched() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    embedded.migrate(&["up", "rag"]).exits(0);
    let data = embedded.directory.path().join(".postgres/data");
    let aside = embedded.directory.path().join("aside");
    for part in ["base", "global", "pg_wal", "pg_xact", "PG_VERSION", "postgresql.conf", "global/pg_control"]
    {
        std::fs::rename(data.join(part), &aside).unwrap();
        let named = |text: &str| assert!(text.contains(&format!("`{part}` is missing")), "{part}: {text}");
        let refused = embedded.migrate(&["up", "rag"]).exits(8);
        named(&refused.stderr);
        assert!(
            refused.stderr.contains("or delete all data in it with `db reset --yes`"),
            "{}",
            refused.stderr
        );
        named(&embedded.migrate(&["db", "start"]).exits(8).stderr);
        named(&embedded.migrate(&["db", "status"]).exits(0).stdout);
        std::fs::rename(&aside, data.join(part)).unwrap();
    }
    embedded.migrate(&["status", "--check", "rag"]).exits(0);

    // Data of a version that is nowhere to be had.
    std::fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    let refused = embedded.migrate(&["up", "rag"]).exits(8).stderr;
    assert!(
        refused.contains("/.postgres/data` cannot be used: found no PostgreSQL 9 on this machine"),
        "{refused}"
    );
    assert!(refused.contains("or delete all data in it with `db reset --yes`"), "{refused}");
    assert_snapshot!(embedded.migrate(&["db", "status"]).stdout, @"stopped PostgreSQL 9 in .postgres, [size] of data; its programs are not on this machine");
    assert_snapshot!(embedded.migrate(&["db", "reset", "--yes"]).stdout, @"deleted [size] of data in .postgres");
    assert_snapshot!(embedded.migrate(&["db", "reset", "--yes"]).stdout, @"absent nothing in .postgres yet");
}

#[test]
fn a_directory_that_is_not_ours_is_left_alone() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    let theirs = embedded.directory.path().join(".postgres");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::write(theirs.join("notes.txt"), "mine").unwrap();
    assert_snapshot!(embedded.migrate(&["up"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `[directory]/.postgres` is neither empty nor a cluster made here
      hint set MIGRATE_POSTGRES_DIR to an empty or new directory, or DATABASE_URL to a server
    ");
    assert_snapshot!(embedded.migrate(&["db", "reset", "--yes"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `[directory]/.postgres` is neither empty nor a cluster made here
      hint set MIGRATE_POSTGRES_DIR to an empty or new directory, or DATABASE_URL to a server
    ");
    assert!(theirs.join("notes.txt").is_file());
}

#[test]
fn a_directory_that_cannot_be_made_is_wrong_configuration() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    std::fs::write(embedded.directory.path().join("file"), "mine").unwrap();
    for directory in ["file", "file/below", "/dev/null/below"] {
        let mut command = embedded.directory.command(&["status"]);
        let ran = run(command.env("MIGRATE_POSTGRES_DIR", directory)).exits(2);
        assert!(ran.stderr.contains("hint set MIGRATE_POSTGRES_DIR to"), "{directory}: {}", ran.shown());
    }
}

#[test]
fn its_directory_may_be_in_the_home_directory() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    let status = |directory: &str| {
        let mut command = embedded.directory.command(&["db", "status", "--json"]);
        run(command.env("HOME", embedded.directory.path()).env("MIGRATE_POSTGRES_DIR", directory))
    };
    let expected = embedded.directory.path().join("pg/data").display().to_string();
    assert_eq!(status("~/pg").exits(0).json()["data_directory"], expected);
    assert_eq!(status(" pg ").exits(0).json()["data_directory"], expected);
    assert!(status("~ada/pg").exits(2).stdout.contains("begins with a `~` that stands for no directory"));
}

#[test]
fn its_directory_may_have_any_name() {
    let _filters = filters::bind();
    let embedded = Embedded::new();
    let migrate = |arguments: &[&str]| {
        let mut command = embedded.directory.command(arguments);
        run(command.env("MIGRATE_POSTGRES_DIR", "a, \"b\" 'c'")).exits(0)
    };
    migrate(&["up", "rag"]);
    let socket = "SELECT current_schema() || current_setting('unix_socket_directories')";
    let psql = migrate(&["psql", "rag", "--", "-Atc", socket]);
    let directory = psql.stdout.trim().strip_prefix("rag").unwrap();
    migrate(&["db", "reset", "--yes"]);
    // No socket can be in a directory of that name, so it is outside.
    std::fs::remove_dir(directory).unwrap();
}

/// A draft that was applied to the private server and then edited: whoever wrote it is told what leads on.
#[test]
fn an_edited_draft_is_told_the_way_out() {
    let embedded = Embedded::new();
    embedded.migrate(&["up", "chat", "--quiet"]).exits(0);
    let edit = "UPDATE migration_journal_chat SET checksum = md5('') WHERE migration LIKE 'm20251017%'";
    embedded.migrate(&["psql", "chat", "--", "-c", edit]).exits(0);
    let status = embedded.migrate(&["status", "chat"]).exits(0).stdout;
    assert!(status.contains("edited after it was applied") && !status.contains("up to date"), "{status}");
    for (command, target) in [("up", "chat"), ("down", "chat@-1")] {
        let refused = embedded.migrate(&[command, target]).exits(4).stderr;
        assert!(refused.contains("`repair chat` shows the ways on"), "{refused}");
    }
    let ways = embedded.migrate(&["repair", "chat"]).exits(4).stdout;
    assert!(
        ways.contains("applied to this private server only") && ways.contains("`db reset --yes`"),
        "{ways}"
    );
    embedded.migrate(&["db", "reset", "--yes"]).exits(0);
    embedded.migrate(&["up", "chat"]).exits(0);
}
