//! Tables of other schemas that hang on a service's tables: partitions, whose rows are the service's, and tables that inherit, whose
//! rows are not.

use crate::moving::Both;
use crate::restore::digest;
use crate::support::{Lab, ROWS, Ran, run};

/// A table in two partitions, one of them in another schema.
const PARTITIONED: &str = "CREATE SCHEMA archive; CREATE TABLE chat.parts (id int) PARTITION BY RANGE (id); \
    CREATE TABLE chat.parts_1 PARTITION OF chat.parts FOR VALUES FROM (0) TO (10); \
    CREATE TABLE archive.parts_2 PARTITION OF chat.parts FOR VALUES FROM (10) TO (100); \
    INSERT INTO chat.parts SELECT generate_series(0, 19)";

/// A table of others that inherits from one of the service, with a row of its own.
const INHERITING: &str = "CREATE SCHEMA archive; CREATE TABLE archive.messages_2024 () INHERITS (chat.messages); \
    INSERT INTO archive.messages_2024 SELECT * FROM chat.messages LIMIT 1";

const IN_ANOTHER: &str = "partition `archive.parts_2` of `chat.parts` is in another schema, so that its rows are not in the backup";

const PUTS_IT: &str = "`ALTER TABLE archive.parts_2 SET SCHEMA chat;` puts it beside its table";

/// The chat service with rows, and migrations that are pending.
fn lab(sql: &str) -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    lab.query(sql);
    lab
}

/// With leave to change this.
fn allowed(lab: &Lab, table: &str, arguments: &[&str]) -> Ran {
    run(lab.command(arguments).env("MIGRATE_ALLOWED_OBJECTS", table))
}

fn backups(lab: &Lab) -> usize {
    let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
    listed["backups"].as_array().unwrap().len()
}

#[test]
fn a_partition_in_another_schema_is_in_no_backup_and_so_there_is_none() {
    let lab = lab(PARTITIONED);
    let before = (digest(&lab, "chat"), digest(&lab, "archive"));
    for arguments in [
        &["backup", "chat"][..],
        &["backup", "chat", "--no-verify"],
        &["backup", "chat", "--jobs", "2"],
        &["backup", "chat", "--to-command", "cat > /dev/null"],
        &["up", "chat", "--backup"],
        &["deploy", "chat", "--dry-run"],
        &["deploy", "chat", "--stop-command", "touch stopped"],
    ] {
        // What migrations may change is in no backup all the same.
        let refused = allowed(&lab, "archive.parts_2", arguments).exits(7);
        assert!(refused.stderr.contains(IN_ANOTHER), "{}", refused.shown());
        assert!(refused.stderr.contains(PUTS_IT), "{}", refused.shown());
    }
    assert!(!lab.directory.path().join("stopped").exists());
    assert_eq!(backups(&lab), 0);
    for (arguments, says) in [
        (&["reset", "chat", "--allow-data-loss"][..], "table archive.parts_2"),
        (&["move", "chat", "--to", "RAG_DATABASE_URL"], "`archive.parts_2`"),
    ] {
        let other = Lab::empty();
        let mut command = lab.command(arguments);
        let refused = run(command.env("RAG_DATABASE_URL", other.database.url())).exits(7);
        assert!(refused.stderr.contains(says), "{}", refused.shown());
    }
    assert_eq!((digest(&lab, "chat"), digest(&lab, "archive")), before);

    // Where the statement was run, it is whole.
    lab.query("ALTER TABLE archive.parts_2 SET SCHEMA chat");
    let before = digest(&lab, "chat");
    let made = lab.migrate(&["backup", "chat", "--verify", "--json"]).exits(0).json();
    let archive = made["backups"][0]["archive"].as_str().unwrap();
    let rows: i64 = made["backups"][0]["manifest"]["tables"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|table| table["name"].as_str().unwrap().starts_with("parts"))
        .map(|table| table["rows"].as_i64().unwrap())
        .sum();
    assert_eq!(rows.to_string(), lab.query("SELECT count(*) FROM chat.parts"));
    lab.query("DELETE FROM chat.parts WHERE id % 2 = 0");
    lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
    assert_eq!(digest(&lab, "chat"), before);
    // A partition that left since then keeps what is replaced from being set aside.
    lab.query("ALTER TABLE chat.parts_2 SET SCHEMA archive");
    let refused = lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(7);
    assert!(refused.stderr.contains("`archive.parts_2`"), "{}", refused.shown());
}

#[test]
fn rows_of_a_table_of_others_that_inherits_are_not_the_services() {
    let lab = lab(INHERITING);
    let rows = lab.query("SELECT count(*) FROM ONLY chat.messages");
    for how in ["--verify", "--no-verify"] {
        let made = lab.migrate(&["backup", "chat", how, "--json"]).exits(0).json();
        let manifest = &made["backups"][0]["manifest"];
        let tables = manifest["tables"].as_array().unwrap();
        let messages = tables.iter().find(|table| table["name"] == "messages").unwrap();
        assert_eq!(messages["rows"].to_string(), rows);
        let elsewhere = Lab::empty();
        let archive = lab.directory.path().join(made["backups"][0]["archive"].as_str().unwrap());
        elsewhere.migrate(&["restore", archive.to_str().unwrap()]).exits(0);
        assert_eq!(elsewhere.query("SELECT count(*) FROM chat.messages"), rows);
    }
    // Here it would go on inheriting from what is set aside.
    let listed = lab.migrate(&["backups", "--json"]).exits(0).json();
    let archive = listed["backups"][0]["archive"].as_str().unwrap();
    let refused = lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(7);
    assert!(refused.stderr.contains("table `archive.messages_2024`"), "{}", refused.shown());
    let refused = lab.migrate(&["reset", "chat", "--allow-data-loss"]).exits(7);
    assert!(refused.stderr.contains("table archive.messages_2024"), "{}", refused.shown());
}

/// What is set aside would stay in the table of others, beside what takes its place.
#[test]
fn what_is_in_a_table_of_others_is_not_replaced() {
    let cases = [
        (
            "CREATE TABLE archive.all (LIKE chat.messages) PARTITION BY LIST (source); \
             ALTER TABLE archive.all ATTACH PARTITION chat.messages DEFAULT",
            "its table `chat.messages` is a partition of `archive.all`",
            "ALTER TABLE archive.\"all\" DETACH PARTITION chat.messages",
        ),
        (
            "CREATE TABLE archive.all (id int NOT NULL); ALTER TABLE chat.messages INHERIT archive.all",
            "its table `chat.messages` inherits from `archive.all`",
            "ALTER TABLE chat.messages NO INHERIT archive.\"all\"",
        ),
    ];
    for (attaches, says, parts) in cases {
        let lab = Lab::inherited();
        lab.query(&format!("CREATE SCHEMA archive; {attaches}"));
        let before = (digest(&lab, "chat"), lab.query("SELECT count(*) FROM archive.all"));
        let made = lab.migrate(&["backup", "chat", "--json"]).exits(0).json();
        let archive = made["backups"][0]["archive"].as_str().unwrap();
        for arguments in [
            &["restore", archive, "--dry-run"][..],
            &["restore", archive],
            &["restore", archive, "--allow-data-loss"],
        ] {
            let refused = lab.migrate(arguments).exits(7);
            assert!(refused.stderr.contains(says), "{}", refused.shown());
            assert!(refused.stderr.contains(&format!("`{parts};` parts them")), "{}", refused.shown());
        }
        let refused = lab.migrate(&["reset", "chat", "--allow-data-loss"]).exits(7);
        assert!(refused.stderr.contains("`table archive.all` uses what is its own"), "{}", refused.shown());
        assert_eq!((digest(&lab, "chat"), lab.query("SELECT count(*) FROM archive.all")), before);
        // It is attached again, and what was set aside is not.
        lab.query(parts);
        lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
        assert_eq!((digest(&lab, "chat"), lab.query("SELECT count(*) FROM archive.all")), before);
    }
}

/// Within the service, each row is counted where it is.
#[test]
fn a_table_that_inherits_within_the_service_comes_back_and_moves() {
    let both = Both::new();
    both.here.query(
        "CREATE TABLE chat.messages_2024 () INHERITS (chat.messages); \
         INSERT INTO chat.messages_2024 SELECT * FROM ONLY chat.messages LIMIT 1; \
         CREATE TABLE chat.parts (id int) PARTITION BY RANGE (id); \
         CREATE TABLE chat.parts_1 PARTITION OF chat.parts FOR VALUES FROM (0) TO (10); INSERT INTO chat.parts VALUES (1)",
    );
    let before = digest(&both.here, "chat");
    let made = both.here.migrate(&["backup", "chat", "--verify", "--json"]).exits(0).json();
    both.here
        .migrate(&["restore", made["backups"][0]["archive"].as_str().unwrap(), "--allow-data-loss"])
        .exits(0);
    assert_eq!(digest(&both.here, "chat"), before);
    both.here.migrate(&["restore", "--drop-old", "chat", "--allow-data-loss"]).exits(0);
    both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
}

#[test]
fn tables_of_others_that_are_attached_are_not_changed_unasked() {
    for (sql, table, says, remedy) in [
        (
            INHERITING,
            "archive.messages_2024",
            "table `archive.messages_2024` of role `postgres` inherits from `chat.messages`",
            "ALTER TABLE archive.messages_2024 NO INHERIT chat.messages",
        ),
        (
            PARTITIONED,
            "archive.parts_2",
            "table `archive.parts_2` of role `postgres` is a partition of `chat.parts`",
            "ALTER TABLE archive.parts_2 SET SCHEMA chat",
        ),
        (
            "CREATE TABLE rag.kept () INHERITS (chat.messages)",
            "rag.kept",
            "table `rag.kept` of service `rag` inherits from `chat.messages`",
            "ALTER TABLE rag.kept NO INHERIT chat.messages",
        ),
    ] {
        let lab = Lab::empty();
        lab.migrate(&["up", "chat@+1", "rag", "--quiet"]).exits(0);
        lab.query(ROWS[0].1);
        lab.query(sql);
        let columns = format!(
            "SELECT string_agg(attname, ' ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = '{table}'::regclass AND attnum > 0"
        );
        let before = (digest(&lab, "chat"), lab.query(&columns));
        for arguments in [
            &["up", "chat"][..],
            &["up", "--contract", "--ignore-soak"],
            &["down", "chat@base", "--allow-data-loss"],
            &["deploy", "chat", "--dry-run"],
            &["plan", "chat"],
            &["plan", "chat@base", "--down"],
            &["sql", "chat"],
            &["doctor"],
        ] {
            let refused = lab.migrate(arguments).exits(7);
            let shown = refused.shown();
            assert!(shown.contains(says) && shown.contains(remedy), "{shown}");
            assert!(shown.contains("`MIGRATE_ALLOWED_OBJECTS`"), "{shown}");
        }
        assert_eq!((digest(&lab, "chat"), lab.query(&columns)), before);
        // Those of others are not concerned, and where nothing is to be done nothing is refused.
        lab.migrate(&["up", "rag"]).exits(0);
        allowed(&lab, table, &["up", "chat"]).exits(0);
        lab.migrate(&["up", "chat"]).exits(0);
    }
}

/// What is the service's own, and what only one session sees, is no obstacle.
#[test]
fn what_is_attached_within_the_service_is_its_own() {
    let lab = lab(
        "CREATE TABLE chat.messages_2024 () INHERITS (chat.messages); CREATE TABLE chat.parts (id int) PARTITION BY RANGE (id); \
         CREATE TABLE chat.parts_1 PARTITION OF chat.parts FOR VALUES FROM (0) TO (10)",
    );
    let mut session = lab.session();
    session.query("CREATE TEMPORARY TABLE mine () INHERITS (chat.messages)");
    lab.migrate(&["plan", "chat"]).exits(0);
    session.query("DROP TABLE mine");
    lab.migrate(&["up", "chat"]).exits(0);
}
