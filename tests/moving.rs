//! `move`: a service is in one place or in the other, whatever happens, with every row exactly once.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::restore::digest;
use crate::support::{Lab, ROWS, Ran, Relay, Running, SESSIONS, Session, run};

/// A service with rows, and an empty database where it is to go.
struct Both {
    here: Lab,
    there: Lab,
}

/// How a commit of ours begins.
const COMMIT: &str = "*/ COMMIT";

/// The variable that names where it goes.
const TO: &str = "CHAT_NEW_DATABASE_URL";

impl Both {
    fn new() -> Self {
        let (here, there) = (Lab::empty(), Lab::empty());
        here.migrate(&["up", "chat@+1", "--quiet"]).exits(0);
        here.query(ROWS[0].1);
        here.migrate(&["up", "chat", "--quiet"]).exits(0);
        Self { here, there }
    }

    /// `move chat`, between these addresses.
    fn command(&self, from: &str, to: &str, options: &[&str]) -> Command {
        let mut command = self.here.command(&[&["move", "chat", "--to", TO], options].concat());
        command.env("DATABASE_URL", from).env(TO, to);
        command
    }

    fn moves(&self, options: &[&str]) -> Ran {
        run(&mut self.command(self.here.database.url(), self.there.database.url(), options))
    }

    /// The service is where it was, and can be written to.
    #[track_caller]
    fn is_here(&self, before: &str) {
        assert_eq!(digest(&self.here, "chat"), before);
        self.here.query("BEGIN; UPDATE chat.messages SET content = content || '!'; ROLLBACK");
        self.here.migrate(&["status", "chat"]).exits(0);
        let aside = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'chat_moved_%'";
        assert_eq!(self.here.query(aside), "0");
    }

    /// The service is in its new place, whole, and in the old one nobody takes it for a new one.
    #[track_caller]
    fn is_there(&self, before: &str) {
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
    assert_eq!(both.there.query("SELECT obj_description('chat.seaql_migrations_chat'::regclass)"), "");

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
        (false, "_chat\" IS NULL", Left::Everything),
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
        let begun = Instant::now();
        // It has got the message a moment before it is stopped.
        let state = format!("/proc/{}/stat", moving.pid());
        while !std::fs::read_to_string(&state).unwrap().contains(") T ") {
            assert!(begun.elapsed() < Duration::from_secs(60), "`{words}` was never sent");
            thread::sleep(Duration::from_millis(10));
        }
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
        "CREATE FUNCTION public.rest() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(600); END'; \
         CREATE EVENT TRIGGER rest ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.rest()",
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
    assert!(lost.stderr.contains("the connection to the server was lost"), "{}", lost.shown());
    both.is_here(&before);

    // Whoever ends the fence has to know that nothing is moved without one.
    let moving = Running::start(both.command(from, to, &["--yes"]));
    watch.until(rests, "1");
    let ours = SESSIONS.replace("count(*)", "pg_terminate_backend(pid)");
    both.here.query(&ours);
    moving.finish().exits(8);
    both.is_here(&before);

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

#[test]
fn what_cannot_move_is_refused_before_anything_is_locked() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    let refuses = |says: &str| {
        for options in [&[][..], &["--yes"]] {
            let refused = both.moves(options).exits(7);
            assert!(refused.stderr.contains(says), "{says}: {}", refused.shown());
        }
        both.is_here(&before);
    };
    let here = both.here.database.url();
    let itself = run(&mut both.command(here, &both.here.url_of(&both.here.role("SUPERUSER")), &["--yes"]));
    assert!(itself.exits(7).stderr.contains("are one database"));
    both.there.query("CREATE SCHEMA chat; CREATE TABLE chat.of_others ()");
    refuses("its schema `chat` is there already, with table chat.of_others");
    both.there.query("DROP TABLE chat.of_others");
    both.here.query("CREATE VIEW of_others AS SELECT id FROM chat.messages");
    refuses("view `public.of_others` would still use what is left here");
    both.here.query(
        "DROP VIEW of_others; CREATE FUNCTION of_others() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM chat.messages; END",
    );
    refuses("function `public.of_others` would still use what is left here");
    both.here.query("DROP FUNCTION of_others; CREATE TABLE of_others (id int); CREATE POLICY own ON of_others USING (EXISTS (SELECT FROM chat.messages))");
    refuses("table `public.of_others` would still use what is left here");
    both.here.query("DROP TABLE of_others; CREATE TABLE of_others (copies chat.messages[])");
    refuses("table `public.of_others` would still use what is left here");
    both.here.query(
        "DROP TABLE of_others; CREATE EXTENSION citext; ALTER TABLE chat.messages ADD of_others citext",
    );
    both.here.query("ALTER TABLE chat.messages DROP of_others, ADD of_others citext");
    let refused = both.moves(&[]).exits(7);
    assert!(
        refused.stderr.contains("there is no extension `citext` in a schema `public`"),
        "{}",
        refused.shown()
    );
    both.here.query("ALTER TABLE chat.messages DROP of_others");
    both.here.query("ALTER TABLE chat.messages DROP CONSTRAINT messages_pkey CASCADE");
    let broken = both.moves(&["--yes"]).exits(4);
    assert!(broken.stderr.contains("a check does not hold"), "{}", broken.shown());
    // Words that are no address, with and without a secret.
    let to = |to: &str| both.here.migrate(&["move", "chat", "--to", to]).exits(2);
    for secret in [
        "postgres://ada:s3cr3t-pass@localhost/chat",
        "postgres://ada@localhost/chat?password=s3cr3t-pass",
        "ada:s3cr3t-pass@localhost/chat",
    ] {
        let refused = to(secret);
        assert!(!refused.shown().contains("s3cr3t"), "{}", refused.shown());
        assert!(refused.stderr.contains("name that"), "{}", refused.shown());
    }
    assert!(to("NOT_SET").stderr.contains("`--to` names `NOT_SET`, which is not set"));
    // Of a schema that others may live in.
    both.here.query("CREATE SCHEMA shared");
    let mut shared = both.command(here, both.there.database.url(), &[]);
    shared.env("CHAT_DATABASE_SCHEMA", "shared");
    assert!(run(&mut shared).exits(7).stderr.contains("nothing of it is applied here"));
}

/// Owners and rights go with it, or are left out.
#[test]
fn owners_and_rights_move_too() {
    let both = Both::new();
    let owner = both.here.role("");
    both.here
        .query(&format!("GRANT USAGE ON SCHEMA chat TO {owner}; GRANT INSERT ON chat.messages TO {owner}"));
    both.here
        .query(&format!("ALTER SCHEMA chat OWNER TO {owner}; ALTER TABLE chat.messages OWNER TO {owner}"));
    let before = digest(&both.here, "chat");
    both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
    let owners = "SELECT nspowner::regrole, relowner::regrole FROM pg_namespace n JOIN pg_class c ON relnamespace = n.oid \
                  WHERE nspname = 'chat' AND relname = 'messages'";
    assert_eq!(both.there.query(owners), format!("{owner}|{owner}"));
    let further = Lab::empty();
    let without = &["--yes", "--no-owner"];
    run(&mut both.command(both.there.database.url(), further.database.url(), without)).exits(0);
    assert_eq!(further.query(owners), "postgres|postgres");
}
