//! `status`: the state of each service, for people and for machines, without changing anything.

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::Value;

use crate::support::{Lab, run};

/// One service of `status --json`.
fn service<'d>(document: &'d Value, name: &str) -> &'d Value {
    document["services"].as_array().unwrap().iter().find(|service| service["name"] == name).unwrap()
}

#[test]
fn on_an_empty_database_it_creates_nothing() {
    let lab = Lab::empty();
    assert_snapshot!(lab.migrate(&["status", "chat"]).shown(), @"
    exit 0
    --- stdout
    SERVICE  STATE  APPLIED  PENDING  HELD BACK  CURRENT  VERSION TABLE
    chat     empty        0        4          0  –        chat.seaql_migrations_chat
    next: `up chat` applies 4 migrations
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
    lab.migrate(&["status"]).exits(0);
    lab.migrate(&["plan"]).exits(0);
    lab.migrate(&["history"]).exits(0);
    lab.migrate(&["verify"]).exits(0);
    let made = "SELECT (SELECT count(*) FROM pg_namespace WHERE nspname !~ '^(pg_|information_schema|public)'), \
                (SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace)";
    assert_eq!(lab.query(made), "0|0");
}

#[test]
fn people_see_a_table() {
    let lab = Lab::migrated();
    lab.migrate(&["down", "chat@-1"]).exits(0);
    assert_snapshot!(lab.migrate(&["status", "chat", "rag", "bookreader"]).shown(), @"
    exit 0
    --- stdout
    SERVICE     STATE    APPLIED  PENDING  HELD BACK  CURRENT                                        VERSION TABLE
    chat        behind         3        1          0  m20261120_000001_index_message_history         chat.seaql_migrations_chat
    rag         current        2        0          0  m20261120_000001_drop_redundant_user_id_index  rag.seaql_migrations_rag
    bookreader  current        8        0          1  m20261120_000001_add_id_defaults               bookreader.seaql_migrations_bookreader
    rag: tables of the AI manager that are not there: `public.embeddings`, `public.message_embeddings`
    rag: tables of the forum that are not there: `public.users`, `public.topics`, `public.messages`
    bookreader: `m20250824_154502_drop_reader_settings` is held back: it waits until [timestamp], then `up --contract` applies it
    next: `up chat` applies 1 migration
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
}

#[test]
fn machines_see_a_document() {
    let lab = Lab::migrated();
    lab.migrate(&["down", "chat@-1"]).exits(0);
    let document = lab.migrate(&["status", "--json"]).exits(0).json();
    let database = &document["database"];
    for (field, value) in [
        ("name", Value::from(lab.database.name())),
        ("port", 5432.into()),
        ("user", "postgres".into()),
        ("embedded", false.into()),
        ("reachable", true.into()),
        ("read_only", false.into()),
        ("error", Value::Null),
    ] {
        assert_eq!(database[field], value, "{field}");
    }
    assert_json_snapshot!(service(&document, "chat"), @r#"
    {
      "name": "chat",
      "schema": "chat",
      "version_table": "seaql_migrations_chat",
      "database": 0,
      "state": "behind",
      "current": "m20261120_000001_index_message_history",
      "head": "m20261120_000002_check_messages",
      "applied": 3,
      "pending": [
        "m20261120_000002_check_messages"
      ],
      "held_back": [],
      "missing": [],
      "ahead": [],
      "renamed": [],
      "out_of_order": [],
      "edited": [],
      "stopped_midway": [],
      "lock": null,
      "externals": [],
      "elsewhere": [],
      "taken": [],
      "broken": null,
      "refused": null,
      "error": null
    }
    "#);
    let held_back = &service(&document, "bookreader")["held_back"][0];
    assert_eq!(held_back["migration"], "m20250824_154502_drop_reader_settings");
    assert!(held_back["until"].is_string(), "{held_back}");
}

#[test]
fn check_tells_by_its_exit_code() {
    let lab = Lab::migrated();
    lab.migrate(&["status", "--check"]).exits(0);
    lab.migrate(&["down", "chat@-1"]).exits(0);
    lab.migrate(&["status", "--check"]).exits(3);
    lab.migrate(&["status", "--check", "rag"]).exits(0);
    let document = lab.migrate(&["status", "--check", "--json"]).exits(3).json();
    assert_eq!((&document["ok"], &document["exit_code"]), (&false.into(), &3.into()));
    lab.query("INSERT INTO rag.seaql_migrations_rag VALUES ('m20260101_000000_of_another_branch', 1)");
    assert_snapshot!(lab.migrate(&["status", "--check", "rag"]).shown(), @"
    exit 4
    --- stdout
    SERVICE  STATE     APPLIED  PENDING  HELD BACK  CURRENT                                        VERSION TABLE
    rag      diverged        2        0          0  m20261120_000001_drop_redundant_user_id_index  rag.seaql_migrations_rag
    rag: applied, and missing in this build: `m20260101_000000_of_another_branch`
    rag: `repair rag` says what that means, and what mends it
    rag: tables of the AI manager that are not there: `public.embeddings`, `public.message_embeddings`
    rag: tables of the forum that are not there: `public.users`, `public.topics`, `public.messages`
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
}

#[test]
fn a_migration_from_the_future_is_ahead_and_not_missing() {
    let lab = Lab::migrated();
    lab.query("INSERT INTO rag.seaql_migrations_rag VALUES ('m20990101_000000_of_tomorrow', 4070908800)");
    let document = lab.migrate(&["status", "--json"]).exits(0).json();
    assert_eq!(service(&document, "rag")["ahead"][0], "m20990101_000000_of_tomorrow");
    assert_snapshot!(lab.migrate(&["up", "rag"]).shown(), @"
    exit 4
    --- stdout
    --- stderr
    error: migration `rag:m20990101_000000_of_tomorrow` is applied but newer than this build
      hint use the build that applied `rag:m20990101_000000_of_tomorrow`, or a newer one; if the older application runs on purpose, say `up --allow-ahead`
    ");
    lab.migrate(&["up", "rag", "--allow-ahead"]).exits(0);
}

/// Its number is the same, so it is one migration, and nothing applies it a second time. A name that goes on with a number is
/// no later one for that.
#[test]
fn a_migration_that_was_renamed_is_not_applied_again() {
    let lab = Lab::migrated();
    lab.query(
        "UPDATE chat.seaql_migrations_chat SET version = 'm20261120_000002_2_checks' \
         WHERE version = 'm20261120_000002_check_messages'",
    );
    let document = lab.migrate(&["status", "--json"]).exits(0).json();
    let chat = service(&document, "chat");
    assert_eq!(
        (&chat["state"], &chat["missing"], &chat["ahead"]),
        (&"diverged".into(), &Value::Array(Vec::new()), &Value::Array(Vec::new()))
    );
    let rows = || {
        lab.query(
            "SELECT string_agg(version, ' ' ORDER BY version), (SELECT count(*) FROM chat.migration_journal_chat) \
             FROM chat.seaql_migrations_chat",
        )
    };
    let before = rows();
    assert_snapshot!(lab.migrate(&["status", "chat", "--check"]).shown(), @"
    exit 4
    --- stdout
    SERVICE  STATE     APPLIED  PENDING  HELD BACK  CURRENT                                 VERSION TABLE
    chat     diverged        3        1          0  m20261120_000001_index_message_history  chat.seaql_migrations_chat
    chat: `m20261120_000002_2_checks` is applied, and is called `m20261120_000002_check_messages` in this build
    chat: `repair chat` says what that means, and what mends it
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
    for allowed in [&["up", "chat"][..], &["up", "chat", "--allow-ahead"], &["plan", "chat"]] {
        let ran = lab.migrate(allowed).exits(4);
        assert!(ran.stderr.contains("is called `m20261120_000002_check_messages` here"), "{}", ran.shown());
    }
    assert_snapshot!(lab.migrate(&["up", "--allow-ahead"]).shown(), @"
    exit 4
    --- stdout
    --- stderr
    error: migration `chat:m20261120_000002_2_checks` is applied, and is called `m20261120_000002_check_messages` here
      hint name the file `m20261120_000002_2_checks` again; or, once every build calls it `m20261120_000002_check_messages`, `repair chat` shows how to rename its row
    ");
    assert_eq!(rows(), before);
    assert!(lab.migrate(&["history", "chat"]).exits(0).stdout.contains("renamed"));
}

#[test]
fn a_role_that_may_only_select_sees_all() {
    let lab = Lab::migrated();
    let reader = lab.role("IN ROLE pg_read_all_data");
    let ran = run(lab.command(&["status", "--check"]).env("DATABASE_URL", lab.url_of(&reader))).exits(0);
    assert!(ran.stderr.contains(&reader), "{}", ran.shown());
}

#[test]
fn a_read_only_database_is_asked_all_the_same() {
    let lab = Lab::migrated();
    lab.query(&format!("ALTER DATABASE {} SET default_transaction_read_only = on", lab.database.name()));
    let document = lab.migrate(&["status", "--check", "--json"]).exits(0).json();
    assert_eq!(document["database"]["read_only"], true);
}

#[test]
fn what_a_role_may_not_read_is_forbidden_and_not_empty() {
    let lab = Lab::migrated();
    let stranger = lab.role("");
    let status = |arguments: &[&str]| run(lab.command(arguments).env("DATABASE_URL", lab.url_of(&stranger)));
    assert_snapshot!(status(&["status", "chat"]).shown(), @"
    exit 8
    --- stdout
    SERVICE  STATE      APPLIED  PENDING  HELD BACK  CURRENT  VERSION TABLE
    chat     forbidden        ?        ?          ?  ?        chat.seaql_migrations_chat
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `[role]`
    error: `chat`: role `[role]` may not read `chat.seaql_migrations_chat`
      hint it needs USAGE on the schema and SELECT on `chat.seaql_migrations_chat`
    ");
    let document = status(&["status", "--json"]).exits(8).json();
    assert_eq!(service(&document, "chat")["state"], "forbidden");
    assert_eq!(service(&document, "chat")["pending"], Value::Null);
}

#[test]
fn what_surrounds_the_services_is_shown_on_request() {
    let lab = Lab::migrated();
    let verbose = |user: &str| {
        let mut command = lab.command(&["status", "chat", "--verbose"]);
        let ran = run(command.env("DATABASE_URL", lab.url_of(user))).exits(0);
        ran.stdout
            .lines()
            .skip(2)
            .filter(|line| line.contains('`'))
            .fold(String::new(), |all, line| all + line + "\n")
    };
    assert_snapshot!(verbose("postgres"), @"
    `[database]`: role `postgres` is a superuser, whom no right and no policy holds back
    `[database]`: no event trigger, no setting that our sessions override, no table with row security
    ");
    let role = lab.role("");
    lab.query(&format!(
        "CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
         CREATE EVENT TRIGGER watcher ON ddl_command_end EXECUTE FUNCTION public.watch(); \
         CREATE EVENT TRIGGER sleeper ON ddl_command_end EXECUTE FUNCTION public.watch(); \
         ALTER EVENT TRIGGER sleeper DISABLE; \
         ALTER TABLE chat.messages ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
         ALTER ROLE {role} SET standard_conforming_strings = off; \
         ALTER ROLE {role} SET work_mem = '8MB'; \
         ALTER DATABASE {database} SET quote_all_identifiers = on; \
         GRANT USAGE ON SCHEMA chat TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA chat TO {role}",
        database = lab.database.name()
    ));
    assert_snapshot!(verbose(&role), @"
    `[database]`: role `[role]` is subject to row security, and stops where a policy would hide rows
    `[database]`: event trigger `watcher` calls `public.watch` at ddl_command_end
    `[database]`: database sets `quote_all_identifiers` to `on`; our sessions set `off`: definitions would be quoted, and compare as different
    `[database]`: role sets `standard_conforming_strings` to `off`; our sessions set `on`: a backslash in a literal would be an escape
    chat: table `messages` has row security, for its owner too
    ");
    let mut command = lab.command(&["status", "chat", "--verbose", "--json"]);
    let document = run(command.env("DATABASE_URL", lab.url_of(&role))).exits(0).json();
    let surroundings = &document["database"]["surroundings"];
    assert_eq!(surroundings["event_triggers"][0]["function"], "public.watch");
    assert_eq!(surroundings["row_security"][0]["forced"], true);
    assert_eq!(surroundings["overridden_settings"].as_array().unwrap().len(), 2);
    assert!(lab.migrate(&["status", "--json"]).json()["database"].get("surroundings").is_none());
}

/// Scripts of earlier systems, and of anybody, drop what triggers, checks and applications need: the histories fit, and nothing
/// works. What is gone is named.
#[test]
fn what_was_dropped_behind_its_back_is_not_green() {
    const CFI: &str = "DROP INDEX bookreader.idx_reading_progress_cfi; \
        ALTER TABLE bookreader.reading_progress DROP COLUMN reading_location_cfi";
    const SCROLL: &str = "ALTER TABLE bookreader.reading_progress DROP CONSTRAINT check_scroll_offset_range; \
        ALTER TABLE bookreader.reading_progress DROP COLUMN scroll_offset_percent";
    const RATING: &str = "DROP INDEX bookreader.idx_books_high_rating; DROP INDEX bookreader.idx_books_rating; \
        ALTER TABLE bookreader.books DROP COLUMN rating";
    const PREFERENCES: &str = "ALTER TABLE bookreader.users ADD COLUMN IF NOT EXISTS reader_settings JSON; \
        UPDATE bookreader.users SET reader_settings = json_build_object('theme', up.theme, 'language', up.language) \
        FROM bookreader.user_preferences up WHERE users.id = up.user_id; DROP TABLE bookreader.user_preferences";
    const QUERIES: &str = "DROP INDEX bookreader.idx_books_fulltext; DROP INDEX bookreader.idx_images_completed; \
        DROP INDEX bookreader.idx_books_unparsed; DROP INDEX bookreader.idx_descriptions_chapter_priority; \
        DROP INDEX bookreader.idx_books_user_created; \
        ALTER TABLE bookreader.generated_images RESET (autovacuum_vacuum_scale_factor)";
    const TENANTS: &str = "SET search_path = profochatbot; \
        ALTER TABLE conversation DROP CONSTRAINT IF EXISTS conversation_account_id_fkey; \
        ALTER TABLE conversation DROP CONSTRAINT IF EXISTS conversation_run_id_fkey; \
        ALTER TABLE run DROP CONSTRAINT IF EXISTS run_account_id_fkey; \
        ALTER TABLE run DROP CONSTRAINT IF EXISTS run_bot_id_fkey; \
        ALTER TABLE run DROP CONSTRAINT IF EXISTS run_deployment_id_fkey; \
        ALTER TABLE conversation DROP COLUMN IF EXISTS account_id; \
        ALTER TABLE run DROP COLUMN IF EXISTS account_id, DROP COLUMN IF EXISTS bot_id, DROP COLUMN IF EXISTS deployment_id; \
        DROP TABLE IF EXISTS enrollment_token CASCADE; DROP TABLE IF EXISTS course_deployment CASCADE; \
        DROP TABLE IF EXISTS bot CASCADE; DROP TABLE IF EXISTS account_member CASCADE; DROP TABLE IF EXISTS account CASCADE";
    // Where the database is (at head, or at a migration), the script, and what is named.
    for (at, script, gone) in [
        ("chat", "DROP INDEX chat.idx_messages_source", "idx_messages_source"),
        (
            "rag",
            "DROP TRIGGER update_user_knowledge_updated_at ON rag.user_knowledge",
            "update_user_knowledge_updated_at",
        ),
        ("bookreader", CFI, "reading_progress.reading_location_cfi"),
        ("bookreader", SCROLL, "reading_progress.scroll_offset_percent"),
        ("bookreader", RATING, "books.rating"),
        ("bookreader", PREFERENCES, "user_preferences"),
        ("bookreader", QUERIES, "idx_books_fulltext"),
        // At head, the server refuses all of that script: a trigger names the column.
        ("profochatbot", "ALTER TABLE profochatbot.run DROP COLUMN bot_id CASCADE", "run.bot_id"),
        ("profochatbot@m20260110_000001", TENANTS, "bot"),
        ("assessments", "DROP TABLE assessments.questions CASCADE", "questions"),
    ] {
        let (service, target) = at.split_once('@').unwrap_or((at, ""));
        let lab = if target.is_empty() { Lab::migrated() } else { Lab::empty() };
        if !target.is_empty() {
            lab.migrate(&["up", at, "--quiet"]).exits(0);
        }
        lab.query(script);
        let shown = lab.migrate(&["status", service, "--check"]).exits(4).stdout;
        let line = format!("{service}: no longer as applied migrations left it: ");
        let named = shown.lines().find(|shown| shown.starts_with(&line));
        assert!(named.is_some_and(|named| named.contains(&format!("`{gone}`"))), "{at}: {script}: {shown}");
        assert!(shown.contains("to take migrations back, use `down`"), "{at}: {shown}");
        assert!(!shown.contains("up to date"), "{at}: {shown}");
    }
    let lab = Lab::migrated();
    lab.query("DROP TABLE assessments.questions CASCADE");
    let document = lab.migrate(&["status", "--check", "--json"]).exits(4).json();
    let broken = |document: &serde_json::Value| document["broken"].as_array().unwrap().len();
    let services = document["services"].as_array().unwrap();
    assert!(
        services.iter().all(|document| (broken(document) > 0) == (document["name"] == "assessments")),
        "{document}"
    );
    lab.migrate(&["status"]).exits(0);
    lab.migrate(&["verify", "assessments"]).exits(4);
    let up = lab.migrate(&["up"]).exits(0);
    assert!(up.stdout.starts_with("4 of 5 services up to date"), "{}", up.stdout);
    let said =
        "`assessments`: everything is applied, and tables of its application are not there: `questions`";
    assert!(up.stderr.contains(said), "{}", up.stderr);
}

/// The way that leads out of such a script is named, and leads out.
#[test]
fn what_was_dropped_behind_its_back_is_brought_back() {
    const ROLLBACK: &str = "SET search_path = profochatbot; \
        ALTER TABLE conversation DROP COLUMN IF EXISTS account_id CASCADE; \
        ALTER TABLE run DROP COLUMN IF EXISTS account_id CASCADE, DROP COLUMN IF EXISTS bot_id CASCADE, \
          DROP COLUMN IF EXISTS deployment_id CASCADE; \
        DROP TABLE IF EXISTS enrollment_token, course_deployment, bot, account_member, account CASCADE";
    let lab = Lab::inherited();
    let bots = "SELECT string_agg(bot_name, ' ' ORDER BY bot_name) FROM profochatbot.bot";
    let before = lab.query(bots);
    lab.query(ROLLBACK);
    let repair = "`drift profochatbot --repair`";
    let up = lab.migrate(&["up", "profochatbot"]).exits(0);
    assert!(up.stderr.contains(repair), "{}", up.stderr);
    let (_, down) = up.stderr.split_once("; if `verify` fails then, `").unwrap();
    let (down, _) = down.split_once('`').unwrap();
    assert_eq!(down, "down profochatbot@m20240101_000001_create_profochatbot --allow-data-loss");
    let down: Vec<&str> = down.split(' ').collect();
    // What is gone cannot be reverted: that is said before anything is, with what helps.
    let refused = lab.migrate(&down).exits(7).stderr;
    assert!(refused.contains("`account` is missing") && refused.contains(repair), "{refused}");
    let status = lab.migrate(&["status", "profochatbot", "--check"]).exits(4).stdout;
    assert!(status.contains(repair), "{status}");

    let script = lab.migrate(&["drift", "profochatbot", "--repair"]).exits(4).stdout;
    lab.query(&script);
    lab.migrate(&["verify", "profochatbot"]).exits(4);
    lab.migrate(&down).exits(0);
    lab.migrate(&["up", "profochatbot"]).exits(0);
    for looking in
        [&["verify", "profochatbot"][..], &["drift", "profochatbot"], &["status", "profochatbot", "--check"]]
    {
        lab.migrate(looking).exits(0);
    }
    assert_eq!(lab.query(bots), before);
}
