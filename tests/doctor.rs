//! `doctor`: what would stop a run or surprise somebody is told beforehand, with the source of every setting and no secret.

use crate::support::{Lab, run};

/// Each is said by `doctor`, with the exit code that `up` has for it.
#[test]
fn what_is_applied_and_does_not_fit_is_told() {
    let unknown = |name: &str| format!("INSERT INTO rag.seaql_migrations_rag VALUES ('{name}', 4070908800)");
    let marked = |mark: &str| {
        format!(
            "DROP SCHEMA chat CASCADE; CREATE SCHEMA chat; CREATE TABLE chat.seaql_migrations_chat (version varchar); \
             COMMENT ON TABLE chat.seaql_migrations_chat IS 'migrate: {mark}'"
        )
    };
    let cases = [
        (
            unknown("m20260101_000000_of_another_branch"),
            "`rag:m20260101_000000_of_another_branch` is applied",
        ),
        (unknown("m20990101_000000_of_tomorrow"), "is applied but newer than this build"),
        (
            "UPDATE chat.migration_journal_chat SET checksum = 'another'".to_owned(),
            "was edited after it was applied",
        ),
        ("DROP TABLE rag.seaql_migrations_rag".to_owned(), "rag.seaql_migrations_rag"),
        (
            "UPDATE chat.seaql_migrations_chat SET version = 'm20261120_000002_2_checks' \
             WHERE version = 'm20261120_000002_check_messages'"
                .to_owned(),
            "m20261120_000002_2_checks",
        ),
        (
            "DROP TABLE rag.seaql_migrations_rag; CREATE VIEW rag.seaql_migrations_rag AS SELECT 1".to_owned(),
            "`rag.seaql_migrations_rag` is a view, not a table",
        ),
        (
            "DROP SCHEMA chat CASCADE; CREATE TABLE public.messages (id int); INSERT INTO public.messages VALUES (1)".to_owned(),
            "elsewhere in the database there is `public.messages` with rows",
        ),
        (marked("this service was moved at noon to nowhere"), "`chat` is not here: it was moved to `nowhere`"),
        (
            marked("a copy that is not in use, made at noon from somewhere"),
            "`chat` is not here yet: its move from `somewhere` has not ended",
        ),
    ];
    for (damage, said) in cases {
        let lab = Lab::migrated();
        lab.query(&damage);
        let ran = lab.migrate(&["doctor"]);
        let is_told = ran.stdout.contains(said) && !ran.stdout.contains(" 0 that would stop a run");
        let up = lab.migrate(&["up"]);
        assert!(ran.code == up.code && is_told, "{damage}\n{}\n{}", ran.shown(), up.shown());
        assert!([4, 7].contains(&up.code), "{}", up.shown());
    }
    // What may not be read is not known.
    let lab = Lab::migrated();
    let role = lab.role("");
    lab.query(&format!("GRANT USAGE ON SCHEMA chat TO {role}"));
    for command in ["doctor", "up"] {
        run(lab.command(&[command]).env("DATABASE_URL", lab.url_of(&role))).exits(8);
    }
}

/// What of one service stands in the way of its pending migrations: `up` asks the same. Each with the exit codes of `doctor` and `up`.
#[test]
fn what_stands_in_the_way_of_a_pending_migration_is_told() {
    let secured = "ALTER TABLE chat.messages ENABLE ROW LEVEL SECURITY";
    let cases: [(&str, String, &str, (i32, i32)); 6] = [
        (
            "chat@+1",
            "ALTER TABLE chat.messages DROP COLUMN content CASCADE".to_owned(),
            "`chat` is not as its applied migrations make it: `messages.content` is missing",
            (7, 7),
        ),
        (
            "chat@+1",
            "CREATE SCHEMA other; CREATE TABLE other.more () INHERITS (chat.messages)".to_owned(),
            "`other.more` of role",
            (7, 7),
        ),
        (
            "chat@+1",
            format!("{secured}, FORCE ROW LEVEL SECURITY"),
            "changes `chat.messages`, of which row-level security hides rows from",
            (4, 1),
        ),
        // Its owner sees all rows.
        ("chat@+1", secured.to_owned(), " 0 that would stop a run, 0 not known", (0, 0)),
        // Nothing is pending that would read them.
        (
            "chat",
            format!("{secured}, FORCE ROW LEVEL SECURITY"),
            "a run stops where a policy would hide rows from it",
            (0, 0),
        ),
        (
            "chat@+1",
            "REVOKE ALL ON chat.migration_journal_chat FROM [role]; GRANT SELECT ON chat.migration_journal_chat TO [role]"
                .to_owned(),
            "may not write its version table and journal",
            (8, 8),
        ),
    ];
    for (target, damage, said, (told, ends)) in cases {
        let lab = Lab::empty();
        let role = lab.role("");
        lab.query(&format!("GRANT CREATE ON DATABASE {} TO {role}", lab.database.name()));
        let url = lab.url_of(&role);
        let ask = |arguments: &[&str]| run(lab.command(arguments).env("DATABASE_URL", &url));
        ask(&["up", target, "--quiet"]).exits(0);
        lab.query(&damage.replace("[role]", &role));
        let doctor = ask(&["doctor"]).exits(told);
        assert!(doctor.stdout.contains(said), "{damage}\n{}", doctor.shown());
        let deploy = ask(&["deploy", "chat", "--dry-run", "--no-backup"]).exits(told);
        if ends == 7 {
            for command in ["plan", "sql"] {
                let ran = ask(&[command, "chat"]).exits(7);
                assert!(ran.shown().contains(said), "{command}: {damage}\n{}", ran.shown());
            }
        }
        // What is refused is refused before there is a backup of it; over a policy none can be made.
        let backed_up = ask(&["up", "chat", "--backup"]);
        if ends >= 7 {
            assert_eq!(backed_up.code, ends, "{damage}\n{}", backed_up.shown());
            assert!(!lab.directory.path().join("backups").exists(), "{}", backed_up.shown());
        }
        let up = ask(&["up", "chat", "--quiet"]).exits(ends);
        if told == ends && ends != 0 {
            let hint = up.stderr.lines().find_map(|line| line.trim().strip_prefix("hint ")).unwrap();
            assert!(doctor.stdout.contains(hint), "{}\n{}", doctor.shown(), up.shown());
        }
        if told == 4 {
            for shown in [&doctor.stdout, &up.stderr, &deploy.shown()] {
                assert!(shown.contains("connect as a role with BYPASSRLS"), "{shown}");
            }
        }
    }
}

#[test]
fn a_missing_right_on_the_database_is_told_wherever_it_is_looked_at() {
    let lab = Lab::empty();
    let role = lab.role("");
    let database = lab.database.name();
    lab.query(&format!(
        "GRANT CREATE ON DATABASE {database} TO {role}; REVOKE TEMPORARY ON DATABASE {database} FROM PUBLIC"
    ));
    let said = format!("`{role}` may not create temporary tables, which migrations in steps need");
    for (arguments, code) in
        [(&["doctor"][..], 4), (&["deploy", "--dry-run", "--no-backup"], 4), (&["status", "--verbose"], 0)]
    {
        let ran = run(lab.command(arguments).env("DATABASE_URL", lab.url_of(&role))).exits(code);
        assert!(ran.shown().contains(&said), "{arguments:?}\n{}", ran.shown());
    }
    let status = run(lab.command(&["status", "--verbose", "--json"]).env("DATABASE_URL", lab.url_of(&role)));
    assert_eq!(status.json()["database"]["surroundings"]["may_create_temporary"], false);
}

#[test]
fn a_time_that_is_still_to_come_is_told() {
    let lab = Lab::migrated();
    lab.query("UPDATE chat.seaql_migrations_chat SET applied_at = 4070908800 WHERE version ~ '^m20251017'");
    let told = lab.migrate(&["doctor"]).exits(0);
    assert!(
        told.stdout.contains(
            "! `m20251017_000001_add_message_source` is recorded as applied at 2099-01-01T00:00:00Z"
        ),
        "{}",
        told.shown()
    );
    let (_, rest) = told.stdout.split_once("if a clock was wrong: `").unwrap();
    lab.query(rest.split('`').next().unwrap());
    assert!(!lab.migrate(&["doctor"]).exits(0).stdout.contains("still to come"));
}

#[test]
fn what_would_stop_a_run_is_told_beforehand() {
    let lab = Lab::migrated();
    let well = lab.migrate(&["doctor"]).exits(0);
    for said in [
        "DATABASE_URL=",
        "from the environment",
        "may create in `chat`",
        "pg_dump` 1",
        " 0 that would stop a run, 0 not known",
    ] {
        assert!(well.stdout.contains(said), "{said}\n{}", well.shown());
    }
    let role = lab.role("PASSWORD 'hidden-word'");
    lab.query(&format!(
        "ALTER ROLE {role} SET standard_conforming_strings = off; \
         ALTER TABLE rag.user_knowledge ENABLE ROW LEVEL SECURITY; DROP SCHEMA bookreader CASCADE; \
         GRANT USAGE ON SCHEMA rag TO {role}; GRANT CREATE ON SCHEMA chat TO {role}; ALTER SCHEMA assessments OWNER TO {role}; \
         CREATE FUNCTION public.noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
         CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION public.noted()"
    ));
    let url = lab.url_of(&role).replacen('@', ":hidden-word@", 1);
    let ask = |arguments: &[&str]| {
        run(lab.command(arguments).env("DATABASE_URL", &url).env("PGPASSWORD", "hidden-word"))
    };
    let ill = ask(&["doctor"]).exits(8);
    for said in [
        "PGPASSWORD=(not shown)",
        "sets `standard_conforming_strings` to `off`",
        "event trigger `noted` calls `public.noted` at ddl_command_end",
        "table `user_knowledge` of `rag` has row security",
        "schema `bookreader` is not there, and",
        "`messages`, `migration_journal_chat`, `migration_reject_chat` and 1 more in `chat` belong to others",
    ] {
        assert!(ill.stdout.contains(said), "{said}\n{}", ill.shown());
    }
    let document = ask(&["doctor", "--json"]).exits(8).json();
    let verdicts =
        document["findings"].as_array().unwrap().iter().map(|finding| finding["verdict"].as_str().unwrap());
    assert!(
        verdicts.clone().any(|verdict| verdict == "bad") && verdicts.clone().any(|verdict| verdict == "good")
    );
    // Half of it unknown is not good.
    let away = run(lab
        .command(&["doctor"])
        .env("CHAT_DATABASE_URL", "postgres://nobody:hidden-word@localhost:1/none"))
    .exits(8);
    assert!(
        away.stdout.contains("it could not be looked at") && away.stdout.contains("may create in `rag`"),
        "{}",
        away.shown()
    );
    for ran in [&ill, &away] {
        assert!(!ran.shown().contains("hidden-word"), "{}", ran.shown());
    }
    assert!(!document.to_string().contains("hidden-word"), "{document}");
}

/// What a subscription brings fires no trigger. Tables of others are nobody's concern, and neither is what a role may not know.
#[test]
fn a_subscription_that_writes_to_a_service_is_a_warning() {
    let lab = Lab::migrated();
    lab.query("CREATE TABLE public.of_others ()");
    lab.query(
        "CREATE SUBSCRIPTION copies CONNECTION 'host=/nowhere' PUBLICATION all_of_it WITH (connect = false)",
    );
    lab.query(
        "INSERT INTO pg_subscription_rel (srsubid, srrelid, srsubstate) SELECT s.oid, written::regclass, 'r' \
         FROM pg_subscription AS s, unnest(ARRAY['bookreader.users', 'bookreader.books', 'public.of_others']) AS written",
    );
    let said = "subscription `copies` writes to `bookreader.books`, `bookreader.users`, where triggers do not fire for it";
    let ran = lab.migrate(&["doctor"]).exits(0);
    assert!(ran.stdout.contains(said), "{}", ran.shown());
    lab.query("REVOKE SELECT ON pg_subscription FROM PUBLIC");
    let role = lab.role("");
    let by_role = run(lab.command(&["doctor"]).env("DATABASE_URL", lab.url_of(&role)));
    assert!(!by_role.stdout.contains("subscription"), "{}", by_role.shown());
    lab.query("ALTER SUBSCRIPTION copies SET (slot_name = NONE)");
    lab.query("DROP SUBSCRIPTION copies");
    let ran = lab.migrate(&["doctor"]).exits(0);
    assert!(!ran.stdout.contains("subscription"), "{}", ran.shown());
}
