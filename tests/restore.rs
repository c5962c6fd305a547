//! `restore`: a service is as its backup has it, or as it was before; nobody else notices.

use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value;

use crate::adopted::{ASSESSMENTS, BOOKREADER, BOOKREADER_OCTOBER, migrate};
use crate::support::{Lab, ROWS, Session, run};

/// Backs a service up and gives the archive.
fn backed_up(lab: &Lab, service: &str) -> PathBuf {
    let made = lab.migrate(&["backup", service, "--no-verify", "--json"]).exits(0).json();
    lab.directory.path().join(made["backups"][0]["archive"].as_str().unwrap())
}

/// Everything in the tables of a schema, and how they look.
pub(crate) fn digest(lab: &Lab, schema: &str) -> String {
    lab.query(&format!(
        "SELECT string_agg(c.relname || ':' || c.relkind::text || ':' || md5(query_to_xml(format( \
           'SELECT t::text FROM %I.%I AS t ORDER BY 1', n.nspname, c.relname), true, false, '')::text), ' ' ORDER BY c.relname) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = '{schema}' AND c.relkind IN ('r', 'p') AND c.relname NOT LIKE 'migration\\_journal\\_%'"
    ))
}

/// Four services that are not restored, each a schema with a table of rows.
const OTHERS: [&str; 4] = ["other_a", "other_b", "other_c", "other_d"];

/// Writes into the tables of the other services for as long as something is done, and gives how many rows each got. A row that
/// would wait for a lock for longer than 50 ms is refused by the server.
fn while_written_to(lab: &Lab, work: impl FnOnce()) -> Vec<usize> {
    let is_done = &AtomicBool::new(false);
    thread::scope(|scope| {
        let writing = OTHERS.map(|other| {
            scope.spawn(move || {
                let mut session = Session::open(lab.database.url());
                session.query("SET lock_timeout = '50ms'");
                let mut n_rows = 0;
                while !is_done.load(Ordering::SeqCst) {
                    session.query(&format!("INSERT INTO {other}.rows VALUES ({n_rows})"));
                    n_rows += 1;
                }
                n_rows
            })
        });
        // Where the work fails, the writing has to end too.
        let worked = catch_unwind(AssertUnwindSafe(work));
        is_done.store(true, Ordering::SeqCst);
        worked.unwrap_or_else(|failure| resume_unwind(failure));
        writing.map(|writing| writing.join().unwrap()).to_vec()
    })
}

#[test]
fn a_service_is_restored_and_nobody_else_notices() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    for other in OTHERS {
        lab.query(&format!("CREATE SCHEMA {other}; CREATE TABLE {other}.rows (id int)"));
    }
    let before = digest(&lab, "chat");
    let archive = backed_up(&lab, "chat");
    let archive = archive.to_str().unwrap();
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.query("DELETE FROM chat.messages WHERE id % 2 = 0");
    let after = digest(&lab, "chat");

    let refused = lab.migrate(&["restore", archive]).exits(7);
    assert!(refused.stderr.contains("which the restored ones would replace"), "{}", refused.shown());
    let dry_run = lab.migrate(&["restore", archive, "--dry-run", "--json"]).exits(0).json();
    assert_eq!(
        (&dry_run["restored"], &dry_run["pending_again"][0]),
        (&false.into(), &"m20251017_000001_add_message_source".into())
    );
    assert_eq!(digest(&lab, "chat"), after);

    let n_written = while_written_to(&lab, || {
        let ran = lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
        assert!(ran.stdout.contains("`chat` is as it was at "), "{}", ran.shown());
    });
    for (other, n_rows) in OTHERS.iter().zip(n_written) {
        assert!(n_rows > 0, "{other} was not written to");
        assert_eq!(lab.query(&format!("SELECT count(*) FROM {other}.rows")), n_rows.to_string());
    }
    assert_eq!(digest(&lab, "chat"), before);
    let kept_in = lab.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_before_restore_%'");
    assert_eq!(digest(&lab, &kept_in), after);
    let line = "SELECT migration, outcome, consent FROM chat.migration_journal_chat ORDER BY id DESC LIMIT 1";
    assert_eq!(lab.query(line), "m20251016_000001_create_messages|succeeded|restored");

    // It goes on from there, and numbers are not given twice.
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.migrate(&["verify", "chat"]).exits(0);
    lab.query("INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at) VALUES (1, 1, 'user', 'new', 3, now())");
    lab.migrate(&["restore", "--drop-old", "chat"]).exits(7);
    lab.migrate(&["restore", "--drop-old", "chat", "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%before_restore%'"), "0");

    // Where nothing is there any more, and in another database, nobody has to agree to anything.
    lab.query("DROP SCHEMA chat CASCADE");
    lab.migrate(&["restore", archive]).exits(0);
    assert_eq!(digest(&lab, "chat"), before);
    let elsewhere = Lab::empty();
    elsewhere.migrate(&["restore", archive, "--no-owner"]).exits(0);
    assert_eq!(digest(&elsewhere, "chat"), before);
    elsewhere.migrate(&["up", "chat", "--quiet"]).exits(0);
}

/// An earlier system's database: taken over, taken to head with what loses data, and back; in the schema that it shares.
#[test]
fn a_service_that_was_taken_over_comes_back_from_head() {
    let lab = Lab::empty();
    lab.query(ASSESSMENTS);
    lab.query(
        "CREATE TABLE of_others (id int PRIMARY KEY); INSERT INTO of_others SELECT generate_series(1, 1000)",
    );
    let assessments = |arguments: &[&str]| migrate(&lab, "assessments", arguments);
    let adopt = ["adopt", "assessments", "--from", "schema", "--accept", "*_at"];
    assessments(&adopt).exits(0);
    let before = digest(&lab, "public");
    let to_head = ["up", "assessments", "--contract", "--ignore-soak", "--allow-data-loss", "--backup"];
    assessments(&to_head).exits(0);
    assert_ne!(digest(&lab, "public"), before);
    let listed = assessments(&["backups", "--json"]).exits(0).json();
    let archive = lab.directory.path().join(listed["backups"][0]["archive"].as_str().unwrap());
    assessments(&["restore", archive.to_str().unwrap(), "--allow-data-loss"]).exits(0);
    assert_eq!(digest(&lab, "public"), before);
    // Once more, and back again: the way is no one-way street.
    assessments(&to_head[..5]).exits(0);
    assessments(&["verify", "assessments"]).exits(0);
    assessments(&["restore", archive.to_str().unwrap(), "--allow-data-loss"]).exits(0);
    assert_eq!(digest(&lab, "public"), before);
    assessments(&["restore", "--drop-old", "assessments", "--allow-data-loss"]).exits(0);
    assert_eq!(digest(&lab, "public"), before);
}

/// Between expand and contract, with triggers and functions in the shared schema that the contract step drops.
#[test]
fn functions_of_a_shared_schema_come_back_with_their_tables() {
    let lab = Lab::empty();
    for script in [BOOKREADER, BOOKREADER_OCTOBER] {
        lab.query(script);
    }
    let bookreader = |arguments: &[&str]| migrate(&lab, "bookreader", arguments).exits(0);
    let accepted = ["--accept", "*.id", "--accept", "*.scroll_offset_percent"];
    let adopt = ["adopt", "bookreader", "--from", "schema", "--without", "m20250824_*"];
    bookreader(&[&adopt[..], &accepted].concat());
    bookreader(&["up", "bookreader", "--quiet"]);
    let before = digest(&lab, "public");
    let made = bookreader(&["backup", "bookreader", "--verify", "--json"]).json();
    let archive = made["backups"][0]["archive"].as_str().unwrap();
    let to_head = ["up", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"];
    bookreader(&to_head);
    bookreader(&["restore", archive, "--allow-data-loss"]);
    assert_eq!(digest(&lab, "public"), before);
    bookreader(&["verify", "bookreader"]);
    bookreader(&to_head);
    bookreader(&["status", "bookreader", "--check"]);
}

/// Whatever does not fit is refused with its reason, and nothing is changed.
#[test]
fn what_does_not_fit_is_refused() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    let archive = backed_up(&lab, "chat");
    let manifest = archive.with_extension("json");
    let (bytes, text) = (fs::read(&archive).unwrap(), fs::read_to_string(&manifest).unwrap());
    let before = digest(&lab, "chat");
    let refuses = |code: i32, says: &str| {
        let ran = lab.migrate(&["restore", archive.to_str().unwrap(), "--allow-data-loss"]).exits(code);
        assert!(ran.stderr.contains(says), "{says}: {}", ran.shown());
        assert_eq!(digest(&lab, "chat"), before, "{says}");
        assert_eq!(lab.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%before_restore%'"), "0");
        fs::write(&archive, &bytes).unwrap();
        fs::write(&manifest, &text).unwrap();
    };
    let damaged: Vec<u8> = bytes.iter().rev().copied().collect();
    fs::write(&archive, damaged).unwrap();
    refuses(4, "its archive has another SHA-256");
    // Manifests that lie and were sealed again, as by one who knows how.
    let sealed = |text: &str| {
        let mut manifest: Value = serde_json::from_str(text).unwrap();
        manifest.as_object_mut().unwrap().remove("seal");
        let mut summing =
            Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        summing.stdin.take().unwrap().write_all(manifest.to_string().as_bytes()).unwrap();
        let sum = String::from_utf8(summing.wait_with_output().unwrap().stdout).unwrap();
        manifest["seal"] = sum.split(' ').next().unwrap().into();
        manifest.to_string()
    };
    for (from, to, code, says) in [
        ("\"service\": \"chat\"", "\"service\": \"rag\"", 4, "its manifest was edited"),
        ("m20251016_000001", "m20991016_000001", 4, "its manifest was edited"),
        (
            "\"schema\": \"chat\",\n  \"further",
            "\"schema\": \"talk\",\n  \"further",
            7,
            "the backup is of `talk`",
        ),
        ("\"rows\": 4002", "\"rows\": 4003", 4, "4002 rows of `messages` came back, of 4003"),
        ("\"database\": \"", "\"database\": \"not_", 7, "the backup is of another database"),
        (
            "\"format\": \"migrate-backup/v1\"",
            "\"format\": \"migrate-backup/v9\"",
            4,
            "its manifest is `migrate-backup/v9`",
        ),
    ] {
        assert!(text.contains(from), "{from}: {text}");
        fs::write(&manifest, sealed(&text.replace(from, to))).unwrap();
        refuses(code, says);
    }
    fs::remove_file(&manifest).unwrap();
    refuses(4, "it has no manifest");
    // Others that use what would be replaced, and those who are at work.
    lab.query("CREATE VIEW of_others AS SELECT id FROM chat.messages");
    refuses(7, "view `public.of_others` would still use what is replaced");
    lab.query("DROP VIEW of_others; CREATE TABLE of_others (message int REFERENCES chat.messages (id))");
    refuses(7, "table `public.of_others` would still use what is replaced");
    lab.query("DROP TABLE of_others");
    let mut session = lab.session();
    session.query("SELECT pg_advisory_lock(hashtextextended('migrate:chat.seaql_migrations_chat', 0))");
    let busy = ["restore", archive.to_str().unwrap(), "--allow-data-loss", "--wait", "100ms"];
    assert_eq!(lab.migrate(&busy).code, 5);
    drop(session);
    // A history that this build does not know.
    lab.query("INSERT INTO chat.seaql_migrations_chat VALUES ('m20990101_000001_of_tomorrow', 1)");
    let newer = backed_up(&lab, "chat");
    let newer = run(&mut lab.command(&["restore", newer.to_str().unwrap(), "--allow-data-loss"])).exits(7);
    assert!(newer.stderr.contains("which this build does not know"), "{}", newer.shown());
    lab.migrate(&["restore"]).exits(2);
}

/// A restore that is under way sets something aside while the drop waits for its lock: nobody has named that.
#[test]
fn what_is_set_aside_later_is_not_dropped() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    let archive = backed_up(&lab, "chat");
    let restore = ["restore", archive.to_str().unwrap(), "--allow-data-loss"];
    lab.migrate(&restore).exits(0);
    let mut holder = lab.session();
    holder.query("BEGIN; LOCK TABLE chat.messages IN ACCESS SHARE MODE");
    let restoring = lab.start(&restore);
    let holds = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                 WHERE d.datname = current_database() AND l.locktype = 'advisory'";
    while lab.query(holds) == "0" {
        thread::yield_now();
    }
    let mut dropping = lab.start(&["restore", "--drop-old", "chat", "--allow-data-loss"]);
    dropping.says("waiting for the migration lock of `chat`");
    holder.query("ROLLBACK");
    restoring.finish().exits(0);
    let dropped = dropping.finish().exits(0);
    assert_eq!(dropped.stdout.matches("chat_before_restore_").count(), 1, "{}", dropped.shown());
    assert_eq!(lab.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%before_restore%'"), "1");
}
