//! `MIGRATE_BACKUP_COMMAND`: another tool makes the backup, and what is known of it here is in a manifest for each service.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use postgres_sandbox::Cluster;
use serde_json::{Value, json};

use crate::support::{Lab, ROWS, Ran, Running, run};

/// A service with rows and without its later migrations, and another one with nothing in it.
fn lab() -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "rag", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    lab
}

fn with(lab: &Lab, command: &str, arguments: &[&str]) -> Ran {
    run(lab.command(arguments).env("MIGRATE_BACKUP_COMMAND", command))
}

fn names(lab: &Lab) -> Vec<String> {
    let entries = fs::read_dir(lab.directory.path().join("backups")).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

fn read(lab: &Lab, name: &str) -> String {
    fs::read_to_string(lab.directory.path().join(name)).unwrap()
}

#[test]
fn one_run_of_the_command_is_the_backup_of_all_services() {
    let lab = lab();
    let command = r#"MIGRATE_BACKUP_COMMAND='echo "$MIGRATE_BACKUP_NAME: $MIGRATE_BACKUP_SERVICES" >> runs; env >> env; echo told'"#;
    fs::write(lab.directory.path().join(".env"), format!("{command}\n")).unwrap();
    let owner = lab.role("SUPERUSER");
    let mut backup = lab.command(&["backup", "--json"]);
    backup.env("DATABASE_URL", lab.url_of(&format!("{owner}:s3cr3t")));
    backup.env("OTHER_DATABASE_URL", "postgres://a:s3cr3t@b/c").env("PGPASSWORD", "s3cr3t");
    let made = run(&mut backup).exits(0).json();
    let runs = read(&lab, "runs");
    let (name, services) = runs.trim_end().split_once(": ").unwrap();
    assert!(name.starts_with("migrate-2") && services.split(' ').eq(["chat", "rag"]), "{runs}");
    assert!(!read(&lab, "env").contains("s3cr3t") && !read(&lab, "env").contains("DATABASE_URL"));
    assert_eq!(made["empty"].as_array().unwrap().len(), 3, "{made}");

    let manifest = &made["backups"][0]["manifest"];
    assert_eq!((&made["backups"][0]["state"], &manifest["kind"]), (&"external".into(), &"external".into()));
    assert_eq!(manifest["newest"], "m20251016_000001_create_messages", "{manifest}");
    assert_eq!(manifest["migrations"].as_array().unwrap().len(), 1);
    assert_eq!((&manifest["external"]["name"], &manifest["pg_dump"]), (&name.into(), &Value::Null));
    assert!(manifest["external"]["wal_position"].as_str().unwrap().contains('/'), "{manifest}");
    let messages = manifest["tables"].as_array().unwrap().iter().find(|table| table["name"] == "messages");
    assert_eq!(messages.unwrap()["rows"].to_string(), lab.query("SELECT count(*) FROM chat.messages"));
    let stem = manifest["archive"].as_str().unwrap().strip_suffix(".json").unwrap();
    assert_eq!(names(&lab), [format!("{stem}.json"), format!("{stem}.json").replace("chat", "rag")]);

    // It is listed, and only its tool restores it.
    let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
    assert_eq!(listed["backups"], made["backups"], "{listed}");
    let shown = lab.migrate(&["backups", "chat"]).exits(0);
    assert!(shown.stdout.contains("external: only its tool knows whether it is whole"), "{}", shown.shown());
    for file in [format!("backups/{stem}.json"), format!("backups/{stem}.dump")] {
        let refused = lab.migrate(&["restore", &file, "--allow-data-loss"]).exits(7);
        assert!(refused.stderr.contains(&format!("it names the backup `{name}`")), "{}", refused.shown());
        assert!(refused.stderr.contains("docs/physical-backups.md"), "{}", refused.shown());
    }

    // It may hold what is nobody's business.
    let doctor = lab.migrate(&["doctor", "--json"]);
    assert!(doctor.stdout.contains("MIGRATE_BACKUP_COMMAND"), "{}", doctor.shown());
    assert!(!doctor.shown().contains("MIGRATE_BACKUP_SERVICES"), "{}", doctor.shown());

    // An option of archives is not ignored, and an archive can be made all the same.
    for option in [&["--verify"][..], &["--no-verify"], &["--jobs", "2"], &["--to-command", "cat"]] {
        let refused = lab.migrate(&[&["backup", "chat"], option].concat()).exits(2);
        assert!(refused.stderr.contains(&format!("`{}` is for archives", option[0])), "{}", refused.shown());
    }
    let archive = ["backup", "chat", "--archive", "--no-verify", "--json"];
    let dumped = lab.migrate(&archive).exits(0).json();
    assert_eq!(dumped["backups"][0]["manifest"]["kind"], "archive", "{dumped}");
    assert_eq!(read(&lab, "runs"), runs);

    // Of the old one the manifest goes, and one that was edited is found.
    let kept = lab.migrate(&["backup", "chat", "--keep", "2", "--json"]).exits(0).json();
    let removed = kept["removed"].as_array().unwrap();
    assert!(removed.len() == 1 && removed[0].as_str().unwrap().ends_with(&format!("{stem}.json")), "{kept}");
    let newest = Path::new(kept["backups"][0]["archive"].as_str().unwrap());
    let text = fs::read_to_string(newest).unwrap();
    for (from, to) in
        [("\"external\"", "\"archive\""), ("m20251016", "m20251015"), ("migrate-2", "migrate-1")]
    {
        fs::write(newest, text.replace(from, to)).unwrap();
        let listed = lab.migrate(&["backups", "chat", "--json"]).exits(4).json();
        assert!(listed["backups"].as_array().unwrap().iter().any(|found| found["state"] == "damaged"));
    }
    fs::rename(newest, newest.with_file_name("chat-1.json")).unwrap();
    fs::write(newest.with_file_name("chat-1.json"), text).unwrap();
    let listed = lab.migrate(&["backups", "chat", "--json"]).exits(4).json();
    assert!(listed.to_string().contains("its manifest has another name"), "{listed}");
}

#[test]
fn a_command_that_fails_is_no_backup() {
    let lab = lab();
    for (command, says) in [
        ("for i in 1 2 3 4 5; do echo line $i >&2; done; exit 3", "line 2; line 3; line 4; line 5"),
        ("kill -9 $$", "it was ended by signal 9"),
        ("exit 3", "it ended with exit status: 3"),
    ] {
        for arguments in [&["backup", "chat"][..], &["up", "chat", "--backup"]] {
            let ran = with(&lab, command, arguments).exits(1);
            assert!(ran.stderr.contains("the command did not make `migrate-2"), "{}", ran.shown());
            assert!(ran.stderr.contains(says), "{}", ran.shown());
            assert!(names(&lab).is_empty());
        }
    }
    assert_eq!(lab.query("SELECT count(*) FROM chat.seaql_migrations_chat"), "1");

    // It is ended with what it has started.
    let fifo = lab.directory.path().join("started");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut command = lab.command(&["backup", "chat"]);
    command.env("MIGRATE_BACKUP_COMMAND", "sh -c 'echo $$ > started; exec sleep 600'; true");
    let running = Running::start(command);
    let pid = fs::read_to_string(&fifo).unwrap();
    let made = names(&lab);
    assert!(made.len() == 1 && made[0].ends_with(".json.part"), "{made:?}");
    let listed = lab.migrate(&["backups", "--json"]).exits(4).json();
    assert_eq!(listed["backups"][0]["problem"], "it is being made");
    running.signal("INT");
    running.finish().exits(130);
    assert!(names(&lab).is_empty());
    // It may not have been on a processor since it was killed.
    let state = || fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !state().is_empty() && !state().contains(") Z ") {
        assert!(Instant::now() < deadline, "{}", state());
        thread::sleep(Duration::from_millis(10));
    }

    // With one that does what it should, the run follows.
    let up = with(&lab, "true", &["up", "chat@+1", "--backup"]).exits(0);
    assert!(up.stdout.contains("of the command: only its tool knows whether it is whole"), "{}", up.shown());
    assert_eq!(names(&lab).len(), 1, "{:?}", names(&lab));
}

#[test]
fn a_history_that_changes_meanwhile_is_noticed() {
    let lab = lab();
    let up = lab.command(&["up", "chat", "--quiet"]);
    let up: Vec<String> = std::iter::once(up.get_program())
        .chain(up.get_args())
        .map(|word| format!("'{}'", word.display()))
        .collect();
    let command = format!("DATABASE_URL='{}' {}", lab.database.url(), up.join(" "));
    let refused = with(&lab, &command, &["backup", "chat", "rag"]).exits(7);
    let says = "`chat`: migrations were applied or reverted while the command made `migrate-2";
    assert!(refused.stderr.contains(says), "{}", refused.shown());
    assert!(names(&lab).is_empty());
    // Of a service that has nothing there is no backup, and no command runs.
    let empty = with(&lab, "exit 1", &["backup", "bookreader"]).exits(0);
    assert!(empty.stderr.contains("`bookreader` has nothing to back up yet"), "{}", empty.shown());
}

#[test]
fn a_deployment_has_it_made_and_does_not_promise_to_restore_it() {
    let lab = lab();
    let stop = ["deploy", "chat", "--stop-command", "echo stop >> calls"];
    for more in [&[][..], &["--dry-run"]] {
        let restoring = [&stop[..], &["--on-failure", "restore"], more].concat();
        let refused = with(&lab, "echo made >> calls", &restoring).exits(2);
        assert!(refused.stderr.contains("`--on-failure restore` cannot restore"), "{}", refused.shown());
    }
    assert_eq!(fs::read_dir(lab.directory.path()).unwrap().count(), 0);
    let done = with(&lab, "echo made >> calls", &[&stop[..], &["--json"]].concat()).exits(0).json();
    assert_eq!(read(&lab, "calls"), "stop\nmade\n");
    let manifest: Value = serde_json::from_str(&read(&lab, done["archives"][0].as_str().unwrap())).unwrap();
    assert_eq!((&manifest["kind"], &manifest["service"]), (&json!("external"), &json!("chat")));
    // What was in it before is what it says.
    assert_eq!(manifest["migrations"].as_array().unwrap().len(), 1, "{manifest}");
}

#[test]
fn a_standby_is_backed_up_too() {
    let primary = Cluster::temporary().unwrap();
    let lab = Lab::with(primary.create_database().unwrap());
    lab.migrate(&["up", "rag", "--quiet"]).exits(0);
    let standby = Cluster::builder().standby_of(&primary).start().unwrap();
    let mut command = lab.command(&["backup", "rag", "--json"]);
    command.env("DATABASE_URL", standby.url(lab.database.name())).env("MIGRATE_BACKUP_COMMAND", "true");
    let made = run(&mut command).exits(0).json();
    let external = &made["backups"][0]["manifest"]["external"];
    assert_eq!(external["wal_position"], Value::Null, "{made}");
}
