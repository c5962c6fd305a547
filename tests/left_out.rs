//! What a dump does not carry, an index that a killed build left above all, does not keep a service from being backed up or moved.

use serde_json::Value;

use crate::moving::Both;
use crate::restore::digest;
use crate::support::{Hanging, Lab, SESSIONS};

/// What is done to the chat service, and what of it is in no dump.
const LEFT_OUT: [(&str, Option<&str>); 9] = [
    (
        "CREATE INDEX left_behind ON chat.messages (content); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chat.left_behind'::regclass",
        Some("index `left_behind`, which is half built"),
    ),
    (
        "CREATE MATERIALIZED VIEW chat.seen AS SELECT id FROM chat.messages; CREATE INDEX seen_id ON chat.seen (id); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chat.seen_id'::regclass",
        Some("index `seen_id`, which is half built"),
    ),
    (
        "CREATE TABLE chat.parts (id int, at int) PARTITION BY RANGE (id); \
         CREATE TABLE chat.parts_1 PARTITION OF chat.parts FOR VALUES FROM (0) TO (10); \
         CREATE INDEX parts_at ON ONLY chat.parts (at); CREATE INDEX parts_1_at ON chat.parts_1 (at); \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chat.parts_1_at'::regclass; \
         ALTER INDEX chat.parts_at ATTACH PARTITION chat.parts_1_at",
        Some("index `parts_1_at`, which is half built"),
    ),
    (
        "CREATE UNIQUE INDEX by_id ON chat.messages (id); ALTER TABLE chat.messages REPLICA IDENTITY USING INDEX by_id; \
         DROP INDEX chat.by_id",
        Some("that the index is gone which was the replica identity of `messages`"),
    ),
    (
        "CREATE TABLE chat.notes (message bigint, CONSTRAINT of_message FOREIGN KEY (message) REFERENCES chat.messages (id)); \
         ALTER TABLE chat.notes DISABLE TRIGGER ALL",
        Some("that the triggers of constraint `notes.of_message` are disabled"),
    ),
    // All parts of it are there: it becomes valid.
    (
        "CREATE INDEX parts_id ON ONLY chat.parts (id); CREATE INDEX parts_1_id ON chat.parts_1 (id); \
         ALTER INDEX chat.parts_id ATTACH PARTITION chat.parts_1_id; \
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'chat.parts_id'::regclass",
        None,
    ),
    ("CREATE INDEX parts_both ON ONLY chat.parts (id, at)", None),
    ("ALTER TABLE chat.messages ADD CONSTRAINT is_short CHECK (length(content) < 3) NOT VALID", None),
    (
        "CREATE FUNCTION chat.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER touched BEFORE UPDATE ON chat.notes FOR EACH ROW EXECUTE FUNCTION chat.touch(); \
         ALTER TABLE chat.notes DISABLE TRIGGER touched",
        None,
    ),
];

/// A run that was killed while it built an index.
fn killed() -> Lab {
    let lab = Lab::empty();
    let mut hanging = Hanging::in_an_index_build(&lab);
    hanging.run.signal("KILL");
    hanging.watch.until(SESSIONS, "0");
    hanging.release();
    lab
}

#[test]
fn what_a_dump_does_not_carry_is_no_loss_of_the_backup_and_is_said() {
    let both = Both::new();
    let mut expected: Vec<&str> = LEFT_OUT.iter().filter_map(|(_, left_out)| *left_out).collect();
    for (fault, _) in LEFT_OUT {
        both.here.query(fault);
    }
    let made = both.here.migrate(&["backup", "chat", "--verify"]).exits(0);
    let for_people = "note  `chat`: 3 indexes are half built and are not in the backup, `left_behind`, `parts_1_at`, `seen_id`: \
                      `repair chat` says what mends it\n";
    assert!(made.stderr.contains(for_people), "{}", made.shown());
    assert!(made.stdout.contains(", restored on trial"), "{}", made.shown());
    let made = both.here.migrate(&["backup", "chat", "--verify", "--json"]).exits(0).json();
    assert_eq!(made["backups"][0]["verified"], true, "{made}");
    let left_out = made["backups"][0]["manifest"]["left_out"].as_array().unwrap();
    let mut left_out: Vec<&str> = left_out.iter().filter_map(Value::as_str).collect();
    left_out.sort_unstable();
    expected.sort_unstable();
    assert_eq!(left_out, expected);

    let before = digest(&both.here, "chat");
    let looked = both.moves(&[]).exits(0);
    for what in expected {
        assert!(looked.stderr.contains(&format!("what does not go along: {what}\n")), "{}", looked.shown());
    }
    both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
}

#[test]
fn after_a_build_that_was_killed_the_ways_to_head_are_open() {
    let lab = killed();
    let made = lab.migrate(&["backup", "chat"]).exits(0);
    let says = "note  `chat`: 1 index is half built and is not in the backup, `idx_messages_source`: `up chat` finishes what was \
                begun\n";
    assert!(made.stderr.contains(says), "{}", made.shown());
    let up = lab.migrate(&["up", "chat", "--backup"]).exits(0);
    assert!(up.stderr.contains(says), "{}", up.shown());
    lab.migrate(&["status", "chat", "--check"]).exits(0);
    // What was restored continues where the backup was made.
    let listed = lab.migrate(&["backups", "chat", "--json"]).exits(0).json();
    let archive = listed["backups"].as_array().unwrap().last().unwrap()["archive"].as_str().unwrap();
    lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
    lab.migrate(&["status", "chat", "--check"]).exits(6);
    lab.migrate(&["up", "chat"]).exits(0);
    lab.migrate(&["status", "chat", "--check"]).exits(0);

    let lab = killed();
    lab.migrate(&["deploy", "chat"]).exits(0);
    lab.migrate(&["status", "chat", "--check"]).exits(0);
}

/// Also where it is a partition, so that its rows are found among those of the service's table.
#[test]
fn rows_of_foreign_tables_are_in_no_backup() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.query(
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; \
         CREATE TABLE chat.parts (id int) PARTITION BY RANGE (id); CREATE FOREIGN TABLE chat.parts_1 \
         PARTITION OF chat.parts FOR VALUES FROM (0) TO (10) SERVER files OPTIONS (filename '/dev/null')",
    );
    let left_out = "the rows of foreign table `parts_1`, which are elsewhere";
    let made = lab.migrate(&["backup", "chat"]).exits(0);
    assert!(made.stderr.contains(&format!("the backup does not know {left_out}\n")), "{}", made.shown());
    let made = lab.migrate(&["backup", "chat", "--json"]).exits(0).json();
    assert_eq!(made["backups"][0]["manifest"]["left_out"][0], left_out, "{made}");
    let archive = made["backups"][0]["archive"].as_str().unwrap();
    lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
}
