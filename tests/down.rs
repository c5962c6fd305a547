//! `down` and `redo`: back to a target that is named, and nothing else.

use insta::assert_snapshot;

use crate::support::Lab;

/// Everything but the chat service, data included.
fn everything_else(lab: &Lab) -> String {
    let dump = lab.database.pg_dump(&["--exclude-schema=chat"]).unwrap();
    // Newer versions of `pg_dump` write a token that differs each time.
    let lines =
        dump.lines().filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn down_to_base_and_up_again_touches_nothing_of_others() {
    let lab = Lab::migrated();
    let before = everything_else(&lab);
    assert_snapshot!(lab.migrate(&["down", "chat@base"]).shown(), @"
    exit 0
    --- stdout
    chat  m20261120_000002_check_messages         reverted [time]
    chat  m20261120_000001_index_message_history  reverted [time]
    chat  m20251017_000001_add_message_source     reverted [time]
    chat  m20251016_000001_create_messages        reverted [time]
    4 of 5 services up to date · 8 contract steps held back, the first until [timestamp] · 4 migrations reverted in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
    assert_eq!(lab.query("SELECT to_regclass('chat.messages')"), "");
    assert_eq!(everything_else(&lab), before);
    lab.migrate(&["up"]).exits(0);
    assert_eq!(everything_else(&lab), before);
    lab.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn a_target_must_be_named() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["down", "demo"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: reverting `demo` needs a target
      hint `demo@-1` reverts the last one, `demo@NAME` all after that one, `demo@base` all
    ");
    assert_snapshot!(lab.migrate(&["down"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `down` needs a service: each has a history of its own
      hint for example `demo down demo@-1`; `status` lists the services
    ");
}

#[test]
fn steps_back_are_counted() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["down", "demo@-1"]).exits(0).stdout, @"
    demo  m20260102_000001_index_notes  reverted [time]
    0 of 1 service up to date · 1 migration reverted in [time]
    ");
    assert_snapshot!(lab.migrate(&["down", "demo@-9"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `demo` has fewer than 9 applied migrations: 1
      hint to revert all, use `down demo@base`
    ");
}

#[test]
fn a_prefix_names_the_migration_to_stay_at() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["down", "demo@m20260101"]).exits(0).stdout, @"
    demo  m20260102_000001_index_notes  reverted [time]
    0 of 1 service up to date · 1 migration reverted in [time]
    ");
    assert_snapshot!(lab.migrate(&["down", "demo@m2026"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: several migrations of `demo` begin with `m2026`: `m20260101_000001_create_notes`, `m20260102_000001_index_notes`, `m20260103_000001_drop_drafts`
      hint give more of the name
    ");
    assert_snapshot!(lab.migrate(&["down", "demo@m1999"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: no migration of `demo` is or begins with `m1999`
      hint `history demo` lists its migrations
    ");
}

#[test]
fn an_unknown_service_is_told_with_a_suggestion() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["down", "dmeo@base"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: service `dmeo` is not known
      hint did you mean `demo`?
    ");
    assert_snapshot!(lab.migrate(&["status", "dmeo"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: service `dmeo` is not known
      hint did you mean `demo`?
    ");
    assert_snapshot!(lab.migrate(&["up", "Demo!"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: invalid value 'Demo!' for '[SERVICE[@TARGET]]...': `Demo!` is not a service name: a lower-case letter, then lower-case letters, digits, `_`, `-` or `.`, at most 40 bytes

    For more information, try '--help'.
    ");
}

#[test]
fn redo_reverts_the_last_migration_and_applies_it_again() {
    let lab = Lab::demo();
    assert_snapshot!(lab.migrate(&["redo", "demo"]).shown(), @"
    exit 0
    --- stdout
    demo  m20260102_000001_index_notes  reverted [time]
    demo  m20260102_000001_index_notes  ok [time]
    1 service up to date · 1 contract step held back, until [timestamp] · 1 migration reverted, 1 applied in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    ");
    lab.migrate(&["status", "--check"]).exits(0);
}

#[test]
fn what_a_revert_loses_is_said_to_machines_too() {
    let lab = Lab::demo();
    let plan = lab.migrate(&["plan", "--down", "demo@base", "--json"]).exits(0).json();
    let step = plan["steps"].as_array().unwrap().last().unwrap();
    assert_eq!(step["loses"], "every note");
    assert_eq!(step["direction"], "revert");
}

#[test]
fn reverting_what_loses_rows_asks_for_consent() {
    let lab = Lab::migrated();
    lab.query(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) \
         SELECT 1, 2, 'user', 'hello', 5 FROM generate_series(1, 3)",
    );
    // What loses nothing is not asked about: these came through the channel that a column's default names.
    lab.migrate(&["down", "chat@-3"]).exits(0);
    lab.migrate(&["up", "chat@+1"]).exits(0);
    lab.query("UPDATE chat.messages SET source = 'web' WHERE id = 1");
    let error = "error: reverting `chat:m20251017_000001_add_message_source` loses for good: the source of each message that did \
                 not come from Telegram (1 row of `chat.messages`); reverting `chat:m20251016_000001_create_messages` loses \
                 for good: every message (3 rows of `chat.messages`)\n  hint make a backup, then say `--allow-data-loss`";
    for command in ["down", "redo"] {
        let refused = lab.migrate(&[command, "chat@base"]).exits(7).stderr;
        assert!(refused.trim_end().ends_with(error), "{command}: {refused}");
        assert_eq!(lab.migrate(&[command, "chat@base", "--json"]).exits(7).json()["exit_code"], 7);
    }
    assert_eq!(lab.query("SELECT count(*) FROM chat.messages"), "3");
    let agreed = lab.migrate(&["down", "chat@base", "--allow-data-loss"]).exits(0).stderr;
    assert!(agreed.contains("create_messages` loses for good: every message"), "{agreed}");
    let history = lab.migrate(&["history", "chat", "--verbose"]).exits(0).stdout;
    assert!(history.contains("revert --allow-data-loss"), "{history}");
    // Empty tables lose nothing, nor do rows that the migrations made themselves.
    lab.migrate(&["up", "chat"]).exits(0);
    lab.migrate(&["redo", "chat@base"]).exits(0);
    lab.migrate(&["redo", "profochatbot@base"]).exits(0);
    lab.query("INSERT INTO profochatbot.account (name, slug) VALUES ('Second', 'second')");
    let refused = lab.migrate(&["down", "profochatbot@base"]).exits(7).stderr;
    let account = "the accounts: their names, plans and settings (1 row of `profochatbot.account`)";
    assert!(refused.contains(account), "{refused}");
}

/// Which rows lose something may be said by another table of the service.
#[test]
fn only_users_whose_settings_are_kept_whole_lose_something() {
    let lab = Lab::migrated();
    lab.query(
        "INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at, \
         reader_settings) SELECT gen_random_uuid(), n || '@example.org', '', true, true, false, now(), now(), \
         json_build_object('theme', 'dark', 'language', CASE WHEN n < 3 THEN to_json(n) ELSE '\"en\"' END) \
         FROM generate_series(1, 3) AS n",
    );
    let contract = ["up", "bookreader", "--contract", "--ignore-soak", "--allow-data-loss", "--quiet"];
    lab.migrate(&contract).exits(0);
    let refused = lab.migrate(&["down", "bookreader@-1"]).exits(7).stderr;
    assert!(refused.contains("said something else (2 rows of `bookreader.users`)"), "{refused}");
    lab.query("DELETE FROM bookreader.migration_reject_bookreader");
    lab.migrate(&["down", "bookreader@-1"]).exits(0);
    assert_eq!(lab.query("SELECT DISTINCT reader_settings ->> 'theme' FROM bookreader.users"), "dark");
}

/// `down` goes by the times of the version table. None of what can make them odd lets it revert what the rest stands on.
#[test]
fn what_was_applied_first_is_reverted_last_whatever_the_clock_says() {
    const FIRST: &str = "m20251016_000001_create_messages";
    let reverts = |lab: &Lab, count: &str, newest_first: &[&str]| {
        let plan = lab.migrate(&["down", count, "--json"]).exits(0).json();
        assert_eq!(plan["done"].as_array().map(Vec::len), Some(newest_first.len()), "{plan}");
        for (done, expected) in plan["done"].as_array().unwrap().iter().zip(newest_first) {
            assert!(done.to_string().contains(expected), "{plan}");
        }
        assert_ne!(lab.query("SELECT to_regclass('chat.messages')"), "");
    };
    let restore = |lab: &Lab| {
        lab.query("DELETE FROM chat.seaql_migrations_chat");
        lab.migrate(&["repair", "--restore-rows", "chat"]).exits(0);
    };
    // The row of the first one is made anew, long after the others; then all rows are, from the journal.
    let lab = Lab::migrated();
    lab.query(&format!(
        "UPDATE chat.seaql_migrations_chat SET applied_at = applied_at - 3600; \
         UPDATE chat.migration_journal_chat SET started_at = started_at - interval '1 hour', \
           finished_at = finished_at - interval '1 hour'; \
         DELETE FROM chat.seaql_migrations_chat WHERE version = '{FIRST}'; \
         DELETE FROM chat.migration_journal_chat WHERE migration = '{FIRST}'; \
         COMMENT ON TABLE chat.seaql_migrations_chat IS NULL"
    ));
    lab.migrate(&["stamp", "chat@m20251016"]).exits(0);
    reverts(&lab, "chat@-1", &["m20261120_000002"]);
    restore(&lab);
    reverts(&lab, "chat@-1", &["m20261120_000001"]);
    // The clock of the server goes back by an hour between two runs.
    for by_script in [false, true] {
        let lab = Lab::empty();
        lab.migrate(&["up", "chat@+2"]).exits(0);
        lab.query(
            "UPDATE chat.seaql_migrations_chat SET applied_at = applied_at + 3600; \
             UPDATE chat.migration_journal_chat SET started_at = started_at + interval '1 hour', \
               finished_at = finished_at + interval '1 hour'",
        );
        if by_script {
            lab.query(&lab.migrate(&["sql", "chat"]).exits(0).stdout);
        } else {
            lab.migrate(&["up", "chat"]).exits(0);
        }
        reverts(&lab, "chat@-1", &["m20261120_000002"]);
        restore(&lab);
        reverts(&lab, "chat@-1", &["m20261120_000001"]);
    }
}
