//! Taking over a database that an earlier system made: what its own version table or the schema says was applied is compared with
//! what our migrations make, and only then recorded. It is long because each earlier system and each refusal are here.

use insta::assert_snapshot;

use crate::adopted::{
    ASSESSMENTS, BOOKREADER, BOOKREADER_AUGUST, BOOKREADER_OCTOBER, CHAT, CHAT_SOURCE, PROFOCHATBOT, migrate,
};
use crate::support::{Lab, Session, run};

/// A database in which these scripts were run, in `public`.
fn lab(scripts: &[&str]) -> Lab {
    let lab = Lab::empty();
    for script in scripts {
        lab.query(script);
    }
    lab
}

/// The table of an earlier tool, with these ids.
fn with_ids(lab: &Lab, columns: &str, rows: &str) {
    lab.query(&format!("CREATE TABLE {columns}; INSERT INTO {rows}"));
}

fn alembic(lab: &Lab, revision: &str) {
    let columns =
        "alembic_version (version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)";
    with_ids(lab, columns, &format!("alembic_version VALUES ('{revision}')"));
}

/// What was written: nothing else than the bookkeeping may change.
fn schema(lab: &Lab) -> String {
    lab.query(
        "SELECT string_agg(relname || ':' || relkind::text || ':' || relnatts || ':' || relfilenode, ' ' ORDER BY relname) \
         FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE '%migration%'",
    )
}

/// A service, the scripts of its earlier system, the Alembic revision that it records, options, and how many migrations that is.
type Past<'p> = (&'p str, &'p [&'p str], Option<&'p str>, &'p [&'p str], usize);

/// Each earlier system's database, with rows: how it is taken over, what is left after all migrations, and that it can go back.
#[test]
fn every_earlier_database_is_taken_over_and_goes_to_head() {
    let in_utc = ["--accept", "*_at"];
    let scrolled = ["--accept", "*.id", "--accept", "*.scroll_offset_percent"];
    let without_august = [&scrolled[..], &["--without", "m20250824_*"]].concat();
    let other_spelling = ["--accept", "*.*"];
    let pasts: [Past; 6] = [
        ("chat", &[CHAT], Some("e65a515f830d"), &[], 1),
        ("assessments", &[ASSESSMENTS], None, &in_utc, 2),
        ("profochatbot", &[PROFOCHATBOT], None, &other_spelling, 1),
        ("bookreader", &[BOOKREADER, BOOKREADER_OCTOBER], Some("e94cab18247f"), &without_august, 3),
        ("bookreader", &[BOOKREADER, BOOKREADER_OCTOBER], None, &without_august, 3),
        ("bookreader", &[BOOKREADER, BOOKREADER_AUGUST, BOOKREADER_OCTOBER], None, &scrolled, 8),
    ];
    for (service, scripts, revision, accepted, n_migrations) in pasts {
        let lab = lab(scripts);
        let from = match revision {
            Some(revision) => {
                alembic(&lab, revision);
                "alembic"
            }
            None => "schema",
        };
        let before = schema(&lab);
        let adopt = [&["adopt", service, "--from", from][..], accepted].concat();
        let adopted = migrate(&lab, service, &[&adopt[..], &["--json"]].concat()).exits(0).json();
        let document = &adopted["services"][0];
        assert_eq!(document["migrations"].as_array().unwrap().len(), n_migrations, "{document}");
        assert_eq!(document["recorded"], true);
        assert_eq!(schema(&lab), before, "{service}");
        let consents = lab.query(&format!(
            "SELECT DISTINCT split_part(consent, ' ', 1), outcome FROM migration_journal_{service}"
        ));
        assert_eq!(consents, "adopted|succeeded", "{service}");
        // What was accepted is told apart from what differs.
        let drift = migrate(&lab, service, &["drift", service, "--json"]).exits(0).json();
        assert_eq!(drift["services"][0]["differences"].as_array().unwrap().len(), 0, "{drift}");
        let n_accepted = document["accepted"].as_array().unwrap().len();
        assert_eq!(drift["services"][0]["accepted"].as_array().unwrap().len(), n_accepted, "{drift}");
        assert_eq!(n_accepted > 0, !accepted.is_empty(), "{document}");
        migrate(&lab, service, &["up", service]).exits(0);
        migrate(&lab, service, &["up", service, "--contract", "--ignore-soak", "--allow-data-loss"]).exits(0);
        migrate(&lab, service, &["verify", service]).exits(0);
        migrate(&lab, service, &["status", service, "--check"]).exits(0);
    }
}

/// Every difference is named, nothing is written, and what is accepted has to differ.
#[test]
fn a_schema_that_differs_is_refused_object_by_object() {
    let lab = lab(&[CHAT, CHAT_SOURCE]);
    alembic(&lab, "a1b2c3d4e5f6");
    lab.query("DROP INDEX idx_messages_source; ALTER TABLE messages ALTER COLUMN content DROP NOT NULL; CREATE INDEX by_hand ON messages (content)");
    let adopt = ["adopt", "chat", "--from", "alembic"];
    assert_snapshot!(migrate(&lab, "chat", &adopt).shown(), @"
    exit 4
    --- stdout
    chat          2 migrations, by public.alembic_version: a1b2c3d4e5f6
      m20251016_000001_create_messages
      m20251017_000001_add_message_source
      3 differences of `public` from what they make: nothing is recorded
        ~ column messages.content: not null yes → nothing
        + index messages.by_hand
        - index messages.idx_messages_source
    nothing was recorded
    --- stderr
    hint: `--without MIGRATION` leaves out what the earlier system never had; `--accept OBJECT` accepts a difference, but not what migrations promise (`idx_messages_source`, `messages.content`); `--json` has the statements that close them
    ");
    assert_eq!(lab.query("SELECT to_regclass('seaql_migrations_chat')"), "");
    let script = migrate(&lab, "chat", &[&adopt[..], &["--json"]].concat()).exits(4).json();
    let script = script["services"][0]["repair"].as_str().unwrap().to_owned();
    let accepting = |objects: &[&'static str]| {
        let accept = objects.iter().flat_map(|object| ["--accept", object]);
        migrate(&lab, "chat", &adopt.into_iter().chain(accept).collect::<Vec<_>>())
    };
    // A promise that is not kept is no matter of taste.
    assert_snapshot!(accepting(&["messages.by_hand", "messages.content", "idx_messages_source"]).shown(), @"
    exit 4
    --- stdout
    chat          2 migrations, by public.alembic_version: a1b2c3d4e5f6
      m20251016_000001_create_messages
      m20251017_000001_add_message_source
      the migrations promise what is not so: nothing is recorded
        `idx_messages_source` is missing or not valid
        `messages.content` is `text`, should be `text not null`
        · column messages.content: the difference is accepted
        · index messages.by_hand: the difference is accepted
        · index messages.idx_messages_source: the difference is accepted
    nothing was recorded
    --- stderr
    ");
    accepting(&["messages.by_hand", "messages.nothing"]).exits(2);
    lab.query(&script);
    let dry_run = migrate(&lab, "chat", &[&adopt[..], &["--dry-run"]].concat());
    assert_snapshot!(dry_run.shown(), @"
    exit 0
    --- stdout
    chat          2 migrations, by public.alembic_version: a1b2c3d4e5f6
      m20251016_000001_create_messages
      m20251017_000001_add_message_source
      16 objects of `public` are as they make them
    nothing was recorded: a dry run
    --- stderr
    ");
    assert_eq!(lab.query("SELECT to_regclass('seaql_migrations_chat')"), "");
    accepting(&[]).exits(0);
    // Once more, since the old tool is still at work; then it no longer finds its table.
    let retiring = [&adopt[..], &["--retire"]].concat();
    let dry_run = migrate(&lab, "chat", &[&retiring[..], &["--dry-run"]].concat()).exits(0);
    assert!(
        dry_run.stdout.contains("`public.alembic_version` would become `alembic_version_retired`"),
        "{}",
        dry_run.shown()
    );
    assert_eq!(lab.query("SELECT version_num FROM alembic_version"), "a1b2c3d4e5f6");
    let retired = migrate(&lab, "chat", &retiring).exits(0);
    assert!(
        retired.stdout.contains("`public.alembic_version` is now `alembic_version_retired`"),
        "{}",
        retired.shown()
    );
    let left = "SELECT to_regclass('alembic_version') IS NULL, version_num FROM alembic_version_retired";
    assert_eq!(lab.query(left), "t|a1b2c3d4e5f6");
    migrate(&lab, "chat", &retiring).exits(2);
}

/// Defaults that give the same are no difference, however an earlier tool wrote them; what gives something else is one.
#[test]
fn defaults_are_compared_by_what_they_give() {
    let lab = lab(&[BOOKREADER, BOOKREADER_OCTOBER]);
    alembic(&lab, "e94cab18247f");
    for (table, column, default) in [
        ("books", "created_at", "current_timestamp"),
        ("users", "created_at", "transaction_timestamp()"),
        ("chapters", "created_at", "clock_timestamp()"),
        ("reading_progress", "scroll_offset_percent", "'0.00'"),
        ("reading_progress", "current_page", "'1'::bigint"),
    ] {
        lab.query(&format!("ALTER TABLE {table} ALTER {column} SET DEFAULT {default}"));
    }
    let accepted = ["--accept", "*.id", "--accept", "*.scroll_offset_percent"];
    let adopt =
        ["adopt", "bookreader", "--from", "alembic", "--without", "m20250824_*", "--dry-run", "--json"];
    let found = migrate(&lab, "bookreader", &[&adopt[..], &accepted].concat()).exits(4).json();
    let differences = found["services"][0]["differences"].as_array().unwrap();
    assert_eq!(
        *differences,
        [
            "~ column chapters.created_at: default now() → clock_timestamp()",
            "~ column reading_progress.current_page: default nothing → '1'::bigint"
        ]
    );
}

/// Version tables of all tools, by the names of their columns.
#[test]
fn the_tables_of_other_tools_are_read() {
    let (created, sourced) = ("e65a515f830d", "a1b2c3d4e5f6");
    let own = "m20251016_000001_create_messages";
    let tools = [
        (
            "seaql",
            "seaql_migrations (version varchar PRIMARY KEY, applied_at bigint)",
            format!("seaql_migrations VALUES ('{own}', 1), ('m0001_of_others', 1)"),
            1,
        ),
        (
            "diesel",
            "__diesel_schema_migrations (version varchar PRIMARY KEY, run_on timestamp)",
            format!("__diesel_schema_migrations VALUES ('{created}', now()), ('{sourced}', now())"),
            2,
        ),
        (
            "sqlx",
            "_sqlx_migrations (version text, success boolean)",
            format!("_sqlx_migrations VALUES ('{created}', true), ('{sourced}', false)"),
            1,
        ),
        (
            "flyway",
            "flyway_schema_history (installed_rank int, version text, success boolean)",
            format!("flyway_schema_history VALUES (1, NULL, true), (2, '{created}', true)"),
            1,
        ),
        (
            "prisma",
            "_prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz)",
            format!("_prisma_migrations VALUES ('{created}', now(), NULL), ('{sourced}', now(), now())"),
            1,
        ),
        (
            "django",
            "django_migrations (id bigint GENERATED ALWAYS AS IDENTITY, app text, name text)",
            format!("django_migrations (app, name) VALUES ('chat', '{created}')"),
            0,
        ),
    ];
    for (tool, columns, rows, n_migrations) in tools {
        let scripts: &[&str] = if n_migrations == 2 { &[CHAT, CHAT_SOURCE] } else { &[CHAT] };
        let lab = lab(scripts);
        with_ids(&lab, columns, &rows);
        let adopted = migrate(&lab, "chat", &["adopt", "--from", tool, "--json"]);
        if n_migrations == 0 {
            let adopted = adopted.exits(2).json();
            assert_eq!(
                adopted["errors"][0]["message"],
                format!(
                    "no migration of any service replaces an id of public.django_migrations (chat.{created})"
                )
            );
            continue;
        }
        let adopted = adopted.exits(0).json();
        assert_eq!(adopted["services"][0]["migrations"].as_array().unwrap().len(), n_migrations, "{tool}");
    }
}

/// Bad input writes nothing, and says what to do.
#[test]
fn what_cannot_be_adopted_says_why() {
    let lab = lab(&[CHAT]);
    let refused = |schema: &str, arguments: &[&str], code: i32| {
        run(lab.command(arguments).env("CHAT_DATABASE_SCHEMA", schema)).exits(code).stderr
    };
    let shown = [
        refused("public", &["adopt", "chat", "--from", "alembic"], 2),
        refused("public", &["adopt", "--from", "schema"], 2),
        refused("public", &["adopt", "caht", "--from", "schema"], 2),
        refused("public", &["adopt", "chat", "--from", "schema", "--version-table", "x"], 2),
        refused("public", &["stamp", "chat@nothing"], 2),
        refused("public", &["stamp", "chat@head", "--without", "nothing"], 2),
        refused("chat", &["stamp", "chat@head"], 4),
    ];
    assert_snapshot!(shown.join("---\n"), @"
    error: there is no table `alembic_version`
      hint `history` shows which ids migrations replace; `--from schema` asks the schema instead
    ---
    error: which services the live schema is of is not known
      hint name the services: `adopt SERVICE --from schema`
    ---
    error: service `caht` is not known
      hint did you mean `chat`?
    ---
    error: a schema has no version table
      hint name the tool whose table it is with `--from`
    ---
    error: no migration of `chat` is or begins with `nothing`
      hint `history chat` lists its migrations
    ---
    error: `nothing` is none of the migrations that would be recorded
      hint `--dry-run` lists them
    ---
    error: `chat`: there is no schema `chat` in its database
      hint tables of its names are in `public`: if they are its own, set CHAT_DATABASE_SCHEMA=public
    ");
    alembic(&lab, "ffffffffffff");
    assert_snapshot!(refused("public", &["adopt", "chat", "--from", "alembic"], 2), @"
    error: no migration of `chat` replaces an id of public.alembic_version (ffffffffffff)
      hint `history` shows which ids migrations replace; `--from schema` asks the schema instead
    ");
    assert_eq!(lab.query("SELECT to_regclass('seaql_migrations_chat'), to_regnamespace('chat')"), "|");
    let ignoring = ["adopt", "chat", "--from", "alembic", "--ignore-revision", "ffffffffffff"];
    assert_snapshot!(refused("public", &ignoring, 2), @"
    error: no migration of `chat` replaces an id of public.alembic_version (nothing but what is ignored)
      hint `history` shows which ids migrations replace; `--from schema` asks the schema instead
    ");
    // What one revision stands for is not concluded while another beside it is not understood.
    lab.query("INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6')");
    let adopt = ["adopt", "chat", "--from", "alembic"];
    assert_snapshot!(refused("public", &adopt, 7), @"
    error: no migration replaces the revision `ffffffffffff` in `public.alembic_version`
      hint if it is newer than what the migrations replace, name it in the details of the one that does the same; if it is another project's, say `--ignore-revision ffffffffffff`
    ");
    let ignoring = |id| [&adopt[..], &["--ignore-revision", id, "--dry-run"]].concat();
    assert_snapshot!(refused("public", &ignoring("eeeeeeeeeeee"), 7), @"
    error: no migration replaces the revision `ffffffffffff` in `public.alembic_version`
      hint if it is newer than what the migrations replace, name it in the details of the one that does the same; if it is another project's, say `--ignore-revision ffffffffffff`
    ");
    lab.query("UPDATE alembic_version SET version_num = 'eeeeeeeeeeee' WHERE version_num = 'ffffffffffff'");
    run(lab.command(&ignoring("eeeeeeeeeeee")).env("CHAT_DATABASE_SCHEMA", "public")).exits(4);
    lab.query("DELETE FROM alembic_version WHERE version_num LIKE 'e%'");
    assert_snapshot!(refused("public", &ignoring("eeeeeeeeeeee"), 2), @"
    error: no revision `eeeeeeeeeeee` is to be ignored
      hint leave `--ignore-revision` out
    ");
    lab.query("DELETE FROM alembic_version");
    assert_snapshot!(refused("public", &adopt, 2), @"
    error: `public.alembic_version` is empty: nothing was applied by the tool whose table it is
      hint `history` shows which ids migrations replace; `--from schema` asks the schema instead
    ");
    assert_eq!(lab.query("SELECT to_regclass('seaql_migrations_chat'), to_regnamespace('chat')"), "|");
}

#[test]
fn a_stamp_records_what_is_there_already_and_nothing_twice() {
    let lab = Lab::migrated();
    lab.query("DELETE FROM chat.seaql_migrations_chat WHERE version LIKE 'm2026%'; DELETE FROM chat.migration_journal_chat WHERE migration LIKE 'm2026%'; \
         COMMENT ON TABLE chat.seaql_migrations_chat IS NULL");
    assert_snapshot!(lab.migrate(&["stamp", "chat@head"]).shown(), @"
    exit 0
    --- stdout
    chat          2 migrations
      m20261120_000001_index_message_history
      m20261120_000002_check_messages
      20 objects of `chat` are as they make them
    recorded 2 as applied; nothing else was changed
    --- stderr
    next: `plan chat` shows what is pending
    ");
    assert_snapshot!(lab.migrate(&["stamp", "chat@head"]).shown(), @"
    exit 0
    --- stdout
    chat          0 migrations
      20 objects of `chat` are as they make them
    nothing to record
    --- stderr
    ");
    lab.migrate(&["status", "chat", "--check"]).exits(0);
}

/// A service moves out of `public` in one transaction: others' tables stay, rows stay, and old code writes to the old names, before
/// and after the new migrations.
#[test]
fn a_service_moves_into_its_own_schema() {
    let lab = lab(&[CHAT, CHAT_SOURCE]);
    alembic(&lab, "a1b2c3d4e5f6");
    lab.query("CREATE TABLE of_another_team (id int)");
    let old_code = lab.role("");
    lab.query(&format!(
        "GRANT SELECT, INSERT, UPDATE (content) ON messages TO {old_code}; GRANT USAGE ON messages_id_seq TO {old_code}"
    ));
    let said = "SELECT string_agg(content, ' ' ORDER BY id) FROM public.messages";
    let rows = lab.query(said);
    let adopt = ["adopt", "chat", "--from", "alembic", "--into-schema"];
    let before = schema(&lab);
    assert_snapshot!(migrate(&lab, "chat", &[&adopt[..], &["--dry-run"]].concat()).shown(), @r#"
    exit 0
    --- stdout
    chat          2 migrations, by public.alembic_version: a1b2c3d4e5f6
      m20251016_000001_create_messages
      m20251017_000001_add_message_source
      16 objects of `public` are as they make them
      into `chat`: sequence messages_id_seq, table messages
      views in their place: "public"."messages"
    nothing was recorded: a dry run
    --- stderr
    "#);
    // What stands in the way is seen beforehand.
    lab.query("CREATE SCHEMA chat; CREATE TABLE chat.messages ()");
    let refused = migrate(&lab, "chat", &[&adopt[..], &["--dry-run"]].concat()).exits(4);
    assert!(refused.stdout.contains("`messages` is in schema `chat` already"), "{}", refused.shown());
    assert_eq!(migrate(&lab, "chat", &adopt).exits(4).stdout, refused.stdout.replace(": a dry run", ""));
    lab.query("DROP SCHEMA chat CASCADE");
    assert_eq!(schema(&lab), before);
    assert_snapshot!(migrate(&lab, "chat", &adopt).shown(), @r#"
    exit 0
    --- stdout
    chat          2 migrations, by public.alembic_version: a1b2c3d4e5f6
      m20251016_000001_create_messages
      m20251017_000001_add_message_source
      16 objects of `public` are as they make them
      into `chat`: sequence messages_id_seq, table messages
      views in their place: "public"."messages"
    recorded 2 as applied; `chat` now lives in schema `chat`; no row was changed
    --- stderr
    take CHAT_DATABASE_SCHEMA out of the settings: without it `chat` is looked for in schema `chat`
    before contract steps, when no code uses the old names any longer: DROP VIEW "public"."messages"
    next: `plan chat` shows what is pending
    "#);
    let stayed = "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
                  WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')";
    assert_eq!(lab.query(stayed), "alembic_version of_another_team");
    let mut application = Session::open(&lab.url_of(&old_code));
    let mut speak = |text: &str| {
        application.query(&format!(
            "INSERT INTO messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'user', '{text} ', 7); \
             UPDATE messages SET content = '{text}' WHERE content = '{text} '"
        ));
    };
    speak("first");
    lab.migrate(&["drift", "chat"]).exits(0);
    lab.migrate(&["up", "chat"]).exits(0);
    speak("second");
    lab.migrate(&["up", "chat", "--contract", "--ignore-soak", "--allow-data-loss"]).exits(0);
    speak("third");
    assert_eq!(lab.query(said), format!("{rows} first second third"));
    lab.migrate(&["verify", "chat"]).exits(0);
    lab.migrate(&["status", "chat", "--check"]).exits(0);
    // What is restored is found under the old names too.
    let made = lab.migrate(&["backup", "chat", "--no-verify", "--json"]).exits(0).json();
    speak("fourth");
    let archive = made["backups"][0]["archive"].as_str().unwrap();
    lab.migrate(&["restore", archive, "--allow-data-loss"]).exits(0);
    speak("fifth");
    assert_eq!(lab.query(said), format!("{rows} first second third fifth"));
    lab.query("DROP VIEW public.messages");
    lab.migrate(&["drift", "chat"]).exits(0);
}
