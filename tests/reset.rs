//! `reset`: what one service owns is gone, and nothing else is.

use crate::adopted::{ASSESSMENTS, CHAT};
use crate::support::{Lab, ROWS, run};

/// Everything in the database that is no bookkeeping of the chat service, as one text.
const OTHERS: &str = "SELECT string_agg(format('%s %s', n.nspname, c.relname), ', ' ORDER BY 1) \
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname NOT IN ('chat', 'pg_toast') AND n.nspname !~ '^pg_'";

/// What is left in the schema of the chat service.
const LEFT: &str = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c \
     WHERE relnamespace = 'chat'::regnamespace AND relkind NOT IN ('i', 'S')";

#[test]
fn what_a_service_owns_is_dropped_and_nothing_else() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
    lab.query(ROWS[0].1);
    lab.migrate(&["up", "chat", "rag", "--quiet"]).exits(0);
    lab.query(
        "CREATE TYPE chat.mood AS ENUM ('good'); CREATE VIEW chat.seen AS SELECT id FROM chat.messages; \
         CREATE FUNCTION chat.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER touched BEFORE UPDATE ON chat.messages FOR EACH ROW EXECUTE FUNCTION chat.touch(); \
         CREATE TABLE public.of_others (id int)",
    );
    let others = lab.query(OTHERS);
    // What others use is named, and nothing is dropped.
    for (made, says, undone) in [
        (
            "CREATE VIEW of_them AS SELECT id FROM chat.seen",
            "`view public.of_them` uses",
            "DROP VIEW of_them",
        ),
        (
            "ALTER TABLE of_others ADD COLUMN message int CONSTRAINT cites REFERENCES chat.messages",
            "`constraint cites on table public.of_others` uses",
            "ALTER TABLE of_others DROP COLUMN message",
        ),
        (
            "ALTER TABLE of_others ADD COLUMN mood chat.mood[]",
            "`column mood of table public.of_others` uses",
            "ALTER TABLE of_others DROP COLUMN mood",
        ),
        (
            "CREATE TRIGGER touched BEFORE UPDATE ON of_others FOR EACH ROW EXECUTE FUNCTION chat.touch()",
            "`trigger touched on table public.of_others` uses",
            "DROP TRIGGER touched ON of_others",
        ),
        (
            "CREATE COLLATION chat.own FROM \"C\"",
            "there would be left in its schema: ",
            "DROP COLLATION chat.own",
        ),
    ] {
        lab.query(made);
        let before = lab.query(LEFT);
        let refused = lab.migrate(&["reset", "chat", "--allow-data-loss"]).exits(7);
        assert!(refused.stderr.contains(says), "{}", refused.shown());
        assert_eq!(lab.query(LEFT), before, "{says}");
        lab.query(undone);
    }
    let refused = lab.migrate(&["reset", "chat"]).exits(7);
    assert!(
        refused.stderr.contains("a reset of `chat` loses for good: 4002 rows of `chat.messages`"),
        "{}",
        refused.shown()
    );
    let mut session = lab.session();
    session.query("BEGIN");
    session.query("SELECT FROM chat.messages LIMIT 1");
    lab.migrate(&["reset", "chat", "--allow-data-loss", "--wait", "100ms"]).exits(5);
    drop(session);
    let before = lab.query(LEFT);
    let dry_run = lab.migrate(&["reset", "chat", "--dry-run", "--json"]).exits(0).json();
    assert_eq!(dry_run["tables"][0]["rows"], 4002, "{dry_run}");
    let others_of_it = dry_run["others"].to_string();
    for other in ["view chat.seen", "function chat.touch()", "type chat.mood"] {
        assert!(others_of_it.contains(other), "{dry_run}");
    }
    assert_eq!(lab.query(LEFT), before);

    let done = lab.migrate(&["reset", "chat", "--allow-data-loss"]).exits(0);
    assert!(done.stdout.contains("dropped; 4 migrations are pending again"), "{}", done.shown());
    assert_eq!(lab.query(LEFT), "migration_journal_chat seaql_migrations_chat");
    assert_eq!(lab.query(OTHERS), others);
    lab.migrate(&["repair", "chat"]).exits(0);
    let line = "SELECT direction, outcome, consent, first_install FROM chat.migration_journal_chat ORDER BY id DESC LIMIT 1";
    assert_eq!(lab.query(line), "revert|succeeded|reset|t");
    lab.migrate(&["up", "chat", "--quiet"]).exits(0);
    lab.migrate(&["status", "chat", "--check"]).exits(0);
    lab.migrate(&["reset", "assessments"]).exits(0);
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
    let reset = ["reset", "chat", "--allow-data-loss"];
    run(lab.command(&reset).env("CHAT_DATABASE_SCHEMA", "public")).exits(0);
    assert_eq!(lab.query(tables), before.replace("messages ", ""));
    assert_eq!(lab.query("SELECT of_nobody()"), "1");
}
