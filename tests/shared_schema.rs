//! A schema that a service shares, where nothing of it is applied: what bears its names is of others, to every command.

use std::path::Path;

use crate::adopted::migrate;
use crate::support::{Lab, run};

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
    for (service, script) in FOREIGN {
        let lab = Lab::empty();
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
                "space" if script.contains("VIEW") => drop(ran.exits(2)),
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
