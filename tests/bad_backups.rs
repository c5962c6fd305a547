//! Backups and restores that go wrong: what is no backup, what lies, who is killed, what breaks. Nothing is changed, or it is said
//! that this is not known; nothing half-written stays.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use postgres_sandbox::{Binaries, Cluster, Observer, Passing, Relay, Verdict};
use serde_json::{Value, json};

use crate::restore::digest;
use crate::support::{self, Lab, ROWS, Running, run};

/// A service with rows and a backup of it.
fn lab() -> (Lab, PathBuf) {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    let made = lab.migrate(&["backup", "chat", "--no-verify", "--json"]).exits(0).json();
    let archive = lab.directory.path().join(made["backups"][0]["archive"].as_str().unwrap());
    (lab, archive)
}

fn restore(archive: &Path) -> [&str; 3] {
    ["restore", archive.to_str().unwrap(), "--allow-data-loss"]
}

/// The schemas in which restores have set something aside.
const SET_ASIDE: &str = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%before_restore%'";

#[test]
fn what_is_no_backup_is_refused_by_name() {
    let (lab, archive) = lab();
    let before = digest(&lab, "chat");
    let place = |name: &str| lab.directory.path().join("backups").join(name);
    let manifest = archive.with_extension("json");
    fs::copy(&archive, place("alone.dump")).unwrap();
    fs::write(place("empty.dump"), "").unwrap();
    fs::copy(&manifest, place("without.json")).unwrap();
    symlink("round.dump", place("round.dump")).unwrap();
    fs::copy(&archive, place("manifest.dump")).unwrap();
    fs::create_dir(place("manifest.json")).unwrap();
    fs::copy(&archive, place("nothing.dump")).unwrap();
    fs::write(place("nothing.json"), "").unwrap();
    let no_manifest = "it has no manifest beside it: it was interrupted, or is another program's";
    for (name, code, why) in [
        ("missing.dump", 2, "there is no such file"),
        ("", 2, "it is a directory"),
        ("round.dump", 2, "Too many levels of symbolic links"),
        ("manifest.dump", 2, "its manifest cannot be read: Is a directory"),
        ("alone.dump", 4, no_manifest),
        ("empty.dump", 4, no_manifest),
        ("without.dump", 4, "its manifest is of another archive"),
        ("nothing.dump", 4, "its manifest cannot be read: EOF"),
    ] {
        let ran = lab.migrate(&restore(&place(name))).exits(code);
        assert!(ran.stderr.contains(&format!("{name}` cannot be restored: {why}")), "{}", ran.shown());
        assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.shown());
    }
    fs::remove_file(&archive).unwrap();
    let ran = lab.migrate(&restore(&archive)).exits(4);
    assert!(ran.stderr.contains("its archive cannot be read: No such file"), "{}", ran.shown());
    assert_eq!(digest(&lab, "chat"), before);
}

/// Whatever field of a manifest is another, or is gone, it is found.
#[test]
fn a_manifest_that_lies_is_found_out() {
    let (lab, archive) = lab();
    let before = digest(&lab, "chat");
    let manifest = archive.with_extension("json");
    let whole: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let fields: Vec<&String> = whole.as_object().unwrap().keys().collect();
    assert!(fields.len() > 20, "{fields:?}");
    let refused = |lying: &Value, what: &str| {
        fs::write(&manifest, lying.to_string()).unwrap();
        let ran = lab.migrate(&restore(&archive)).exits(4);
        assert!(ran.stderr.contains("cannot be restored: its"), "{what}: {}", ran.shown());
        assert_eq!(digest(&lab, "chat"), before, "{what}");
    };
    for field in fields {
        let mut lying = whole.clone();
        lying[field] = match &whole[field] {
            Value::String(text) => json!(format!("{text}0")),
            Value::Number(number) => json!(number.as_u64().unwrap() + 1),
            Value::Bool(is) => json!(!is),
            Value::Null => json!("m20250101_000001_of_nobody"),
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({"identifier": "1", "version": "15.1", "database": "other"}),
        };
        if lying != whole {
            refused(&lying, field);
        }
        lying.as_object_mut().unwrap().remove(field);
        refused(&lying, field);
    }
    // How it is spaced is none of its words.
    fs::write(&manifest, whole.to_string()).unwrap();
    lab.migrate(&restore(&archive)).exits(0);
}

/// Waits until a command is frozen at its place, and kills it there.
fn killed_at(lab: &Lab, arguments: &[&str], words: &'static str) {
    let relay = support::Relay::freezing_at(lab, words);
    let mut command = lab.command(arguments);
    command.env("DATABASE_URL", relay.url());
    let run = Running::start(command);
    relay.freezes(run.pid());
    // The words have passed before it stops.
    let is_stopped = || {
        let asked = Command::new("ps").args(["-o", "state=", "-p", &run.pid().to_string()]).output().unwrap();
        asked.stdout.trim_ascii_start().starts_with(b"T")
    };
    while relay.n_faults() == 0 || !is_stopped() {
        thread::sleep(Duration::from_millis(20));
    }
    run.signal("KILL");
    assert_eq!(run.finish().code, 128 + 9);
    // What it has started ends too, with what it was asked for.
    lab.session().until(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'migrate%'",
        "0",
    );
}

#[test]
fn what_a_killed_backup_leaves_is_named_and_removed_by_the_next() {
    let (lab, archive) = lab();
    killed_at(&lab, &["backup", "chat", "--no-verify"], "COPY chat.messages");
    let listed = lab.migrate(&["backups", "--json"]).exits(4).json();
    let left: Vec<&Value> =
        listed["backups"].as_array().unwrap().iter().filter(|found| found["state"] != "whole").collect();
    assert_eq!(left.len(), 1, "{listed}");
    assert_eq!(left[0]["problem"], "it was interrupted; the next backup removes it");
    // One that was killed between the names of both files.
    let directory = archive.parent().unwrap();
    fs::copy(&archive, directory.join("chat-1.dump")).unwrap();
    fs::write(directory.join(".chat-1.dump.json.part"), "{").unwrap();
    let made = lab.migrate(&["backup", "chat", "--no-verify", "--json"]).exits(0).json();
    assert_eq!(made["removed"].as_array().unwrap().len(), 3, "{made}");
    let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
    assert_eq!(listed["backups"].as_array().unwrap().len(), 2, "{listed}");
    killed_at(&lab, &["backup", "chat", "--no-verify"], "COPY chat.messages");
    let ran = lab.migrate(&["backup", "chat", "--no-verify"]).exits(0);
    assert!(ran.stderr.contains("which a backup that was killed had left"), "{}", ran.shown());
}

#[test]
fn a_killed_restore_has_changed_nothing_and_is_done_again() {
    let (lab, archive) = lab();
    lab.query("DELETE FROM chat.messages WHERE id % 2 = 0");
    let after = digest(&lab, "chat");
    // Before what is there is set aside, when it was, and among the rows that come back.
    for words in ["BEGIN ISOLATION LEVEL READ COMMITTED", "ALTER SCHEMA", "COPY chat.messages", "INSERT INTO"]
    {
        killed_at(&lab, &restore(&archive), words);
        assert_eq!(digest(&lab, "chat"), after, "{words}");
        assert_eq!(lab.query(SET_ASIDE), "0", "{words}");
    }
    lab.migrate(&restore(&archive)).exits(0);
    assert_eq!(lab.query(SET_ASIDE), "1");
}

/// Cuts the connection of a restore at a statement: it reaches the server, and its answer comes back to nobody.
struct Cut {
    at: &'static str,
    is_begun: AtomicBool,
    /// The session whose statement it is, from one on; none is 0.
    session: AtomicUsize,
}

impl Observer for Cut {
    fn passes(&self, session: usize, passing: Passing<'_>) -> Verdict {
        let Passing::Statement(text) = passing else {
            let is_it = self.session.load(Ordering::SeqCst) == session + 1;
            return if is_it { Verdict::Cut } else { Verdict::Pass };
        };
        self.is_begun.fetch_or(text.contains("ALTER SCHEMA"), Ordering::SeqCst);
        if self.is_begun.load(Ordering::SeqCst) && text.contains(self.at) {
            self.session.store(session + 1, Ordering::SeqCst);
        }
        Verdict::Pass
    }

    fn cuts(&self) {}
}

#[test]
fn a_server_that_goes_away_during_a_restore_is_named() {
    let (lab, archive) = lab();
    lab.query("DELETE FROM chat.messages WHERE id % 2 = 0");
    let after = digest(&lab, "chat");
    for (at, code, says) in [
        ("ALTER SCHEMA", 8, "the connection to the server was lost"),
        ("COPY chat.messages", 8, "the connection to the server was lost"),
        ("COMMIT", 6, "it is not known whether it was restored"),
    ] {
        let cut = Arc::new(Cut { at, is_begun: AtomicBool::new(false), session: AtomicUsize::new(0) });
        let relay = Relay::before(Cluster::shared(), cut).unwrap();
        let mut command = lab.command(&restore(&archive));
        let ran = run(command.env("DATABASE_URL", relay.url(lab.database.name()))).exits(code);
        assert!(ran.stderr.contains(says), "{at}: {}", ran.shown());
        if code == 8 {
            lab.session().until(SET_ASIDE, "0");
            assert_eq!(digest(&lab, "chat"), after, "{at}");
            continue;
        }
        // The hint says how to find it out.
        let (_, hint) = ran.stderr.split_once("if there is a schema `").unwrap();
        let (schema, _) = hint.split_once('`').unwrap();
        lab.session().until(&format!("SELECT count(*) FROM pg_namespace WHERE nspname = '{schema}'"), "1");
    }
}

#[test]
fn a_pg_dump_that_is_older_than_the_server_is_not_tried() {
    let newer = Binaries::of_major(18).unwrap();
    let older = Binaries::of_major(15).unwrap();
    let cluster = Cluster::builder().binaries(newer).start().unwrap();
    let lab = Lab::with(cluster.create_database().unwrap());
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    // A cache in which there is nothing else.
    let cache = lab.directory.path().join("cache/migrate/postgresql");
    fs::create_dir_all(&cache).unwrap();
    symlink(older.directory().parent().unwrap(), cache.join("15.0.0")).unwrap();
    let mut command = lab.command(&["backup", "chat"]);
    command.env("MIGRATE_TEST_POSTGRES", "15").env("MIGRATE_POSTGRES_DOWNLOAD", "never");
    let ran = run(command.env("XDG_CACHE_HOME", lab.directory.path().join("cache"))).exits(2);
    let says = "there is no `pg_dump` of PostgreSQL 18 or later, and an older one refuses the server";
    assert!(ran.stderr.contains(says), "{}", ran.shown());
    assert!(ran.stderr.contains("(is 15."), "{}", ran.shown());
    assert!(!lab.directory.path().join("backups").join("chat").exists());
}
