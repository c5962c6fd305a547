//! `move`: a service is in one place or in the other, whatever happens, with every row exactly once.
//!
//! It is long, since each way in which a move can stop is tried, and all share what looks at both places.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::restore::digest;
use crate::support::{Lab, ROWS, Ran, Relay, Running, SESSIONS, Session, run};

/// A service with rows, and an empty database where it is to go.
pub(crate) struct Both {
    pub(crate) here: Lab,
    pub(crate) there: Lab,
}

/// A commit of ours, but for the last, with the byte that ends it.
const COMMIT: &str = "*/ COMMIT\0";

/// The variable that names where it goes.
pub(crate) const TO: &str = "CHAT_NEW_DATABASE_URL";

impl Both {
    pub(crate) fn new() -> Self {
        Self::between(Lab::empty(), Lab::empty())
    }

    pub(crate) fn between(here: Lab, there: Lab) -> Self {
        here.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
        here.query(ROWS[0].1);
        here.migrate(&["up", "chat", "--quiet"]).exits(0);
        Self { here, there }
    }

    /// `move chat`, between these addresses.
    pub(crate) fn command(&self, from: &str, to: &str, options: &[&str]) -> Command {
        let mut command = self.here.command(&[&["move", "chat", "--to", TO], options].concat());
        command.env("DATABASE_URL", from).env(TO, to);
        command
    }

    pub(crate) fn moves(&self, options: &[&str]) -> Ran {
        run(&mut self.command(self.here.database.url(), self.there.database.url(), options))
    }

    /// The service is where it was, and can be written to.
    #[track_caller]
    pub(crate) fn is_here(&self, before: &str) {
        assert_eq!(digest(&self.here, "chat"), before);
        self.here.query("BEGIN; UPDATE chat.messages SET content = content || '!'; ROLLBACK");
        self.here.migrate(&["status", "chat"]).exits(0);
        let aside = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'chat_moved_%'";
        assert_eq!(self.here.query(aside), "0");
    }

    /// An application that has the new address already finds nothing to write to, and nothing drops what may be all that there is.
    #[track_caller]
    fn nobody_writes_there(&self) {
        for sql in ["INSERT INTO chat.messages VALUES (1)", "SELECT version FROM chat.seaql_migrations_chat"]
        {
            let refused = self.there.database.psql(sql).unwrap_err().to_string();
            assert!(
                refused.contains("\"chat.messages\" does not exist") || refused.contains("service chat: "),
                "{refused}"
            );
        }
        let refused = self.there.migrate(&["restore", "--drop-old", "chat", "--allow-data-loss"]).exits(7);
        assert!(refused.stderr.contains("its move from `"), "{}", refused.shown());
    }

    /// The service is in its new place, whole, and in the old one nobody takes it for a new one.
    #[track_caller]
    pub(crate) fn is_there(&self, before: &str) {
        assert_eq!(digest(&self.there, "chat"), before);
        self.there.migrate(&["up", "chat", "--quiet"]).exits(0);
        self.there.migrate(&["verify", "chat"]).exits(0);
        let refused = self.here.migrate(&["up", "chat"]).exits(7);
        assert!(refused.stderr.contains("`chat` is not here: it was moved to `"), "{}", refused.shown());
        let aside = self.here.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_moved_%'");
        assert_eq!(digest(&self.here, &aside), before);
    }
}

#[test]
fn a_service_moves_and_its_old_address_says_where_it_is() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    let next = "SELECT nextval('chat.messages_id_seq')";
    let number: i64 = both.here.query(next).parse().unwrap();
    // Only looked at.
    let shown = both.moves(&[]).exits(0);
    assert!(shown.stdout.contains("nothing was changed: `--yes` moves `chat`"), "{}", shown.shown());
    assert!(shown.stderr.contains("what writes to these tables waits"), "{}", shown.shown());
    let looked = both.moves(&["--json"]).exits(0).json();
    assert_eq!((&looked["moved"], &looked["archive"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(both.there.query("SELECT to_regnamespace('chat')"), "");
    both.is_here(&before);

    let moved = both.moves(&["--yes", "--json"]).exits(0).json();
    let is_messages = |table: &&serde_json::Value| table["table"] == "chat.messages";
    let messages = moved["tables"].as_array().unwrap().iter().find(is_messages).unwrap();
    assert_eq!(messages["rows"].to_string(), both.there.query("SELECT count(*) FROM chat.messages"));
    assert!(moved["n_checks"].as_u64().unwrap() > 5, "{moved}");
    both.is_there(&before);
    assert_eq!(both.there.query(next), (number + 1).to_string());
    let line = "SELECT outcome, consent FROM chat.migration_journal_chat ORDER BY id DESC LIMIT 1";
    assert_eq!(both.there.query(line), "succeeded|moved");
    let comment = both.there.query("SELECT obj_description('chat.seaql_migrations_chat'::regclass)");
    assert!(comment.starts_with("migrate: its journal has at least "), "{comment}");

    // Nothing at the old address begins it anew: neither our commands, nor other programs.
    for (command, code) in [
        (&["status"][..], 7),
        (&["down", "chat@base", "--allow-data-loss"], 7),
        (&["reset", "chat", "--allow-data-loss"], 7),
        (&["backup", "chat"], 7),
        (&["verify", "chat"], 7),
        (&["up", "rag", "--quiet"], 0),
    ] {
        let ran = both.here.migrate(command);
        assert_eq!(ran.code, code, "{}", ran.shown());
    }
    let hint = both.here.migrate(&["up", "chat"]).stderr;
    assert!(hint.contains("set `CHAT_DATABASE_URL` to where it is"), "{hint}");
    let other = both.here.database.psql("SELECT version FROM chat.seaql_migrations_chat").unwrap_err();
    assert!(other.to_string().contains("this service was moved at"), "{other}");
    assert_eq!(both.here.query("SELECT to_regclass('chat.messages')"), "");
    let again = both.moves(&["--yes"]).exits(7);
    assert!(again.stderr.contains("`chat` is not here"), "{}", again.shown());

    // And back, with what was written since; then what is old goes.
    both.there.query("INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at) VALUES (1, 1, 'user', 'since', 5, now())");
    let since = digest(&both.there, "chat");
    let back = both.command(both.there.database.url(), both.here.database.url(), &["--yes"]);
    run(&mut { back }).exits(0);
    assert_eq!(digest(&both.here, "chat"), since);
    both.here.migrate(&["up", "chat", "--quiet"]).exits(0);
    both.there.migrate(&["up", "chat"]).exits(7);
    both.here.migrate(&["restore", "--drop-old", "chat", "--allow-data-loss"]).exits(0);
    assert_eq!(both.here.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'chat_%'"), "0");
    assert_eq!(digest(&both.here, "chat"), since);
}

/// The way back is a rename, after which that schema is in use, whatever its comment says.
#[test]
fn what_is_in_use_again_is_not_dropped_as_old() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    both.moves(&["--yes"]).exits(0);
    let aside = both.here.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_moved_%'");
    both.here.query(&format!("DROP SCHEMA chat CASCADE; ALTER SCHEMA {aside} RENAME TO chat"));
    both.is_here(&before);
    both.here.migrate(&["restore", "--drop-old", "chat", "--allow-data-loss"]).exits(0);
    both.is_here(&before);
}

/// A person's comment on the schema goes with it and stays; what is of ours does not.
#[test]
fn comments_on_the_schema_are_kept() {
    let both = Both::new();
    let comment = |lab: &Lab, schema: &str| {
        lab.query(&format!("SELECT obj_description('{schema}'::regnamespace, 'pg_namespace')"))
    };
    both.here.query("COMMENT ON SCHEMA chat IS 'ada''s, ask her'");
    both.moves(&["--yes"]).exits(0);
    let aside = both.here.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_moved_%'");
    assert_eq!(comment(&both.there, "chat"), "ada's, ask her");
    assert_eq!(comment(&both.here, &aside), "what chat had before it was moved\nada's, ask her");
    // The way back, and a restore over it.
    both.here.query(&format!("DROP SCHEMA chat CASCADE; ALTER SCHEMA {aside} RENAME TO chat"));
    let made = both.here.migrate(&["backup", "chat", "--no-verify", "--json"]).exits(0).json();
    let archive = made["backups"][0]["archive"].as_str().unwrap();
    both.here.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
    let aside = both.here.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_before_%'");
    assert_eq!(comment(&both.here, &aside), "what chat had before it was restored\nada's, ask her");
    both.here.migrate(&["restore", "--drop-old", "chat", "--allow-data-loss"]).exits(0);
    assert_eq!(both.here.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'chat_%'"), "0");
}

/// Text comes out as it is, whatever encoding the database or the role sets for clients.
#[test]
fn an_encoding_for_clients_changes_nothing() {
    let both = Both::new();
    both.here.query(
        "UPDATE chat.messages SET content = 'Привет, €' WHERE id = 1; COMMENT ON TABLE chat.messages IS 'Привет'; \
         ALTER TABLE chat.messages ADD note text DEFAULT 'é'",
    );
    let before = digest(&both.here, "chat");
    for lab in [&both.here, &both.there] {
        lab.query(&format!("ALTER DATABASE \"{}\" SET client_encoding = 'LATIN1'", lab.database.name()));
    }
    both.here.migrate(&["backup", "chat"]).exits(0);
    both.moves(&["--yes"]).exits(0);
    assert_eq!(both.there.migrate(&["verify", "chat"]).code, 0);
    for (lab, name) in [(&both.here, "chat_moved"), (&both.there, "chat")] {
        lab.query(&format!("ALTER DATABASE \"{}\" RESET client_encoding", lab.database.name()));
        let aside = lab.query(&format!("SELECT nspname FROM pg_namespace WHERE nspname LIKE '{name}%'"));
        assert_eq!(digest(lab, &aside), before);
    }
    assert_eq!(both.there.query("SELECT obj_description('chat.messages'::regclass)"), "Привет");
}

/// An archive brings settings along. What is asked after it is restored means the same, whatever they are.
#[test]
fn settings_of_role_and_database_change_nothing() {
    const HOSTILE: [&str; 8] = [
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
        "DateStyle = 'SQL, DMY'",
        "bytea_output = escape",
        "TimeZone = 'America/New_York'",
        "statement_timeout = 200",
        "xmloption = document",
        "search_path = pg_temp",
    ];
    let both = Both::new();
    both.here.query(r"UPDATE chat.messages SET content = E'a\\b' WHERE id = 1");
    let before = digest(&both.here, "chat");
    for lab in [&both.here, &both.there] {
        for setting in HOSTILE {
            lab.query(&format!("ALTER DATABASE \"{}\" SET {setting}", lab.database.name()));
        }
    }
    let backup = both.here.migrate(&["backup", "chat", "--json"]).exits(0).json();
    both.moves(&["--yes"]).exits(0);
    let archive = backup["backups"][0]["archive"].as_str().unwrap();
    both.there.migrate(&["restore", archive, "--from-elsewhere", "--allow-data-loss"]).exits(0);
    for lab in [&both.here, &both.there] {
        lab.query(&format!("ALTER DATABASE \"{}\" RESET ALL", lab.database.name()));
    }
    both.there.migrate(&["verify", "chat"]).exits(0);
    let rows = "SELECT content FROM chat.messages WHERE id = 1";
    assert_eq!(both.there.query(rows), r"a\b");
    let aside = both.there.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_before_%'");
    assert_eq!(digest(&both.there, &aside), before);
}

/// The fence is on the rows of tables. What else is made or dropped here meanwhile is not lost without a word.
#[test]
fn what_is_made_here_meanwhile_stops_the_move() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    for (made, undone, says) in [
        ("CREATE INDEX late ON chat.messages (id)", "DROP INDEX chat.late", "+ index messages.late"),
        (
            "CREATE TABLE chat.late (id int); INSERT INTO chat.late VALUES (1)",
            "DROP TABLE chat.late",
            "+ table late",
        ),
        ("BEGIN; CREATE TABLE chat.late (id int)", "ROLLBACK", "makes something in its schema"),
    ] {
        let mut session = both.here.session();
        let relay = Relay::freezing_at(&both.there, "setval");
        let moving = Running::start(both.command(both.here.database.url(), relay.url(), &["--yes"]));
        relay.freezes(moving.pid());
        is_frozen(&moving, "setval");
        session.query(made);
        moving.signal("CONT");
        let refused = moving.finish().exits(4);
        assert!(
            refused.stderr.contains("it was changed here meanwhile") && refused.stderr.contains(says),
            "{}",
            refused.shown()
        );
        session.query(undone);
        both.is_here(&before);
        assert_eq!(both.there.query("SELECT to_regnamespace('chat')"), "");
    }
    both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
}

/// What is made after the last look before the commit is seen after it, and the service is in use here again: at once, or by the next run
/// if this one was killed.
#[test]
fn what_is_made_at_the_last_moment_takes_the_move_back() {
    for (made, ended, says, is_killed) in [
        (
            "CREATE TABLE chat.late (id int); INSERT INTO chat.late VALUES (1)",
            "SELECT 1",
            "+ table late",
            false,
        ),
        ("CREATE VIEW chat.late AS SELECT 1 AS id", "SELECT 1", "+ view late", false),
        (
            "CREATE FUNCTION chat.late() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "SELECT 1",
            "+ function late",
            false,
        ),
        ("CREATE TYPE chat.late AS ENUM ('a')", "SELECT 1", "+ type late", false),
        ("CREATE INDEX late ON chat.messages (id)", "SELECT 1", "+ index late", false),
        (
            "BEGIN; CREATE TABLE chat.late (id int); INSERT INTO chat.late VALUES (1)",
            "COMMIT",
            "makes something in its schema",
            false,
        ),
        (
            "CREATE TABLE chat.late (id int); INSERT INTO chat.late VALUES (1)",
            "SELECT 1",
            "+ table late",
            true,
        ),
    ] {
        let both = Both::new();
        let mut session = both.here.session();
        // The copy is committed, and what was here not yet taken away.
        let relay = Relay::freezing_at(&both.there, COMMIT);
        let of_here = Relay::freezing_at(&both.here, if is_killed { COMMIT } else { "nothing that is sent" });
        let moving = Running::start(both.command(of_here.url(), relay.url(), &["--yes"]));
        relay.freezes(moving.pid());
        is_frozen(&moving, COMMIT);
        session.query(made);
        of_here.freezes(moving.pid());
        moving.signal("CONT");
        let refused = if is_killed {
            let until = "SELECT to_regclass('chat.messages') IS NULL";
            session.until(until, "t");
            is_frozen(&moving, COMMIT);
            moving.signal("KILL");
            drop(moving.finish());
            session.until(SESSIONS, "0");
            both.moves(&["--yes"])
        } else {
            moving.finish()
        };
        let refused = refused.exits(4);
        assert!(
            refused.stderr.contains("it was changed here meanwhile") && refused.stderr.contains(says),
            "{}",
            refused.shown()
        );
        session.query(ended);
        assert_eq!(both.here.query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'chat_%'"), "0");
        let before = digest(&both.here, "chat");
        both.is_here(&before);
        both.nobody_writes_there();
        both.moves(&["--yes"]).exits(0);
        both.is_there(&before);
    }
}

/// What another program makes in the place of a copy that is not in use is set aside, with a word.
#[test]
fn what_is_made_in_the_copys_place_is_set_aside() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    let relay = Relay::freezing_at(&both.here, COMMIT);
    let moving = Running::start(both.command(relay.url(), both.there.database.url(), &["--yes"]));
    relay.freezes(moving.pid());
    is_frozen(&moving, COMMIT);
    moving.signal("KILL");
    drop(moving.finish());
    for lab in [&both.here, &both.there] {
        lab.session().until(SESSIONS, "0");
    }
    both.there.query("CREATE TABLE chat.messages (id int); INSERT INTO chat.messages VALUES (1)");
    let ended = both.moves(&["--yes", "--json"]).exits(0).json();
    let aside = ended["set_aside"][0].as_str().unwrap();
    assert_eq!(both.there.query(&format!("SELECT id FROM {aside}.messages")), "1");
    both.is_there(&before);
}

/// Waits until the relay has stopped the program, a moment after the server has got the message.
#[track_caller]
fn is_frozen(moving: &Running, words: &str) {
    let begun = Instant::now();
    let state = format!("/proc/{}/stat", moving.pid());
    while !std::fs::read_to_string(&state).unwrap().contains(") T ") {
        assert!(begun.elapsed() < Duration::from_secs(60), "`{words}` was never sent");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Rows that were acknowledged are there exactly once, and nothing is written to the old place after the copy.
#[test]
fn no_row_is_lost_that_was_written_meanwhile() {
    const WRITERS: usize = 3;
    let both = Both::new();
    let before: usize = both.here.query("SELECT count(*) FROM chat.messages").parse().unwrap();
    let is_done = AtomicBool::new(false);
    let acknowledged: BTreeSet<String> = thread::scope(|scope| {
        let writing: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (both, is_done) = (&both, &is_done);
                scope.spawn(move || {
                    let mut session = Session::open(both.here.database.url());
                    // What waits when the service has left is refused; that must not end the session.
                    session.query("\\set ON_ERROR_STOP off\n");
                    let mut acknowledged = Vec::new();
                    for n in 0.. {
                        if is_done.load(Ordering::SeqCst) {
                            break;
                        }
                        let row = format!("{writer}/{n}");
                        let sql = format!(
                            "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length, created_at) \
                             VALUES (1, 1, 'user', '{row}', 3, now()) RETURNING content"
                        );
                        if session.query(&sql) != row {
                            break;
                        }
                        acknowledged.push(row);
                    }
                    acknowledged
                })
            })
            .collect();
        let moved = both.moves(&["--yes"]);
        is_done.store(true, Ordering::SeqCst);
        let acknowledged = writing.into_iter().flat_map(|writing| writing.join().unwrap()).collect();
        moved.exits(0);
        acknowledged
    });
    assert!(acknowledged.len() > 10 * WRITERS, "only {} rows were written", acknowledged.len());
    let found = both.there.query("SELECT content FROM chat.messages WHERE content ~ '^[0-9]/[0-9]+$'");
    assert_eq!(found.lines().count(), acknowledged.len());
    assert_eq!(found.lines().map(str::to_owned).collect::<BTreeSet<_>>(), acknowledged);
    assert_eq!(
        both.there.query("SELECT count(*) FROM chat.messages"),
        (before + acknowledged.len()).to_string()
    );
    let aside = both.here.query("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'chat_moved_%'");
    assert_eq!(digest(&both.here, &aside), digest(&both.there, "chat"));
}

/// What there is after a run was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// The service is where it was, and nothing is in the other place.
    Nothing,
    /// It is where it was, and a copy is there that is not in use.
    ACopy,
    /// It is gone, and the copy is not in use yet.
    OnlyTheEnd,
    /// Everything was done.
    Everything,
}

/// Killed when the server has got a message, at each that matters, of the one session or the other; the same command then finishes.
#[test]
fn killed_anywhere_it_is_here_or_there_and_the_next_run_finishes() {
    let of_here = ["LOCK TABLE", "hashtextextended", "CREATE VIEW"].map(|words| (true, words));
    let of_there = ["CREATE TABLE", "COPY ", "hashtextextended", "setval"];
    let within = of_here.into_iter().chain(of_there.map(|words| (false, words)));
    let at_the_end = [
        (false, COMMIT, Left::ACopy),
        (true, COMMIT, Left::OnlyTheEnd),
        (false, "COMMIT AND NO CHAIN", Left::Everything),
    ];
    for (is_here, words, left) in within.map(|(of, words)| (of, words, Left::Nothing)).chain(at_the_end) {
        let both = Both::new();
        let before = digest(&both.here, "chat");
        let relay = Relay::freezing_at(if is_here { &both.here } else { &both.there }, words);
        let (from, to) = match is_here {
            true => (relay.url(), both.there.database.url()),
            false => (both.here.database.url(), relay.url()),
        };
        let moving = Running::start(both.command(from, to, &["--yes"]));
        relay.freezes(moving.pid());
        is_frozen(&moving, words);
        moving.signal("KILL");
        drop(moving.finish());
        for lab in [&both.here, &both.there] {
            lab.session().until(SESSIONS, "0");
        }
        if matches!(left, Left::Nothing | Left::ACopy) {
            both.is_here(&before);
        }
        let is_copied =
            both.there.query("SELECT to_regclass('chat.seaql_migrations_chat') IS NOT NULL") == "t";
        assert_eq!(is_copied, left != Left::Nothing, "{words}");
        if matches!(left, Left::ACopy | Left::OnlyTheEnd) {
            both.nobody_writes_there();
            let refused = both.there.migrate(&["up", "chat"]).exits(7);
            assert!(refused.stderr.contains("its move from `"), "{}", refused.shown());
        }
        let again = both.moves(&["--yes", "--json"]);
        if left == Left::Everything {
            assert!(again.exits(7).stdout.contains("`chat` is not here: it was moved to `"));
        } else {
            let moved = again.exits(0).json();
            assert_eq!(moved["ended"], left == Left::OnlyTheEnd, "{words}");
            let n_set_aside = moved["set_aside"].as_array().unwrap().len();
            assert_eq!(n_set_aside, usize::from(left == Left::ACopy), "{words}");
        }
        both.is_there(&before);
    }
}

#[test]
fn who_is_in_the_way_is_named_and_nothing_was_changed() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    let lock = "SELECT pg_advisory_lock(hashtextextended('migrate:chat.seaql_migrations_chat', 0))";
    for lab in [&both.here, &both.there] {
        let mut other = lab.session();
        other.query(lock);
        let busy = both.moves(&["--yes", "--wait", "200ms"]).exits(5);
        assert!(busy.stderr.contains("another run holds the migration lock"), "{}", busy.shown());
    }
    let mut writer = both.here.session();
    writer.query("BEGIN");
    writer.query("UPDATE chat.messages SET content = 'changed' WHERE id = 1");
    let busy = both.moves(&["--yes", "--lock-patience", "1s"]).exits(5);
    assert!(busy.stderr.contains("no SHARE lock on `chat.messages` within"), "{}", busy.shown());
    writer.query("ROLLBACK");
    both.is_here(&before);

    // The server there ends the session that restores.
    both.there.query(
        "CREATE FUNCTION public.rest() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN \
           IF (SELECT count(*) FROM chat.messages) > 0 THEN PERFORM pg_sleep(600); END IF; END'; \
         CREATE EVENT TRIGGER rest ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.rest()",
    );
    let (from, to) = (both.here.database.url(), both.there.database.url());
    let moving = Running::start(both.command(from, to, &["--yes"]));
    let mut watch = both.there.session();
    let rests =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
    watch.until(rests, "1");
    // Nobody writes meanwhile, and everybody reads.
    both.here.query("SELECT count(*) FROM chat.messages");
    let written = both.here.database.psql("SET lock_timeout = '50ms'; DELETE FROM chat.messages");
    assert!(written.unwrap_err().to_string().contains("lock timeout"));
    watch.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'");
    let lost = moving.finish().exits(8);
    let says = |ran: &Ran, lab: &Lab| {
        let says = "`chat` was not moved: the connection to `";
        let line = ran.stderr.lines().find(|line| line.contains(says)).unwrap_or_default();
        assert!(line.contains(lab.database.name()), "{}", ran.shown());
        assert!(ran.stderr.contains("it is where it was, and nothing was changed"), "{}", ran.shown());
    };
    says(&lost, &both.there);
    both.is_here(&before);

    // Whoever ends the fence has to know that nothing is moved without one.
    let moving = Running::start(both.command(from, to, &["--yes"]));
    watch.until(rests, "1");
    let ours = SESSIONS.replace("count(*)", "pg_terminate_backend(pid)");
    both.here.query(&ours);
    says(&moving.finish().exits(8), &both.here);
    both.is_here(&before);
    // Nobody has told that session that its client is gone: the server looks every few seconds.
    watch.until(rests, "0");

    // Interrupted there, it is as if nothing had been.
    let moving = Running::start(both.command(from, to, &["--yes"]));
    watch.until(rests, "1");
    moving.signal("INT");
    moving.finish().exits(130);
    both.is_here(&before);
    both.there.query("DROP EVENT TRIGGER rest");
    both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
}
