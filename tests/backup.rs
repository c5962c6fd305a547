//! `backup`, `backups`: an archive is whole, proved and described, or it is not there.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex};

use postgres_sandbox::{Cluster, Observer, Passing, Relay, Verdict};
use serde_json::Value;

use crate::adopted::{ASSESSMENTS, CHAT, migrate};
use crate::support::{Lab, ROWS, Ran, Running, Session, run};

/// Cuts the connection on which a table is read, and ends all others of the database if that is asked for.
struct Cut {
    all: bool,
    url: String,
}

impl Observer for Cut {
    fn passes(&self, _session: usize, passing: Passing<'_>) -> Verdict {
        match passing {
            Passing::Statement(text) if text.contains("COPY chat.messages") => Verdict::Cut,
            _ => Verdict::Pass,
        }
    }

    fn cuts(&self) {
        if self.all {
            Session::open(&self.url).query(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            );
        }
    }
}

/// Two services with rows.
fn lab() -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "rag", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab
}

/// The names in the directory of backups, hidden ones too.
fn files(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.directory.path().join("backups")).map(|entries| {
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    });
    entries.unwrap_or_default()
}

fn archive(lab: &Lab, document: &Value, index: usize) -> PathBuf {
    lab.directory.path().join(document["backups"][index]["archive"].as_str().unwrap())
}

#[test]
fn services_are_backed_up_at_one_moment_and_proved() {
    let lab = lab();
    let made = lab.migrate(&["backup", "chat", "rag", "--json"]).exits(0).json();
    let [chat, rag] = [&made["backups"][0]["manifest"], &made["backups"][1]["manifest"]];
    assert_eq!((chat["service"].as_str(), rag["service"].as_str()), (Some("chat"), Some("rag")));
    assert_eq!(chat["verification"], "restored", "{chat}");
    let table = chat["tables"].as_array().unwrap().iter().find(|table| table["name"] == "messages").unwrap();
    assert_eq!(table["rows"].to_string(), lab.query("SELECT count(*) FROM chat.messages"));
    let applied = lab.query("SELECT json_agg(version ORDER BY version) FROM chat.seaql_migrations_chat");
    assert_eq!(chat["migrations"], serde_json::from_str::<Value>(&applied).unwrap());
    assert!(!fs::read_to_string(archive(&lab, &made, 0).with_extension("json")).unwrap().contains("rag."));

    // What is kept: the newest, and what is young; never none.
    lab.migrate(&["backup", "chat", "--no-verify", "--keep", "0"]).exits(0);
    let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
    let of = |document: &Value| -> Vec<String> {
        let all = document["backups"].as_array().unwrap();
        all.iter().map(|found| format!("{} {}", found["manifest"]["service"], found["verified"])).collect()
    };
    assert_eq!(of(&listed), [r#""rag" true"#, r#""chat" false"#]);
    lab.migrate(&["backup", "chat", "--no-verify", "--keep", "1", "--keep-days", "1"]).exits(0);
    assert_eq!(files(&lab).len(), 6);

    // Nothing is taken for whole that is not.
    let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
    let damaged = archive(&lab, &listed, 0);
    let mut bytes = fs::read(&damaged).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&damaged, bytes).unwrap();
    fs::remove_file(archive(&lab, &listed, 1).with_extension("json")).unwrap();
    let cut = archive(&lab, &listed, 2);
    fs::write(&cut, &fs::read(&cut).unwrap()[..100]).unwrap();
    fs::write(lab.directory.path().join("backups/.chat.dump.part"), "PGDMP").unwrap();
    fs::write(lab.directory.path().join("backups/notes.json"), "{}").unwrap();
    let listed = lab.migrate(&["backups", "--json"]).exits(4).json();
    let problems: Vec<String> = listed["backups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| format!("{}: {}", found["state"].as_str().unwrap(), found["problem"].as_str().unwrap()))
        .map(|text| text.split(", of").next().unwrap().to_owned())
        .collect();
    assert_eq!(
        problems,
        [
            "incomplete: it was interrupted; the next backup removes it",
            "incomplete: it has no manifest",
            "damaged: its archive has another SHA-256",
            "damaged: its archive has 100 bytes",
        ]
    );
    assert_eq!(lab.migrate(&["backups", "--directory", "elsewhere"]).code, 1);
}

/// Only what is the service's is in its archive, with the types and functions that it needs.
#[test]
fn of_a_shared_schema_a_part_is_backed_up() {
    let lab = Lab::empty();
    for script in [CHAT, ASSESSMENTS] {
        lab.query(script);
    }
    lab.query("CREATE TABLE of_nobody (id int); INSERT INTO of_nobody VALUES (1)");
    lab.query("CREATE FUNCTION of_nobody(of_nobody) RETURNS int LANGUAGE sql AS 'SELECT 1'");
    lab.query(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TYPE mood AS ENUM ('good'); ALTER TABLE messages ADD COLUMN mood mood; \
         CREATE TRIGGER touched BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION touch()",
    );
    let backup = |service: &str| {
        let variable = format!("{}_DATABASE_SCHEMA", service.to_uppercase());
        run(lab.command(&["backup", service, "--verify", "--json"]).env(variable, "public"))
    };
    let taken_over =
        |service, adopt: &[&str]| migrate(&lab, service, &[&["adopt", service], adopt].concat()).exits(0);
    taken_over("chat", &["--from", "schema", "--accept", "*.mood", "--accept", "*.touched"]);
    taken_over("assessments", &["--from", "schema", "--accept", "*_at"]);
    let made = backup("chat").exits(0).json();
    let manifest = &made["backups"][0]["manifest"];
    assert_eq!(manifest["functions_and_types"], serde_json::json!(["touch", "mood"]));
    let tables: Vec<&str> =
        manifest["tables"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(tables, ["messages", "migration_journal_chat", "seaql_migrations_chat"]);
    assert_eq!(backup("assessments").exits(0).json()["backups"][0]["manifest"]["verification"], "restored");
}

/// Of several jobs a directory is made, which is one backup as a file is.
#[test]
fn a_directory_is_one_backup() {
    let lab = lab();
    let count = "SELECT count(*) FROM chat.messages";
    let n_rows = lab.query(count);
    let made = lab.migrate(&["backup", "chat", "--jobs", "2", "--verify", "--json"]).exits(0).json();
    assert_eq!(made["backups"][0]["verified"], true, "{made}");
    let (manifest, archive) = (&made["backups"][0]["manifest"], archive(&lab, &made, 0));
    let parts: Vec<&str> =
        manifest["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert!(parts.len() > 2 && parts.contains(&"toc.dat"), "{parts:?}");
    // Its digest is what anybody's program says.
    let sums = Command::new("sh")
        .args(["-c", "LC_ALL=C; export LC_ALL; cd \"$0\" && sha256sum * | sha256sum"])
        .arg(&archive)
        .output()
        .unwrap();
    assert!(sums.stdout.starts_with(manifest["sha256"].as_str().unwrap().as_bytes()), "{sums:?}");
    lab.query("DELETE FROM chat.messages");
    lab.migrate(&["restore", archive.to_str().unwrap(), "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query(count), n_rows);

    let damaged = |what: &str| {
        let listed = lab.migrate(&["backups", "--json"]).exits(4).json();
        assert_eq!(listed["backups"][0]["problem"], what, "{listed}");
        let refused = lab.migrate(&["restore", archive.to_str().unwrap(), "--allow-data-loss"]).exits(4);
        assert!(refused.stderr.contains(what), "{}", refused.shown());
    };
    fs::write(archive.join("more"), "").unwrap();
    damaged("its file `more` is none of the backup");
    fs::rename(archive.join("more"), archive.join(parts[0])).unwrap();
    damaged(&format!("its file `{}` has 0 bytes, of {}", parts[0], manifest["files"][0]["size_bytes"]));
    fs::remove_file(archive.join(parts[0])).unwrap();
    damaged(&format!("its file `{}` is missing", parts[0]));
    fs::remove_dir_all(&archive).unwrap();
    fs::remove_file(archive.with_extension("json")).unwrap();

    // It is removed as one, and what was interrupted too.
    lab.migrate(&["backup", "chat", "--jobs", "2", "--no-verify"]).exits(0);
    fs::create_dir(lab.directory.path().join("backups/.chat-1.dump.part")).unwrap();
    fs::write(lab.directory.path().join("backups/.chat-1.dump.part/toc.dat"), "").unwrap();
    lab.migrate(&["backup", "chat", "--jobs", "1", "--no-verify", "--keep", "1"]).exits(0);
    assert_eq!(files(&lab).len(), 2);
    assert_eq!(lab.migrate(&["backup", "chat", "--jobs", "0"]).code, 2);
}

/// Each failure says what it is, and leaves nothing behind.
#[test]
fn a_backup_that_fails_leaves_nothing() {
    let lab = lab();
    let role = lab.role("");
    lab.query(&format!(
        "GRANT USAGE ON SCHEMA chat TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA chat TO {role}; \
         REVOKE SELECT ON chat.messages FROM {role}"
    ));
    let fails = |ran: Ran, code: i32, says: &str| {
        let ran = ran.exits(code);
        assert!(ran.stderr.contains(says), "{}", ran.shown());
        assert_eq!(files(&lab), [""; 0], "{}", ran.shown());
    };
    let backup = ["backup", "chat"];
    let as_role = || run(lab.command(&backup).env("DATABASE_URL", lab.url_of(&role)));
    fails(as_role(), 8, "permission denied for table messages");
    lab.query(&format!("GRANT SELECT ON chat.messages TO {role}"));
    fails(as_role(), 8, "permission denied for sequence messages_id_seq");

    // A limit of file sizes, as a disk that is full.
    let program = lab.command(&backup);
    let mut limited = Command::new("sh");
    limited
        .args(["-c", "ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    limited.current_dir(lab.directory.path()).envs(program.get_envs().filter_map(|(n, v)| Some((n, v?))));
    fails(run(&mut limited), 1, "`pg_dump` failed: it was ended by signal 25");

    // Others are waited for, not for ever.
    let mut session = lab.session();
    session.query("SELECT pg_advisory_lock(hashtextextended('migrate:chat.seaql_migrations_chat', 0))");
    fails(lab.migrate(&["backup", "chat", "--wait", "100ms"]), 5, "another run holds the migration lock");
    session.query("SELECT pg_advisory_unlock_all()");
    session.query("BEGIN");
    session.query("LOCK TABLE chat.messages");
    fails(lab.migrate(&["backup", "chat", "--wait", "100ms"]), 5, "a table is locked by another transaction");
    drop(session);

    // The connection of `pg_dump` ends within a table, or the server ends all.
    for (all, code, says) in
        [(false, 1, "`pg_dump` failed"), (true, 8, "the connection to the server was lost")]
    {
        let cut = Arc::new(Cut { all, url: lab.database.url().to_owned() });
        let relay = Relay::before(Cluster::shared(), cut).unwrap();
        fails(run(lab.command(&backup).env("DATABASE_URL", relay.url(lab.database.name()))), code, says);
    }

    // Nothing to back up is no failure, and a directory that is a file is wrong usage.
    let nothing = lab.migrate(&["backup", "assessments"]).exits(0);
    assert_eq!(nothing.stderr, "note  `assessments` has nothing to back up yet\n");
    lab.directory.write("a_file", "");
    let to_a_file = lab.migrate(&["backup", "chat", "--to", "a_file"]).exits(2);
    assert!(to_a_file.stderr.starts_with("error: could not write `a_file`\n"), "{}", to_a_file.shown());
}

/// Where nothing can ever be written, the place is wrongly named.
#[test]
fn a_place_that_cannot_be_written_is_wrong_usage() {
    let lab = lab();
    lab.directory.write("a_file", "");
    let long = "x".repeat(300);
    let backup = |place: &str, more: &[&str]| {
        lab.migrate(&[&["backup", "chat", "--no-verify", "--to", place], more].concat())
    };
    let places = [
        "a_file",
        "a_file/below",
        "/dev/null",
        "/dev/null/below",
        "/proc/x",
        "/proc/self/x/y",
        "/sys/x",
        &long,
    ];
    for place in places {
        for more in [&[][..], &["--jobs", "2"], &["--json"]] {
            let refused = backup(place, more).exits(2);
            assert!(refused.shown().contains("could not write `"), "{place}: {}", refused.shown());
            assert!(refused.shown().contains("MIGRATE_BACKUP_DIR"), "{place}: {}", refused.shown());
        }
        let variable = |command: &[&str]| run(lab.command(command).env("MIGRATE_BACKUP_DIR", place));
        variable(&["down", "chat@-1", "--allow-data-loss", "--quiet"]).exits(0);
        variable(&["up", "chat", "--backup"]).exits(2);
        lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    }
    // Directories that are missing are made.
    backup("missing/also_missing", &[]).exits(0);
    assert_eq!(files(&lab), [""; 0]);
}

#[test]
fn a_run_backs_up_first_what_it_changes() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    let up = ["up", "chat", "assessments", "--backup"];
    let ran = lab.migrate(&up).exits(0);
    assert!(ran.stdout.starts_with("chat  backups/chat-2"), "{}", ran.shown());
    let listed = lab.migrate(&["backups"]).exits(0);
    assert_eq!(listed.stdout.lines().count(), 2, "{}", listed.shown());
    assert!(listed.stdout.contains(" m20251016_000001_create_messages "), "{}", listed.shown());
    assert!(listed.stdout.ends_with("  whole, restored on trial\n"), "{}", listed.shown());
    // Where it fails, nothing is applied.
    lab.migrate(&["down", "chat@-1", "--allow-data-loss", "--quiet"]).exits(0);
    fs::remove_dir_all(lab.directory.path().join("backups")).unwrap();
    lab.directory.write("backups", "");
    let status = || lab.migrate(&["status", "--json"]).json()["services"].to_string();
    let before = status();
    lab.migrate(&up).exits(2);
    assert_eq!(status(), before);
}

/// Keeps `pg_dump` waiting: once it has connected, another session queues for a lock on what it is about to read.
struct Queueing {
    url: String,
    queued: Mutex<Option<Session>>,
}

impl Observer for Queueing {
    fn passes(&self, _session: usize, passing: Passing<'_>) -> Verdict {
        if matches!(passing, Passing::Statement(text) if text.contains("SET TRANSACTION SNAPSHOT")) {
            let mut session = Session::open(&self.url);
            session.send("BEGIN; LOCK TABLE chat.messages");
            Session::open(&self.url).until(
                "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted \
                 AND relation = 'chat.messages'::regclass",
                "1",
            );
            *self.queued.lock().unwrap() = Some(session);
        }
        Verdict::Pass
    }

    fn cuts(&self) {}
}

/// `pg_dump` ends with the program that started it, however that ends: nothing dumps on, and no lock is waited for any more.
#[test]
fn a_dump_does_not_outlive_who_wanted_it() {
    const DUMPING: &str = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                           AND application_name = 'migrate backup chat'";
    for signal in ["KILL", "INT"] {
        let lab = lab();
        let queueing = Arc::new(Queueing { url: lab.database.url().to_owned(), queued: Mutex::default() });
        let relay = Relay::before(Cluster::shared(), Arc::clone(&queueing)).unwrap();
        let mut command = lab.command(&["backup", "chat", "--wait", "10m"]);
        command.env("DATABASE_URL", relay.url(lab.database.name()));
        let running = Running::start(command);
        let mut watch = lab.session();
        watch.until(&format!("{DUMPING} AND wait_event_type = 'Lock'"), "1");
        running.signal(signal);
        drop(running.finish());
        watch.until(DUMPING, "0");
        *queueing.queued.lock().unwrap() = None;
        lab.migrate(&["backup", "chat", "--wait", "1s"]).exits(0);
    }
}
