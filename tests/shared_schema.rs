//! A schema that a service shares. Where nothing of it is applied, what bears its names is of others, to every command; where something
//! is, its own is what bears its names exactly, and what hangs on that.

use std::path::Path;

use crate::adopted::migrate;
use crate::support::{Lab, Running, run};

/// Everything in the schema with its owner, and the rows of its tables.
const THERE: &str = "SELECT string_agg(concat_ws(' ', c.relname, c.relkind, c.relowner::regrole, \
       CASE WHEN c.relkind = 'r' THEN query_to_xml(format('SELECT * FROM public.%I', c.relname), true, false, '')::text END), ', ' \
       ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace";

/// What others have under names of a service.
const FOREIGN: [(&str, &str); 5] = [
    ("chat", "CREATE TABLE public.messages (forum_id int PRIMARY KEY, body text)"),
    (
        "chat",
        "CREATE TABLE public.messages (forum_id int PRIMARY KEY, body text); INSERT INTO public.messages VALUES (1, 'of the forum'); \
         CREATE TABLE public.messages_of_old (forum_id serial); CREATE TYPE public.mood AS ENUM ('good'); \
         ALTER TABLE public.messages ADD COLUMN mood public.mood",
    ),
    ("chat", "CREATE VIEW public.messages AS SELECT 1 AS id"),
    ("bookreader", "CREATE VIEW public.users AS SELECT 1 AS id"),
    ("rag", "CREATE TABLE public.user_knowledge (id int); INSERT INTO public.user_knowledge VALUES (1)"),
];

/// What others have beside a service that is applied there: of every kind, under names that begin like those of chat and bookreader,
/// that differ by case, that need quotes, or that another kind of thing has.
const BESIDE: &str = "CREATE TABLE messages_old (id serial PRIMARY KEY, body text); INSERT INTO messages_old (body) VALUES ('of the forum'); \
    CREATE INDEX messages_by_body ON messages_old (body); CREATE STATISTICS messages_of_old ON id, body FROM messages_old; \
    CREATE TABLE \"Messages\" (id int); CREATE TABLE \"messages \"\"old\"\"\" (id int); CREATE TABLE users_of_forum (id int); \
    CREATE TABLE messages_log (id int, at date) PARTITION BY RANGE (at); \
    CREATE TABLE messages_log_2026 PARTITION OF messages_log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01'); \
    CREATE TABLE seaql_migrations_chat_old (version varchar); CREATE TABLE migration_journal_chat_old (id serial); \
    CREATE VIEW messages_recent AS SELECT * FROM messages_old; CREATE MATERIALIZED VIEW messages_counted AS SELECT count(*) FROM messages_old; \
    CREATE SEQUENCE messages_seq; CREATE TYPE messages_kind AS ENUM ('a'); CREATE TYPE messages_pair AS (a int, b int); \
    CREATE DOMAIN messages_text AS text; CREATE COLLATION messages_order (locale = 'C'); \
    CREATE FUNCTION messages_touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
    CREATE TRIGGER messages BEFORE UPDATE ON messages_old FOR EACH ROW EXECUTE FUNCTION messages_touch(); \
    CREATE FUNCTION messages() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION users(int) RETURNS int LANGUAGE sql AS 'SELECT 1'; \
    CREATE FUNCTION carried_preferences(text) RETURNS text LANGUAGE sql AS 'SELECT $1'; \
    CREATE FUNCTION owner() RETURNS int LANGUAGE sql AS 'SELECT 1'";

/// All that a role has, as the server names it from the schema.
fn belongings(lab: &Lab, role: &str) -> String {
    let of = |catalog: &str, owner: &str| {
        format!(
            "SELECT pg_describe_object('{catalog}'::regclass, oid, 0) FROM {catalog} WHERE {owner} = '{role}'::regrole"
        )
    };
    let kinds = [
        of("pg_class", "relowner"),
        of("pg_proc", "proowner"),
        of("pg_type", "typowner"),
        of("pg_statistic_ext", "stxowner"),
        of("pg_collation", "collowner"),
    ];
    lab.query(&format!(
        "SELECT string_agg(what, E'\\n' ORDER BY what) FROM ({}) AS all_of(what)",
        kinds.join(" UNION ALL ")
    ))
}

/// An archive of the service, made where it is in that schema.
fn archive(service: &str) -> (Lab, String) {
    let lab = Lab::empty();
    migrate(&lab, service, &["up", service, "--quiet"]).exits(0);
    let made = migrate(&lab, service, &["backup", service, "--no-verify", "--json"]).exits(0).json();
    let archive = made["backups"][0]["archive"].as_str().unwrap();
    let archive = lab.directory.path().join(Path::new(archive)).to_str().unwrap().to_owned();
    (lab, archive)
}

#[test]
fn what_bears_a_services_names_is_of_others_until_it_is_applied() {
    let there = Lab::empty();
    let archives = ["chat", "bookreader", "rag"].map(|service| (service, archive(service)));
    for ((service, script), is_installed) in FOREIGN.iter().flat_map(|case| [(*case, false), (*case, true)]) {
        let lab = Lab::empty();
        if is_installed {
            migrate(&lab, service, &["up", service, "--quiet"]).exits(0);
            migrate(&lab, service, &["reset", service]).exits(0);
        }
        let forum = format!("{}_forum", lab.database.name());
        lab.query(&format!(
            "CREATE ROLE {forum}; GRANT CREATE ON SCHEMA public TO {forum}; SET ROLE {forum}; {script}"
        ));
        let before = lab.query(THERE);
        assert!(before.contains(&forum), "{before}");
        let (_, (_, archive)) = archives.iter().find(|(of, _)| *of == service).unwrap();
        let prefix = format!("{}_", lab.database.name());
        let table = script.split(['.', ' ', '(']).nth(3).unwrap();
        let commands: [&[&str]; 10] = [
            &["reset", service],
            &["reset", service, "--dry-run"],
            &["reset", service, "--allow-data-loss"],
            &["restore", archive],
            &["restore", archive, "--from-elsewhere", "--allow-data-loss"],
            &["roles", service, "--prefix", &prefix],
            &["roles", service, "--prefix", &prefix, "--sql"],
            &["backup", service, "--no-verify"],
            &["space", service, "--reclaim", table],
            &["citus", "distribute", service, "--yes"],
        ];
        for command in commands {
            // A table that is there to be taken over may be backed up before it is.
            let ran = migrate(&lab, service, command);
            assert_eq!(lab.query(THERE), before, "{command:?}: {}", ran.shown());
            let says = format!(
                "`{service}` has nothing applied in schema `public`, and names that it makes are taken there"
            );
            match command[0] {
                "backup" if service == "rag" => drop(ran.exits(0)),
                // It is no table of the service.
                "space" if service != "rag" => drop(ran.exits(2)),
                "citus" => drop(ran.exits(2)),
                _ => assert!(ran.code == 7 && ran.stderr.contains(&says), "{command:?}: {}", ran.shown()),
            }
        }
        let mut moving = lab.command(&["move", service, "--to", "NEW_DATABASE_URL", "--yes"]);
        let schema = format!("{}_DATABASE_SCHEMA", service.to_uppercase());
        let moved = run(moving.env(schema, "public").env("NEW_DATABASE_URL", there.database.url())).exits(7);
        assert!(moved.stderr.contains("nothing of it is applied here"), "{}", moved.shown());
        assert_eq!(lab.query(THERE), before);
        let all = migrate(&lab, service, &["backup", "--no-verify", "--json"]).exits(0).json();
        let is_left_out = all["empty"].as_array().unwrap().iter().any(|empty| empty == service);
        assert_eq!(is_left_out, service != "rag", "{all}");
        lab.query(&format!("DROP OWNED BY {forum}; DROP ROLE {forum}"));
    }
}

/// What is applied or taken over is the service's own, as before; what it has moved out of the schema is not.
#[test]
fn what_is_taken_over_is_its_own() {
    let lab = Lab::empty();
    let chat = |arguments: &[&str]| migrate(&lab, "chat", arguments);
    chat(&["up", "chat", "--quiet"]).exits(0);
    chat(&["reset", "chat"]).exits(0);
    chat(&["reset", "chat"]).exits(0);
    chat(&["up", "chat", "--quiet"]).exits(0);
    chat(&["backup", "chat", "--no-verify"]).exits(0);
    lab.query("DROP TABLE seaql_migrations_chat, migration_journal_chat");
    chat(&["reset", "chat"]).exits(7);
    chat(&["adopt", "chat", "--from", "schema", "--into-schema", "chat"]).exits(0);
    // The view of its old name stays, whoever forgets to take the variable away.
    let before = lab.query(THERE);
    assert!(before.contains("messages v"), "{before}");
    chat(&["reset", "chat", "--allow-data-loss"]).exits(7);
    assert_eq!(lab.query(THERE), before);
    assert_eq!(lab.query("SELECT to_regclass('chat.messages')"), "chat.messages");
}

#[test]
fn what_only_begins_alike_is_of_others() {
    for service in ["chat", "bookreader"] {
        let lab = Lab::empty();
        let (forum, prefix) = (format!("{}_forum", lab.database.name()), format!("{}_", lab.database.name()));
        let ask = |arguments: &[&str]| migrate(&lab, service, arguments);
        ask(&["up", &format!("{service}@+1"), "--quiet"]).exits(0);
        ask(&["up", service, "--quiet"]).exits(0);
        lab.query(&format!(
            "CREATE ROLE {forum}; GRANT CREATE ON SCHEMA public TO {forum}; SET ROLE {forum}; {BESIDE}"
        ));
        lab.query("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'messages_by_body'::regclass");
        let before = belongings(&lab, &forum);
        let is_as_before = |what: &str| assert_eq!(belongings(&lab, &forum), before, "{service}: {what}");
        assert!(before.contains("messages_log_2026") && before.contains("messages_order"), "{before}");

        // A plan holds whatever others do.
        ask(&["plan", service, "--contract", "--ignore-soak", "--out", "plan.json"]).exits(0);
        lab.query(
            "ALTER TABLE messages_old ADD COLUMN later int; ALTER TABLE users_of_forum ADD COLUMN later int",
        );
        ask(&["apply", "plan.json", "--allow-data-loss", "--quiet"]).exits(0);
        let rows = lab.query(THERE);
        assert!(rows.contains("of the forum"), "{rows}");
        let repair = ask(&["repair", service]).exits(0);
        assert!(!repair.shown().contains("messages_by_body"), "{}", repair.shown());
        let drift = ask(&["drift", service]).exits(0);
        assert!(!drift.shown().contains("_old"), "{}", drift.shown());
        let sizes = ask(&["space", service, "--json"]).exits(0).json();
        let is_others = |name: &str| before.lines().any(|line| line.ends_with(&format!(" {name}")));
        let tables = sizes["tables"].as_array().unwrap();
        assert!(tables.iter().all(|table| !is_others(table["table"].as_str().unwrap())), "{sizes}");

        let script = ask(&["roles", service, "--prefix", &prefix, "--sql"]).exits(0).stdout;
        assert_eq!(ask(&["roles", service, "--prefix", &prefix]).exits(0).stdout, script);
        is_as_before("roles");
        let table = if service == "chat" { "messages" } else { "users" };
        let owner = format!("SELECT relowner::regrole FROM pg_class WHERE oid = '{table}'::regclass");
        assert_eq!(lab.query(&owner), format!("{prefix}{service}_owner"));

        let made = ask(&["backup", service, "--no-verify", "--json"]).exits(0).json();
        let manifest = &made["backups"][0]["manifest"];
        let backed_up = manifest["tables"].as_array().unwrap();
        assert!(backed_up.iter().any(|found| found["name"] == table), "{manifest}");
        assert!(backed_up.iter().all(|found| !is_others(found["name"].as_str().unwrap())), "{manifest}");
        let archive = made["backups"][0]["archive"].as_str().unwrap();
        ask(&["restore", archive, "--allow-data-loss"]).exits(0);
        is_as_before("restore");
        ask(&["restore", "--drop-old", service, "--allow-data-loss"]).exits(0);
        is_as_before("restore --drop-old");

        ask(&["reset", service, "--allow-data-loss"]).exits(0);
        is_as_before("reset");
        assert_eq!(lab.query(&format!("SELECT to_regclass('{table}')")), "");
        assert_eq!(lab.query("SELECT body FROM messages_old"), "of the forum");
        lab.query(&format!("DROP OWNED BY {forum}; DROP ROLE {forum}"));
    }
}

/// The index of a table, the sequence of a column, its type and the function of its trigger go with it, whatever they are called.
#[test]
fn what_hangs_on_a_table_is_its_services() {
    let lab = Lab::empty();
    let ask = |arguments: &[&str]| migrate(&lab, "chat", arguments);
    ask(&["up", "chat", "--quiet"]).exits(0);
    let prefix = format!("{}_", lab.database.name());
    lab.query(
        "CREATE TYPE temper AS ENUM ('good'); ALTER TABLE messages ADD COLUMN temper temper, ADD COLUMN place serial; \
         CREATE INDEX found_fast ON messages (temper); CREATE STATISTICS known ON role, temper FROM messages; \
         CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER stamped BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION stamp(); \
         CREATE FUNCTION shared_stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER stamped_too BEFORE UPDATE ON messages FOR EACH ROW EXECUTE FUNCTION shared_stamp(); \
         CREATE TABLE wiki (id int); \
         CREATE TRIGGER stamped_too BEFORE UPDATE ON wiki FOR EACH ROW EXECUTE FUNCTION shared_stamp()",
    );
    ask(&["roles", "chat", "--prefix", &prefix]).exits(0);
    let owned = belongings(&lab, &format!("{prefix}chat_owner"));
    for hanging in [
        "index found_fast",
        "sequence messages_place_seq",
        "type temper",
        "statistics object known",
        "function stamp()",
    ] {
        assert!(owned.contains(hanging), "{hanging}: {owned}");
    }
    // What others use too is theirs as well.
    assert!(!owned.contains("shared_stamp") && !owned.contains("wiki"), "{owned}");
    ask(&["reset", "chat", "--allow-data-loss"]).exits(0);
    assert_eq!(lab.query("SELECT to_regproc('stamp'), to_regtype('temper'), to_regproc('shared_stamp'), to_regclass('wiki')"), "||shared_stamp|wiki");
}

/// What others make while a command waits for the lock is looked at once it has it.
#[test]
fn what_is_made_meanwhile_is_of_others() {
    let (_made_in, archive) = archive("chat");
    for arguments in [
        &["roles", "chat", "--prefix", "PREFIX", "--wait", "60s"][..],
        &["reset", "chat", "--allow-data-loss", "--wait", "60s"],
        &["restore", &archive, "--from-elsewhere", "--allow-data-loss", "--wait", "60s"],
        &["up", "chat", "--wait", "60s"],
    ] {
        let lab = Lab::empty();
        migrate(&lab, "chat", &["up", "chat", "--quiet"]).exits(0);
        migrate(&lab, "chat", &["reset", "chat"]).exits(0);
        let prefix = format!("{}_", lab.database.name());
        let arguments: Vec<&str> =
            arguments.iter().map(|word| if *word == "PREFIX" { prefix.as_str() } else { word }).collect();
        let mut session = lab.session();
        session.query("SELECT pg_advisory_lock(hashtextextended('migrate:public.seaql_migrations_chat', 0))");
        let mut command = lab.command(&arguments);
        command.env("CHAT_DATABASE_SCHEMA", "public");
        let mut waiting = Running::start(command);
        waiting.says("waiting");
        session.query("CREATE TABLE messages (forum_id int); INSERT INTO messages VALUES (1)");
        let before = lab.query(THERE);
        drop(session);
        let refused = waiting.finish().exits(7);
        assert!(refused.stderr.contains("names that it makes are taken there"), "{}", refused.shown());
        assert_eq!(lab.query(THERE), before, "{arguments:?}");
    }
}
