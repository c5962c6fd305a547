//! `reset`: what one service owns is gone, and nothing else is.

use crate::adopted::{ASSESSMENTS, CHAT, migrate};
use crate::moving::Both;
use crate::restore::digest;
use crate::support::Lab;

/// Everything in the database that is no bookkeeping of the demo service, as one text.
const OTHERS: &str = "SELECT string_agg(format('%s %s', n.nspname, c.relname), ', ' ORDER BY 1) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('demo', 'pg_toast') AND n.nspname !~ '^pg_'";

/// What is left in the schema of the demo service.
const LEFT: &str = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c \
     WHERE relnamespace = 'demo'::regnamespace AND relkind NOT IN ('i', 'S')";

#[test]
fn what_a_service_owns_is_dropped_and_nothing_else() {
    let lab = Lab::empty_demo();
    lab.migrate(&["reset", "demo"]).exits(0);
    lab.migrate(&["up", "demo@+1", "--quiet"]).exits(0);
    lab.query("INSERT INTO demo.note SELECT n, 'text' FROM generate_series(1, 4002) AS n");
    lab.migrate(&["up", "demo", "--quiet"]).exits(0);
    // The tables of another service, and its bookkeeping.
    lab.query("CREATE SCHEMA rag; CREATE TABLE rag.user_knowledge (id int); CREATE TABLE rag.seaql_migrations_rag (version varchar)");
    lab.query(
        "CREATE TYPE demo.mood AS ENUM ('good'); CREATE VIEW demo.seen AS SELECT id FROM demo.note; \
         CREATE FUNCTION demo.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER touched BEFORE UPDATE ON demo.note FOR EACH ROW EXECUTE FUNCTION demo.touch(); \
         CREATE TABLE public.of_others (id int)",
    );
    let others = lab.query(OTHERS);
    // What others use is named, and nothing is dropped.
    for (made, says, undone) in [
        (
            "CREATE VIEW of_them AS SELECT id FROM demo.seen",
            "`view public.of_them` uses",
            "DROP VIEW of_them",
        ),
        (
            "ALTER TABLE of_others ADD COLUMN note bigint CONSTRAINT cites REFERENCES demo.note",
            "`constraint cites on table public.of_others` uses",
            "ALTER TABLE of_others DROP COLUMN note",
        ),
        (
            "ALTER TABLE of_others ADD COLUMN mood demo.mood[]",
            "`column mood of table public.of_others` uses",
            "ALTER TABLE of_others DROP COLUMN mood",
        ),
        (
            "CREATE TRIGGER touched BEFORE UPDATE ON of_others FOR EACH ROW EXECUTE FUNCTION demo.touch()",
            "`trigger touched on table public.of_others` uses",
            "DROP TRIGGER touched ON of_others",
        ),
        (
            "CREATE COLLATION demo.own FROM \"C\"",
            "there would be left in its schema: ",
            "DROP COLLATION demo.own",
        ),
    ] {
        lab.query(made);
        let before = lab.query(LEFT);
        let refused = lab.migrate(&["reset", "demo", "--allow-data-loss"]).exits(7);
        assert!(refused.stderr.contains(says), "{}", refused.shown());
        assert_eq!(lab.query(LEFT), before, "{says}");
        lab.query(undone);
    }
    let refused = lab.migrate(&["reset", "demo"]).exits(7);
    assert!(
        refused.stderr.contains("a reset of `demo` loses for good: 4002 rows of `demo.note`"),
        "{}",
        refused.shown()
    );
    let mut session = lab.session();
    session.query("BEGIN");
    session.query("SELECT FROM demo.note LIMIT 1");
    lab.migrate(&["reset", "demo", "--allow-data-loss", "--wait", "100ms"]).exits(5);
    drop(session);
    let before = lab.query(LEFT);
    let dry_run = lab.migrate(&["reset", "demo", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(dry_run["tables"][0]["rows"], 4002, "{dry_run}");
    let others_of_it = dry_run["others"].to_string();
    for other in ["view demo.seen", "function demo.touch()", "type demo.mood"] {
        assert!(others_of_it.contains(other), "{dry_run}");
    }
    assert_eq!(lab.query(LEFT), before);

    let done = lab.migrate(&["reset", "demo", "--allow-data-loss"]).exits(0);
    assert!(done.stdout.contains("dropped; 2 migrations are pending again"), "{}", done.shown());
    assert_eq!(lab.query(LEFT), "migration_journal_demo seaql_migrations_demo");
    assert_eq!(lab.query(OTHERS), others);
    lab.migrate(&["repair", "demo"]).exits(0);
    let line = "SELECT direction, outcome, consent, first_install FROM demo.migration_journal_demo ORDER BY id DESC LIMIT 1";
    assert_eq!(lab.query(line), "revert|succeeded|reset|t");
    lab.migrate(&["up", "demo", "--quiet"]).exits(0);
    lab.migrate(&["status", "demo", "--check"]).exits(0);
}

/// In a schema that services share, it is what the service names, and what its tables need.
#[test]
fn of_a_shared_schema_a_part_is_dropped() {
    let lab = Lab::empty();
    for script in [CHAT, ASSESSMENTS] {
        lab.query(script);
    }
    lab.query(
        "CREATE TABLE of_nobody (id int); CREATE FUNCTION of_nobody() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    );
    let tables = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
         WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname NOT LIKE '%\\_chat'";
    let before = lab.query(tables);
    migrate(&lab, "chat", &["adopt", "chat", "--from", "schema"]).exits(0);
    migrate(&lab, "chat", &["reset", "chat", "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query(tables), before.replace("messages ", ""));
    assert_eq!(lab.query("SELECT of_nobody()"), "1");
}

/// What a reset leaves is the history: a service can come back from elsewhere, and what was there is set aside.
#[test]
fn a_service_can_move_to_where_it_was_reset_or_reverted() {
    for undone in [&["reset", "chat", "--allow-data-loss"][..], &["down", "chat@base", "--allow-data-loss"]] {
        let both = Both::new();
        both.there.migrate(&["up", "chat", "--quiet"]).exits(0);
        let refused = both.moves(&["--yes"]).exits(7);
        assert!(refused.stderr.contains("its schema `chat` is there already, with"), "{}", refused.shown());
        both.there.migrate(undone).exits(0);
        both.there.query("DROP TABLE IF EXISTS chat.migration_reject_chat; CREATE TABLE chat.of_others ()");
        both.moves(&["--yes"]).exits(7);
        both.there.query("DROP TABLE chat.of_others");
        let before = digest(&both.here, "chat");
        let looked = both.moves(&[]).exits(0);
        let says = "the history of what was reset or reverted there is set aside there";
        assert!(looked.stderr.contains(says), "{}", looked.shown());
        let moved = both.moves(&["--yes", "--json"]).exits(0).json();
        both.is_there(&before);
        let aside = moved["set_aside"][0].as_str().unwrap();
        let lines = format!("SELECT count(*) > 0 FROM \"{aside}\".migration_journal_chat");
        assert_eq!(both.there.query(&lines), "t");
    }
}
