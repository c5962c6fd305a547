//! `move`: what stops it, found before anybody is kept from writing; and what does not stop it.
//!
//! It is long, since each kind of what stops it is a line of a table, or a few of a test.

use migration_kit::quote_identifier;
use postgres_sandbox::{Binaries, Cluster};

use crate::moving::{Both, TO};
use crate::restore::digest;
use crate::support::{Lab, run};

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
    for stray in [
        &["postgres://ada:s3cr3t-pass@localhost/chat"][..],
        &["postgres://ada:s3cr3t-pass@localhost/chat", "--to", "CHAT_NEW_DATABASE_URL"],
    ] {
        let refused = both.here.migrate(&[&["move", "chat"], stray].concat()).exits(2);
        assert!(!refused.shown().contains("s3cr3t"), "{}", refused.shown());
        assert!(refused.stderr.contains("name that with `--to`"), "{}", refused.shown());
    }
    assert!(to("NOT_SET").stderr.contains("`--to` names `NOT_SET`, which is not set"));
    let empty = run(&mut both.command(here, "", &[])).exits(2);
    assert!(empty.stderr.contains(&format!("`--to` names `{TO}`, which is empty")), "{}", empty.shown());
    // What is wrong with an address is said of the one that is wrong.
    let nobody = both.there.url_of("nobody_at_all");
    for (from, to, named) in
        [(here, &nobody[..], format!("`{TO}`")), (&nobody, here, "DATABASE_URL".to_owned())]
    {
        let refused = run(&mut both.command(from, to, &[])).exits(8);
        let hint = format!("check user, password and database name of {named}\n");
        assert!(refused.stderr.contains(&hint), "{}", refused.shown());
    }
    // Of a schema that others may live in.
    both.here.query("CREATE SCHEMA shared");
    let mut shared = both.command(here, both.there.database.url(), &[]);
    shared.env("CHAT_DATABASE_SCHEMA", "shared");
    assert!(run(&mut shared).exits(7).stderr.contains("nothing of it is applied here"));
}

/// What would not go with a service, or not be the same there: by what it is made here, there, and taken away again; the exit code, what is
/// said, and whether a look without `--yes` says it already.
const HINDRANCES: [(&str, &str, &str, i32, &str, bool); 12] = [
    (
        "SELECT lo_create(4711); ALTER TABLE chat.messages ADD file oid; UPDATE chat.messages SET file = 4711",
        "",
        "SELECT lo_unlink(4711); ALTER TABLE chat.messages DROP file",
        7,
        "`chat.messages.file` refers to large objects, which would stay here",
        true,
    ),
    (
        "SELECT lo_create(4711); CREATE DOMAIN public.lo AS oid; ALTER TABLE chat.messages ADD file public.lo DEFAULT 4711",
        "CREATE DOMAIN public.lo AS oid",
        "SELECT lo_unlink(4711); ALTER TABLE chat.messages DROP file; DROP DOMAIN public.lo",
        7,
        "`chat.messages.file` refers to large objects, which would stay here",
        true,
    ),
    (
        "CREATE PUBLICATION ours FOR TABLE chat.messages",
        "",
        "DROP PUBLICATION ours",
        7,
        "publication `ours` has its table `chat.messages`",
        true,
    ),
    (
        "CREATE PUBLICATION ours FOR TABLES IN SCHEMA chat",
        "",
        "DROP PUBLICATION ours",
        7,
        "publication `ours` has its schema `chat`",
        true,
    ),
    (
        "CREATE SUBSCRIPTION ours CONNECTION 'dbname=nowhere' PUBLICATION ours WITH (connect = false); \
         INSERT INTO pg_subscription_rel SELECT oid, 'chat.messages'::regclass, 'r' FROM pg_subscription WHERE subname = 'ours'",
        "",
        "ALTER SUBSCRIPTION ours SET (slot_name = NONE); DROP SUBSCRIPTION ours",
        7,
        "a subscription writes to its table `chat.messages`",
        true,
    ),
    (
        "CREATE TYPE public.mood AS ENUM ('good', 'bad'); ALTER TABLE chat.messages ADD mood public.mood",
        "",
        "ALTER TABLE chat.messages DROP mood; DROP TYPE public.mood",
        7,
        "it uses the type `public.mood`, which is not there",
        true,
    ),
    (
        "CREATE TYPE public.mood AS ENUM ('good', 'bad'); ALTER TABLE chat.messages ADD moods public.mood[]",
        "CREATE TYPE public.mood AS ENUM ('good')",
        "ALTER TABLE chat.messages DROP moods; DROP TYPE public.mood",
        7,
        "it uses the type `public.mood[]`, which is another one there",
        true,
    ),
    (
        "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER touch BEFORE UPDATE ON chat.messages FOR EACH ROW EXECUTE FUNCTION public.touch()",
        "",
        "DROP TRIGGER touch ON chat.messages; DROP FUNCTION public.touch",
        7,
        "it uses the function `public.touch()`, which is not there",
        true,
    ),
    (
        "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER touch BEFORE UPDATE ON chat.messages FOR EACH ROW EXECUTE FUNCTION public.touch()",
        "CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
        "DROP TRIGGER IF EXISTS touch ON chat.messages; DROP FUNCTION public.touch",
        7,
        "it uses the function `public.touch()`, which is another one there",
        true,
    ),
    (
        "CREATE COLLATION public.ours FROM \"C\"; ALTER TABLE chat.messages ADD ours text COLLATE public.ours",
        "",
        "ALTER TABLE chat.messages DROP ours; DROP COLLATION public.ours",
        7,
        "it uses the collation `public.ours`, which is not there",
        true,
    ),
    // As Debian's PostgreSQL 15.20 has it in every column.
    (
        "UPDATE pg_attribute SET attoptions = '{pg_attver=1}' WHERE attrelid = 'chat.messages'::regclass AND attname = 'id'",
        "",
        "UPDATE pg_attribute SET attoptions = NULL WHERE attrelid = 'chat.messages'::regclass",
        7,
        "`chat.messages.id` have the option `pg_attver`, which the server there does not know",
        false,
    ),
    // A server that makes something else of it.
    (
        "",
        "CREATE FUNCTION public.other() RETURNS event_trigger LANGUAGE plpgsql AS \
           'BEGIN ALTER TABLE chat.messages ALTER content SET DEFAULT 1; END'; \
         CREATE EVENT TRIGGER other ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.other()",
        "DROP EVENT TRIGGER IF EXISTS other; DROP FUNCTION IF EXISTS public.other",
        4,
        "column messages.content: default nothing → ",
        false,
    ),
];

#[test]
fn what_would_not_go_with_it_stops_it_before_anybody_waits() {
    let both = Both::new();
    for (here, there, undone, code, says, is_seen) in HINDRANCES {
        both.here.query(here);
        both.there.query(there);
        let before = digest(&both.here, "chat");
        let looked = both.moves(&[]);
        assert_eq!(looked.code, if is_seen { code } else { 0 }, "{says}: {}", looked.shown());
        if says.contains("pg_attver") {
            let backed_up = both.here.migrate(&["backup", "chat", "--no-verify"]).exits(0);
            let note = "note  `chat`: `chat.messages.id` have the option `pg_attver`";
            assert!(backed_up.stderr.contains(note), "{}", backed_up.shown());
        }
        // Nobody is kept from writing for it: whoever has written is not waited for.
        let mut writer = both.here.session();
        writer.query("BEGIN; UPDATE chat.messages SET content = content WHERE id = 1");
        let refused = both.moves(&["--yes", "--lock-patience", "1ms"]).exits(code);
        assert!(refused.stderr.contains(says), "{says}: {}", refused.shown());
        writer.query("ROLLBACK");
        both.is_here(&before);
        assert_eq!(both.there.query("SELECT to_regnamespace('chat')"), "");
        both.here.query(undone);
        let there =
            undone.split("; ").filter(|sql| sql.starts_with("DROP ")).filter(|sql| !sql.contains(" ON "));
        there.for_each(|sql| drop(both.there.database.psql(sql)));
    }
    // What only may concern it is said.
    both.here.query("CREATE PUBLICATION every FOR ALL TABLES; SELECT lo_create(4711)");
    let looked = both.moves(&[]).exits(0);
    for says in ["publication `every` has all tables", "there are large objects in the database"] {
        assert!(looked.stderr.contains(says), "{says}: {}", looked.shown());
    }
    let before = digest(&both.here, "chat");
    both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
}

/// What only rows bring about is found behind the fence, and is said of the move.
#[test]
fn what_a_server_refuses_of_rows_is_said_of_the_move() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    both.there.query(
        "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN \
           IF (SELECT count(*) FROM chat.messages) > 0 THEN RAISE ''not these rows''; END IF; END'; \
         CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.refuse()",
    );
    let refused = both.moves(&["--yes"]).exits(7);
    let said = refused.stderr.lines().take(2).collect::<Vec<_>>().join("\n");
    assert!(
        said.contains("the server there refuses what that takes\n  because not these rows"),
        "{}",
        refused.shown()
    );
    assert!(!said.contains("restored"), "{said}");
    both.is_here(&before);
}

/// Where it cannot go, or not be taken away: the exit code says of which kind that is, and the hint what helps.
#[test]
fn what_a_server_does_not_let_us_do_is_found_before_anybody_waits() {
    let both = Both::new();
    let before = digest(&both.here, "chat");
    let (here, there) = (both.here.database.url(), both.there.database.url());
    let refuses = |from: &str, to: &str, options: &[&str], code: i32, says: [&str; 2]| {
        let refused = run(&mut both.command(from, to, &[&["--yes"], options].concat())).exits(code);
        for says in says {
            assert!(refused.stderr.contains(says), "{says}: {}", refused.shown());
        }
        both.is_here(&before);
    };
    let database = both.there.database.name();
    both.there.query(&format!("ALTER DATABASE \"{database}\" SET default_transaction_read_only = on"));
    refuses(here, there, &[], 8, ["is read-only: a standby, or set so", "hint connect to the primary"]);
    both.there
        .database
        .psql(&format!("SET default_transaction_read_only = off; ALTER DATABASE \"{database}\" RESET ALL"))
        .unwrap();
    // One each: a lab has one of its own.
    let role = || Lab::empty().role("");
    let nobody = both.there.url_of(&role());
    refuses(here, &nobody, &[], 8, ["may not create a schema in", "hint "]);
    // Objects of others, which a role there may not give away; without owners it may.
    let (owner, limited) = (role(), role());
    both.here.query(&format!("ALTER TABLE chat.messages OWNER TO {owner}"));
    both.there.query(&format!("GRANT CREATE ON DATABASE \"{database}\" TO {limited}"));
    let of_limited = both.there.url_of(&limited);
    refuses(here, &of_limited, &[], 8, ["the server there refuses what that takes", "`--no-owner`"]);
    // A role here that may read and write everything, and whose the schema is not.
    let reader = role();
    both.here.query(&format!(
        "GRANT USAGE ON SCHEMA chat TO {reader}; GRANT ALL ON ALL TABLES IN SCHEMA chat TO {reader}; \
         GRANT ALL ON ALL SEQUENCES IN SCHEMA chat TO {reader}"
    ));
    let of_reader = both.here.url_of(&reader);
    refuses(
        &of_reader,
        there,
        &[],
        8,
        ["the server here refuses what that takes", "connect here as the owner"],
    );
    // A directory that nothing can be written to.
    both.here.directory.write("a_file", "");
    for options in [&[][..], &["--yes"]] {
        let refused = run(both.command(here, there, options).env("MIGRATE_BACKUP_DIR", "a_file")).exits(2);
        assert!(refused.stderr.contains("could not write `"), "{}", refused.shown());
        assert!(refused.stderr.contains("`MIGRATE_BACKUP_DIR`"), "{}", refused.shown());
    }
    // Rights that come by themselves there.
    let (app, create) = (role(), "ALTER DEFAULT PRIVILEGES");
    both.there.query(&format!("{create} GRANT SELECT ON TABLES TO {app}"));
    refuses(
        here,
        there,
        &[],
        7,
        ["more would be allowed there than here", &format!("`{app}` may SELECT on table chat.messages")],
    );
    both.there.query(&format!(
        "{create} REVOKE SELECT ON TABLES FROM {app}; {create} GRANT EXECUTE ON FUNCTIONS TO {app}"
    ));
    both.here.query("CREATE FUNCTION chat.one() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    refuses(
        here,
        there,
        &[],
        7,
        ["more would be allowed there than here", &format!("`{app}` may EXECUTE on function chat.one()")],
    );
    // They are the way by which rights come where those of here are left out.
    run(&mut both.command(here, &of_limited, &["--yes", "--no-owner"])).exits(0);
    both.is_there(&before);
}

/// Newer servers write definitions in another way; what they mean is the same, and what is there is used as before.
#[test]
fn definitions_that_a_newer_server_writes_otherwise_move_too() {
    let older = Cluster::builder().binaries(Binaries::of_major(15).unwrap()).start().unwrap();
    let newer = Cluster::builder().binaries(Binaries::of_major(18).unwrap()).start().unwrap();
    let [here, there] = [&older, &newer].map(|cluster| Lab::with(cluster.create_database().unwrap()));
    let both = Both::between(here, there);
    both.here.query(
        "SET search_path = chat; \
         CREATE VIEW of_one AS SELECT id, content FROM messages; CREATE VIEW of_a_view AS SELECT * FROM of_one WHERE id > 1; \
         CREATE VIEW counted AS SELECT role, count(*) FILTER (WHERE id > 1) FROM messages GROUP BY role, chat_id ORDER BY role; \
         CREATE MATERIALIZED VIEW kept AS SELECT id FROM messages; CREATE UNIQUE INDEX kept_id ON kept (id); \
         CREATE VIEW of_windows WITH (security_barrier = true) AS SELECT row_number() OVER (PARTITION BY role ORDER BY id) FROM messages; \
         CREATE RULE gone AS ON DELETE TO of_one DO INSTEAD DELETE FROM messages WHERE messages.id = old.id; \
         CREATE FUNCTION counting() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM messages WHERE id > 1; END; \
         CREATE DOMAIN short AS varchar(9) CHECK (value IN ('a', 'b')); \
         CREATE TABLE written (a text DEFAULT xmlserialize(content xmlparse(content '<a/>') AS text), b varchar(9), c short, \
           d text GENERATED ALWAYS AS (xmlserialize(content xmlparse(content '<a/>') AS text)) STORED, \
           CONSTRAINT written_b CHECK (b IN ('a', 'b')), \
           CONSTRAINT written_a CHECK (a <> xmlserialize(content xmlparse(content '<b/>') AS text))); \
         CREATE INDEX written_where ON written (c) WHERE b IN ('a', 'b'); \
         CREATE TRIGGER written BEFORE UPDATE ON written FOR EACH ROW WHEN (old.a IS DISTINCT FROM xmlserialize(content xmlparse(content '<a/>') AS text)) \
           EXECUTE FUNCTION suppress_redundant_updates_trigger(); \
         CREATE POLICY written ON written USING (a <> xmlserialize(content xmlparse(content '<c/>') AS text) OR EXISTS (SELECT FROM messages)); \
         INSERT INTO written (b, c) VALUES ('a', 'b')",
    );
    let before = digest(&both.here, "chat");
    let moved = both.moves(&["--yes"]).exits(0);
    both.is_there(&before);
    assert_eq!(both.there.query("SELECT a || d FROM chat.written"), "<a/><a/>", "{}", moved.shown());
    assert_eq!(both.there.query("SELECT chat.counting() = count(*) FROM chat.of_a_view"), "t");
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

/// Whatever its schema is called: what counts is whether anything else is in it.
#[test]
fn a_schema_of_another_name_moves_if_nothing_else_is_in_it() {
    let moving = ["move", "chat", "--to", TO, "--yes"];
    for name in ["chat_prod", "Chat\"s own %s"] {
        let (here, there) = (Lab::empty(), Lab::empty());
        let migrate = |lab: &Lab, words: &[&str]| {
            let mut command = lab.command(words);
            run(command.env("CHAT_DATABASE_SCHEMA", name).env(TO, there.database.url()))
        };
        migrate(&here, &["up", "chat", "--quiet"]).exits(0);
        let query = |sql: &str| here.query(&sql.replace("SCHEMA", &quote_identifier(name)));
        query("CREATE TABLE SCHEMA.of_others ()");
        let refused = migrate(&here, &moving).exits(7);
        let says = format!("`of_others` is in its schema `{name}`, and is not known to be its own");
        assert!(refused.stderr.contains(&says), "{}", refused.shown());
        query(
            "DROP TABLE SCHEMA.of_others; CREATE FUNCTION SCHEMA.of_others() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        );
        assert!(migrate(&here, &moving).exits(7).stderr.contains(&says));
        query("DROP FUNCTION SCHEMA.of_others");
        let before = digest(&here, name);
        migrate(&here, &moving).exits(0);
        assert_eq!(digest(&there, name), before);
        migrate(&there, &["up", "chat"]).exits(0);
        migrate(&here, &["up", "chat"]).exits(7);
        // What is in it and is no relation is not taken for somebody else's when it is dropped.
        there.query(
            &"CREATE TYPE SCHEMA.mood AS ENUM ('good'); CREATE FUNCTION SCHEMA.is(SCHEMA.mood, int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; \
              CREATE OPERATOR SCHEMA.=== (LEFTARG = SCHEMA.mood, RIGHTARG = int, FUNCTION = SCHEMA.is)"
                .replace("SCHEMA", &quote_identifier(name)),
        );
        migrate(&there, &["reset", "chat", "--allow-data-loss"]).exits(0);
    }
    // In a schema in which another service lives, it stays.
    let elsewhere = Lab::empty();
    let both = |lab: &Lab, words: &[&str]| {
        let mut command = lab.command(words);
        command.env("CHAT_DATABASE_SCHEMA", "rag").env(TO, elsewhere.database.url());
        run(&mut command)
    };
    let shared = Lab::empty();
    both(&shared, &["up", "chat", "rag", "--quiet"]).exits(0);
    assert!(both(&shared, &moving).exits(7).stderr.contains("others live in its schema `rag`, or may"));
}
