//! Alembic's table as projects have it: under another name, in another schema, with a row per branch, and left as it was.

use super::{CHAT, CHAT_SOURCE, lab, migrate};
use crate::support::Lab;

const CREATED: &str = "e65a515f830d";
const SOURCED: &str = "a1b2c3d4e5f6";

/// A database at chat's second revision, with a table of this name that holds these rows.
fn with_table(table: &str, revisions: &[&str]) -> Lab {
    let lab = lab(("chat", &[CHAT, CHAT_SOURCE], &[]));
    add_table(&lab, table, revisions);
    lab
}

fn add_table(lab: &Lab, table: &str, revisions: &[&str]) {
    if let Some((schema, _)) = table.split_once('.') {
        lab.query(&format!("CREATE SCHEMA {schema}"));
    }
    lab.query(&format!("CREATE TABLE {table} (version_num varchar(32) NOT NULL PRIMARY KEY)"));
    for revision in revisions {
        lab.query(&format!("INSERT INTO {table} VALUES ('{revision}')"));
    }
}

/// The rows, the table, and how it is named.
type Table<'t> = (&'t [&'t str], &'t str, &'t [&'t str]);

#[test]
fn the_table_is_read_wherever_it_is_and_left_as_it_was() {
    let tables: [Table; 6] = [
        // The newest revision counts for those before it.
        (&[SOURCED], "alembic_version", &[]),
        // Branches that were not merged, and a dependency that has a row of its own.
        (&[CREATED, SOURCED], "alembic_version", &[]),
        // As a role's `search_path` led it.
        (&[SOURCED], "app.alembic_version", &[]),
        // `version_table`, and `version_table_schema`.
        (&[SOURCED], "chat_revisions", &["--version-table", "chat_revisions"]),
        (&[SOURCED], "app.chat_revisions", &["--version-table", "app.chat_revisions"]),
        (&[SOURCED, "ffffffffffff"], "alembic_version", &["--ignore-revision", "ffffffffffff"]),
    ];
    for (revisions, table, named) in tables {
        let lab = with_table(table, revisions);
        let arguments = [&["adopt", "chat", "--from", "alembic", "--json"][..], named].concat();
        let adopted = migrate(&lab, "chat", &arguments).exits(0).json();
        assert_eq!(adopted["services"][0]["migrations"].as_array().unwrap().len(), 2, "{table}: {adopted}");
        assert_eq!(adopted["services"][0]["recorded"], true, "{table}: {adopted}");
        let left = lab.query(&format!("SELECT string_agg(version_num, ' ') FROM {table}"));
        assert_eq!(left, revisions.join(" "), "{table}");
        migrate(&lab, "chat", &["up", "chat"]).exits(0);
    }
}

#[test]
fn of_two_tables_one_is_named() {
    let lab = with_table("alembic_version", &[SOURCED]);
    add_table(&lab, "app.alembic_version", &[CREATED]);
    let adopt = ["adopt", "chat", "--from", "alembic"];
    let refused = migrate(&lab, "chat", &adopt).exits(2).stderr;
    assert!(refused.contains("two tables speak of `chat`: "), "{refused}");
    assert!(refused.contains("hint say which with `--version-table SCHEMA.TABLE`"), "{refused}");
    assert_eq!(lab.query("SELECT to_regclass('seaql_migrations_chat')"), "");
    migrate(&lab, "chat", &[&adopt[..], &["--version-table", "public.alembic_version"]].concat()).exits(0);
    assert_eq!(lab.query("SELECT count(*) FROM seaql_migrations_chat"), "2");
}

/// The table holds a revision that the service replaces, and nothing is recorded yet: that is no empty service.
#[test]
fn nothing_is_applied_over_revisions_that_were_not_adopted() {
    let lab = with_table("alembic_version", &[SOURCED]);
    let refused = lab.migrate(&["up", "chat"]).exits(7).stderr;
    assert!(refused.contains("`public.alembic_version` with rows"), "{refused}");
    let refused = migrate(&lab, "chat", &["up", "chat"]);
    assert_ne!(refused.code, 0, "{}", refused.shown());
    assert_eq!(lab.query("SELECT to_regclass('seaql_migrations_chat'), to_regnamespace('chat')"), "|");
}
