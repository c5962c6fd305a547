//! `backup --to-command`, `restore --from-command`: what a command keeps comes back, or it is said that it did not keep it.

use std::fs;
use std::sync::Arc;

use postgres_sandbox::{Cluster, Observer, Passing, Relay, Verdict};

use crate::restore::digest;
use crate::support::{Lab, ROWS, run};

const KEEP: &str = r#"cat > "store/$MIGRATE_BACKUP_NAME""#;
const GIVE: &str = r#"cat "store/$MIGRATE_BACKUP_NAME""#;

fn lab() -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    fs::create_dir(lab.directory.path().join("store")).unwrap();
    lab
}

fn names(lab: &Lab, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(lab.directory.path().join(directory)).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_command_keeps_a_backup_and_another_gives_it_back() {
    let lab = lab();
    let before = digest(&lab, "chat");
    let made = lab.migrate(&["backup", "chat", "--to-command", KEEP, "--json"]).exits(0).json();
    let backup = &made["backups"][0];
    let archive = backup["archive"].as_str().unwrap();
    let manifest = archive.replace(".dump", ".json");
    assert_eq!(names(&lab, "store"), [archive, &manifest]);
    assert_eq!((&made["directory"], &backup["verified"]), (&"".into(), &false.into()), "{made}");
    assert_eq!(backup["manifest"]["verification"]["skipped"], "a command keeps it");
    assert!(!lab.directory.path().join("backups").exists());

    // It is a backup as any other.
    let listed = lab.migrate(&["backups", "--directory", "store", "--json"]).exits(0).json();
    assert_eq!(listed["backups"][0]["state"], "whole", "{listed}");
    lab.query("DELETE FROM chat.messages");
    let restore = ["restore", archive, "--from-command", GIVE];
    lab.migrate(&[&restore[..], &["--dry-run"]].concat()).exits(0);
    lab.migrate(&[&restore[..], &["--allow-data-loss"]].concat()).exits(0);
    assert_eq!(digest(&lab, "chat"), before);
    assert!(names(&lab, "backups").is_empty());

    // What it gives is not taken for what it kept.
    let cut = r#"head -c 1000 "store/$MIGRATE_BACKUP_NAME""#;
    let refused = lab.migrate(&["restore", archive, "--from-command", cut, "--allow-data-loss"]).exits(4);
    assert!(refused.stderr.contains("cannot be restored: its "), "{}", refused.shown());
    let gone = lab.migrate(&["restore", "chat-1.dump", "--from-command", GIVE]).exits(1);
    assert!(gone.stderr.contains("the command did not give `chat-1.json`: cat: "), "{}", gone.shown());
    assert!(names(&lab, "backups").is_empty());
    lab.migrate(&["restore", "store/chat-1.dump", "--from-command", GIVE]).exits(2);
    for option in [&["--verify"][..], &["--jobs", "2"], &["--keep", "1"], &["--to", "store"]] {
        lab.migrate(&[&["backup", "chat", "--to-command", KEEP], option].concat()).exits(2);
    }
}

/// Cuts the connection on which a table is read.
struct Cut;

impl Observer for Cut {
    fn passes(&self, _session: usize, passing: Passing<'_>) -> Verdict {
        match passing {
            Passing::Statement(text) if text.contains("COPY chat.messages") => Verdict::Cut,
            _ => Verdict::Pass,
        }
    }

    fn cuts(&self) {}
}

#[test]
fn what_a_command_did_not_keep_is_no_backup() {
    let lab = lab();
    for (command, says) in [
        ("echo no room >&2; exit 3", "did not keep `chat-"),
        ("echo no room >&2; exit 3", "no room"),
        ("cat > /dev/full", "No space left on device"),
        (
            r#"case "$MIGRATE_BACKUP_NAME" in *.json) exit 3;; esac; cat > store/only.dump"#,
            ".json`: it ended with",
        ),
    ] {
        let ran = lab.migrate(&["backup", "chat", "--to-command", command]).exits(1);
        assert!(
            ran.stderr.contains("the command did not keep") && ran.stderr.contains(says),
            "{}",
            ran.shown()
        );
        assert_eq!(ran.stdout, "");
    }
    // Where the dump is cut off, the command does not get to its end.
    let relay = Relay::before(Cluster::shared(), Arc::new(Cut)).unwrap();
    let mut command = lab.command(&["backup", "chat", "--to-command", "cat > store/cut; touch store/done"]);
    run(command.env("DATABASE_URL", relay.url(lab.database.name()))).exits(1);
    assert_eq!(names(&lab, "store"), ["cut", "only.dump"]);
}

#[test]
fn the_command_gets_no_secret() {
    let lab = lab();
    let owner = lab.role("SUPERUSER");
    let mut command = lab.command(&["backup", "chat", "--to-command", "env >> store/env; cat > /dev/null"]);
    command.env("DATABASE_URL", lab.url_of(&format!("{owner}:s3cr3t")));
    command
        .env("OTHER_DATABASE_URL", "postgres://a:s3cr3t@b/c")
        .env("PGPASSWORD", "s3cr3t")
        .env("PLAIN", "1");
    let ran = run(&mut command).exits(0);
    assert!(!ran.shown().contains("s3cr3t"), "{}", ran.shown());
    let got = fs::read_to_string(lab.directory.path().join("store/env")).unwrap();
    assert!(got.contains("PLAIN=1") && got.contains("MIGRATE_BACKUP_NAME=chat-"), "{got}");
    assert!(!got.contains("s3cr3t") && !got.contains("DATABASE_URL"), "{got}");
}
