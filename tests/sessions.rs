//! What a session of ours sees, means and says, whatever server, database and role are set to; and that none of them is
//! deaf or keeps locks for longer than it works.

use std::thread;
use std::time::{Duration, Instant};

use insta::assert_snapshot;

use crate::support::{Lab, Ran, run};

/// A lab whose database belongs to a plain role that can do nothing else, and the URL for it.
fn owned() -> (Lab, String, String) {
    let lab = Lab::empty();
    let role = lab.role("");
    lab.query(&format!("ALTER DATABASE {} OWNER TO {role}", lab.database.name()));
    let url = lab.url_of(&role);
    (lab, role, url)
}

fn migrate_as(lab: &Lab, url: &str, arguments: &[&str]) -> Ran {
    run(lab.command(arguments).env("DATABASE_URL", url))
}

/// Two hundred users with settings of their own.
const USERS: &str = r#"INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin,
    reader_settings, created_at, updated_at)
  SELECT gen_random_uuid(), n || '@x', 'x', true, true, false, '{"theme": "dark", "language": "en"}', now(), now()
  FROM generate_series(1, 200) n"#;

#[test]
fn a_policy_that_hides_rows_stops_every_command_that_would_not_see_them() {
    let (lab, _, url) = owned();
    let policy = "ALTER TABLE bookreader.users ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
                  CREATE POLICY own ON bookreader.users USING (id::text = current_setting('app.user_id', true))";
    migrate_as(&lab, &url, &["up", "bookreader@m20250823", "--quiet"]).exits(0);
    lab.query(USERS);
    lab.query(policy);
    let stopped = migrate_as(&lab, &url, &["up", "bookreader", "--quiet"]).exits(6);
    assert_snapshot!(stopped.stderr, @r#"
    error: migration `bookreader:m20250824_154501_backfill_user_preferences` stopped midway while applying
      because query would be affected by row-level security policy for table "users"; To disable the policy for the table's owner, use ALTER TABLE NO FORCE ROW LEVEL SECURITY. (42501)
           in INSERT INTO user_preferences (id, user_id, theme, language, notifications_enabled) SELECT gen_random_uuid(), source.id, carried.theme, carried.language, carried.notifications_enabled FROM users AS sou…
      hint what was done is kept; a row-level security policy would hide rows from this role: connect as a role with BYPASSRLS, or as the table's owner without FORCE ROW LEVEL SECURITY, and run `up bookreader` again, which resumes
    "#);
    let backfilled = || lab.query("SELECT count(*) FROM bookreader.user_preferences");
    assert_eq!(backfilled(), "0");

    lab.query("ALTER TABLE bookreader.users NO FORCE ROW LEVEL SECURITY");
    migrate_as(&lab, &url, &["up", "bookreader", "--quiet"]).exits(0);
    assert_eq!(backfilled(), "200");
    lab.query("UPDATE bookreader.seaql_migrations_bookreader SET applied_at = applied_at - 864000");

    lab.query("ALTER TABLE bookreader.users FORCE ROW LEVEL SECURITY");
    let contract = ["up", "bookreader", "--contract", "--allow-data-loss", "--quiet"];
    let refused = migrate_as(&lab, &url, &contract);
    assert_ne!(refused.code, 0, "{}", refused.shown());
    assert!(refused.stderr.contains("would hide rows from this role"), "{}", refused.shown());
    let column = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'bookreader.users'::regclass \
                  AND attname = 'reader_settings'";
    assert_eq!(lab.query(column), "1", "{}", refused.shown());
    let unknown = migrate_as(&lab, &url, &["verify", "bookreader"]).exits(8);
    assert!(unknown.stdout.contains("could not be asked"), "{}", unknown.shown());
    assert!(unknown.stdout.contains("BYPASSRLS"), "{}", unknown.shown());
    let document = migrate_as(&lab, &url, &["verify", "bookreader", "--json"]).exits(8).json();
    let checks = document["services"][0]["checks"].as_array().unwrap().clone();
    assert!(checks.iter().any(|check| check["answered"] == false && check["holds"] == false), "{document}");
}

/// Tables, and the commands that read their rows and so end with exit code 8 where a policy would hide some.
const CUT: [(&str, &[&str]); 3] = [
    (
        "messages",
        &[
            "verify chat",
            "down chat@base",
            "redo chat@base",
            "reset chat",
            "reset chat --dry-run",
            "backup chat --no-verify",
            "move chat --to CHAT_NEW_DATABASE_URL",
            "move chat --to CHAT_NEW_DATABASE_URL --yes",
        ],
    ),
    (
        "migration_journal_chat",
        &[
            "status",
            "up chat",
            "plan chat",
            "history chat --verbose",
            "repair chat",
            "doctor",
            "wait chat --timeout 0",
            "deploy chat --dry-run --no-backup",
            "move chat --to CHAT_NEW_DATABASE_URL",
        ],
    ),
    ("seaql_migrations_chat", &["status", "up chat", "plan chat", "history chat", "verify", "backup chat"]),
];

/// Other services are empty: what is asked of those after the table that cannot be read is answered.
#[test]
fn a_policy_is_named_by_whoever_meets_it() {
    let (lab, _, url) = owned();
    migrate_as(&lab, &url, &["up", "chat", "--quiet"]).exits(0);
    lab.query(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) VALUES (1, 1, 'user', 'c', 1)",
    );
    let there = Lab::empty();
    for (table, commands) in CUT {
        let policy = |does: &str| lab.query(&format!("ALTER TABLE chat.{table} {does}"));
        let says = match table {
            "messages" => "would be affected by row-level security policy for table \"messages\"".to_owned(),
            table => format!("`chat`: `chat.{table}` could not be read"),
        };
        policy("ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY");
        for words in commands.iter().map(|command| command.split(' ').collect::<Vec<_>>()) {
            let mut command = lab.command(&words);
            command.env("DATABASE_URL", &url).env("CHAT_NEW_DATABASE_URL", there.database.url());
            let ran = run(&mut command).exits(8);
            let shown = ran.shown();
            assert!(shown.contains(&says) && shown.contains("BYPASSRLS"), "{shown}");
            assert!(words != ["status"] || ran.stdout.contains("rag           empty"), "{shown}");
        }
        migrate_as(&lab, &url, &["locks"]).exits(0);
        policy("DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY");
    }
    assert_eq!(lab.query("SELECT count(*) FROM chat.messages"), "1");
}

#[test]
fn a_check_that_was_not_answered_is_not_one_that_does_not_hold() {
    let lab = Lab::migrated();
    let role = lab.role("");
    lab.query(&format!(
        "GRANT USAGE ON SCHEMA chat TO {role}; \
        GRANT SELECT ON chat.seaql_migrations_chat, chat.migration_journal_chat TO {role}"
    ));
    let ran = migrate_as(&lab, &lab.url_of(&role), &["verify", "chat"]).exits(8);
    assert!(ran.stdout.contains("could not be asked"), "{}", ran.shown());
    assert!(!ran.stdout.contains("do not hold"), "{}", ran.shown());
    // What reading takes is the server's to decide, not a setting's.
    lab.query(&format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA chat TO {role}; ALTER ROLE {role} SET statement_timeout = 250"
    ));
    migrate_as(&lab, &lab.url_of(&role), &["verify", "chat"]).exits(0);
}

/// Commands that only read, and what they need beside the service.
const READING: [&[&str]; 6] = [
    &["status"],
    &["history", "chat"],
    &["history", "chat", "--verbose"],
    &["plan"],
    &["verify", "chat"],
    &["rejects", "chat"],
];

#[test]
fn reading_says_what_it_waits_for_and_ends_at_the_first_signal() {
    let lab = Lab::migrated();
    let mut other = lab.session();
    other.query("BEGIN");
    for table in ["seaql_migrations_chat", "migration_journal_chat", "migration_reject_chat"] {
        other.query(&format!("LOCK TABLE chat.{table} IN ACCESS EXCLUSIVE MODE"));
    }
    let pid = other.query("SELECT pg_backend_pid()");
    // Side by side: each says so only after a second.
    thread::scope(|scope| {
        for (number, arguments) in READING.into_iter().chain([&["up"] as &[&str]]).enumerate() {
            let (lab, pid) = (&lab, &pid);
            scope.spawn(move || {
                let mut waiting = lab.start(arguments);
                let said = waiting.says("waiting to read");
                assert!(said.contains(&format!("locked by pid {pid} (psql)")), "{arguments:?}: {said}");
                let (signal, code) = if number % 2 == 0 { ("INT", 130) } else { ("TERM", 143) };
                waiting.signal(signal);
                let asked = Instant::now();
                waiting.finish().exits(code);
                assert!(asked.elapsed() < Duration::from_secs(5), "{arguments:?}");
            });
        }
    });
    other.query("ROLLBACK");
    lab.migrate(&["status"]).exits(0);
}

#[test]
fn settings_of_role_and_database_change_neither_rows_nor_answers() {
    // Each of them changed something once, or would: `3` instead of a reject, quoted definitions, a statement cut off.
    const HOSTILE: [&str; 16] = [
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
        "default_transaction_isolation = serializable",
        "default_transaction_deferrable = on",
        "transform_null_equals = on",
        "array_nulls = off",
        "bytea_output = escape",
        "\"DateStyle\" = 'German, DMY'",
        "\"IntervalStyle\" = iso_8601",
        "\"TimeZone\" = 'Asia/Kathmandu'",
        "extra_float_digits = -15",
        "gin_fuzzy_search_limit = 1",
        "exit_on_error = on",
        "statement_timeout = 20",
        "idle_session_timeout = 100",
        "session_replication_role = replica",
    ];
    let answers = |hostile: &[&str]| {
        let (lab, role, url) = owned();
        migrate_as(&lab, &url, &["up", "assessments@m20260122", "--quiet"]).exits(0);
        lab.query(
            "SET session_replication_role = replica; INSERT INTO assessments.question_history \
               (competency_assessment_id, question_text, ai_evaluation) VALUES (gen_random_uuid(), 'q', '{\"score\": 350}')",
        );
        for setting in hostile {
            lab.query(&format!("ALTER ROLE {role} SET {setting}"));
        }
        migrate_as(&lab, &url, &["up", "--quiet"]).exits(0);
        let verified = migrate_as(&lab, &url, &["verify"]).exits(0).stdout;
        let rows = lab.query(
            "SELECT score FROM assessments.question_history UNION ALL \
             SELECT count(*)::int FROM assessments.migration_reject_assessments",
        );
        (verified, rows)
    };
    assert_eq!(answers(&HOSTILE), answers(&[]));
}

#[test]
fn who_may_not_connect_is_told_what_to_change() {
    let (lab, role, url) = owned();
    lab.query(&format!("ALTER ROLE {role} CONNECTION LIMIT 0"));
    let refused = migrate_as(&lab, &url, &["up", "--quiet"]).exits(8);
    assert!(refused.stderr.contains("53300") && refused.stderr.contains("--jobs 1"), "{}", refused.shown());
    lab.query(&format!(
        "ALTER ROLE {role} CONNECTION LIMIT -1; ALTER DATABASE {0} OWNER TO postgres; REVOKE CONNECT ON DATABASE {0} FROM PUBLIC",
        lab.database.name()
    ));
    let refused = migrate_as(&lab, &url, &["up", "--quiet"]).exits(8);
    assert!(refused.stderr.contains("42501") && refused.stderr.contains("`CONNECT`"), "{}", refused.shown());
}

/// A backup takes three connections, each job of `pg_dump` one more, and a move on one server four of the role's. What has fewer is refused
/// before it begins; everything else works with one.
#[test]
fn a_role_that_may_have_too_few_connections_learns_how_many_it_takes() {
    let (lab, role, url) = owned();
    migrate_as(&lab, &url, &["up", "chat@+1", "--quiet"]).exits(0);
    let there = Lab::empty();
    lab.query(&format!("GRANT CREATE ON DATABASE {} TO {role}", there.database.name()));
    let name = lab.database.name();
    let roles = |limit: i32| format!("ALTER ROLE {role} CONNECTION LIMIT {limit}");
    let databases = |limit: i32| format!("ALTER DATABASE {name} CONNECTION LIMIT {limit}");
    let to = there.url_of(&role);
    let asked =
        |words: &[&str]| run(lab.command(words).env("DATABASE_URL", &url).env("CHAT_NEW_DATABASE_URL", &to));
    let moves = ["move", "chat", "--to", "CHAT_NEW_DATABASE_URL"];
    let cases: [(&[&str], i32); 6] = [
        (&["backup", "chat", "--no-verify"], 3),
        (&["backup", "chat", "--no-verify", "--jobs", "2"], 5),
        (&["up", "chat", "--backup", "--quiet"], 3),
        (&["deploy", "chat", "--quiet"], 3),
        (&["deploy", "chat", "--dry-run"], 3),
        (&moves, 4),
    ];
    for (arguments, needed) in cases {
        for limit in [1, needed - 1] {
            let limits = [
                (roles(limit), roles(needed), roles(-1)),
                (databases(limit), databases(needed), databases(-1)),
            ];
            for (lowered, raises, lifted) in limits {
                // Of the four of a move, three are to the database that the service leaves.
                if arguments == moves && limit == 3 && lowered.contains("DATABASE") {
                    continue;
                }
                let raises =
                    if arguments == moves && lowered.contains("DATABASE") { databases(3) } else { raises };
                lab.query(&lowered);
                let refused = asked(arguments).exits(8);
                assert!(refused.shown().contains(&format!("`{raises};`")), "{lowered} {}", refused.shown());
                lab.query(&lifted);
            }
        }
    }
    lab.query(&roles(1));
    let doctor = asked(&["doctor"]).exits(0);
    assert!(doctor.stdout.contains("the role is limited to 1 connection at once"), "{}", doctor.shown());
    assert!(doctor.stdout.contains(&roles(3)), "{}", doctor.shown());
    lab.query(&roles(3));
    asked(&["backup", "chat", "--no-verify"]).exits(0);
    lab.query(&roles(5));
    asked(&["backup", "chat", "--no-verify", "--jobs", "2"]).exits(0);
    lab.query(&roles(3));
    let deployed = asked(&["deploy", "chat", "--json"]).exits(0).json();
    assert_eq!(deployed["ok"], true);
    lab.query(&roles(1));
    let listed = asked(&["backups", "chat", "--json"]).exits(0).json();
    let archive = listed["backups"][0]["archive"].as_str().unwrap();
    asked(&["restore", archive, "--allow-data-loss"]).exits(0);
    asked(&["up", "chat", "--quiet"]).exits(0);
    lab.query(&roles(4));
    asked(&["move", "chat", "--to", "CHAT_NEW_DATABASE_URL", "--yes"]).exits(0);
}
