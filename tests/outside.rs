//! What a service uses and is in no backup of it: it is found before, named, and needed where the backup is restored.

use serde_json::Value;

use crate::restore::digest;
use crate::support::{Lab, ROWS};

/// What is made of others, what of the service uses it, and how both are called.
const OUTSIDE: [(&str, &str, &str); 8] = [
    (
        "CREATE FUNCTION audit.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
        "CREATE TRIGGER audit AFTER INSERT ON chat.messages FOR EACH ROW EXECUTE FUNCTION audit.f()",
        "trigger `audit on chat.messages` uses function `audit.f()`",
    ),
    (
        "CREATE DOMAIN audit.word AS text",
        "ALTER TABLE chat.messages ADD COLUMN word audit.word",
        "table column `chat.messages.word` uses type `audit.word`",
    ),
    (
        "CREATE FUNCTION audit.ok(text) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true'",
        "ALTER TABLE chat.messages ADD CONSTRAINT is_ok CHECK (audit.ok(content))",
        "table constraint `is_ok on chat.messages` uses function `audit.ok(pg_catalog.text)`",
    ),
    (
        "CREATE FUNCTION audit.low(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1'",
        "CREATE INDEX by_low ON chat.messages (audit.low(content))",
        "index `chat.by_low` uses function `audit.low(pg_catalog.text)`",
    ),
    (
        "CREATE SEQUENCE audit.numbers",
        "ALTER TABLE chat.messages ALTER COLUMN id SET DEFAULT nextval('audit.numbers')",
        "default of `chat.messages.id` uses sequence `audit.numbers`",
    ),
    (
        "CREATE TABLE audit.kinds (id int PRIMARY KEY)",
        "ALTER TABLE chat.messages ADD COLUMN kind int CONSTRAINT of_kind REFERENCES audit.kinds (id)",
        "table constraint `of_kind on chat.messages` uses table `audit.kinds`",
    ),
    (
        "CREATE TABLE audit.kinds (id int)",
        "CREATE VIEW chat.kinds AS SELECT id FROM audit.kinds",
        "view `chat.kinds` uses table `audit.kinds`",
    ),
    (
        "CREATE FOREIGN DATA WRAPPER nothing; CREATE SERVER nowhere FOREIGN DATA WRAPPER nothing",
        "CREATE FOREIGN TABLE chat.far (id int) SERVER nowhere",
        "foreign table `chat.far` uses server `nowhere`",
    ),
];

/// `chat` with rows, which uses something of another schema.
fn using(of_others: &str, uses: &str) -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    lab.query("CREATE SCHEMA audit");
    lab.query(of_others);
    lab.query(uses);
    lab
}

#[test]
fn what_is_outside_of_a_backup_is_named_and_needed() {
    for (of_others, uses, says) in OUTSIDE {
        let lab = using(of_others, uses);
        let before = digest(&lab, "chat");
        let made = lab.migrate(&["backup", "chat"]).exits(0);
        let not_tried = format!("not restored on trial: {says}, which is not in the backup");
        assert!(made.stdout.contains(&not_tried), "{}", made.shown());
        let refused = lab.migrate(&["backup", "chat", "--verify"]).exits(7);
        assert!(refused.stderr.contains(says), "{}", refused.shown());
        let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
        let [made] = &listed["backups"].as_array().unwrap()[..] else { panic!("{listed}") };
        assert_eq!(made["verified"], false);
        let outside = &made["manifest"]["outside"].as_array().unwrap()[..];
        let words = |found: &Value| {
            let [by, kind, name] = ["used_by", "kind", "name"].map(|field| found[field].as_str().unwrap());
            format!("{by} uses {kind} `{name}`")
        };
        assert_eq!(outside.iter().map(words).collect::<Vec<_>>(), [says]);

        // Where it is, it is restored; elsewhere only if that is there too.
        let archive = made["archive"].as_str().unwrap();
        lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
        assert_eq!(digest(&lab, "chat"), before);
        let elsewhere = Lab::empty();
        let archive = lab.directory.path().join(archive);
        let restore = ["restore", archive.to_str().unwrap()];
        for options in [&["--dry-run"][..], &[]] {
            let refused = elsewhere.migrate(&[&restore, options].concat()).exits(7);
            let missing = format!("`chat` cannot be restored: {says}, which is not there");
            assert!(refused.stderr.contains(&missing), "{}", refused.shown());
        }
        elsewhere.query("CREATE SCHEMA audit");
        elsewhere.query(of_others);
        elsewhere.migrate(&restore).exits(0);
    }
}

#[test]
fn an_audit_trigger_keeps_no_service_from_its_way_to_head() {
    let (of_others, uses, says) = OUTSIDE[0];
    for arguments in [&["up", "chat", "--backup"][..], &["deploy", "chat"]] {
        let lab = using(of_others, uses);
        let ended = lab.migrate(arguments).exits(0);
        assert!(ended.shown().contains(says), "{}", ended.shown());
        lab.migrate(&["status", "chat", "--check"]).exits(0);
    }
}

#[test]
fn a_backup_of_all_of_a_schema_uses_nothing_outside() {
    let lab = Lab::migrated();
    let made = lab.migrate(&["backup", "--verify", "--json"]).exits(0).json();
    for backup in made["backups"].as_array().unwrap() {
        assert_eq!(backup["manifest"].get("outside"), None, "{backup}");
        assert_eq!(backup["verified"], true, "{backup}");
    }
}
