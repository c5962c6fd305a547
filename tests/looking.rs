//! What people look at: history, plan, verify, space, the graph, psql, completions.

use std::thread;
use std::time::Duration;

use insta::assert_snapshot;
use postgres_sandbox::Cluster;

use crate::support::{Lab, ROWS, Ran, Running, Session};

#[test]
fn history_tells_what_became_of_each_migration() {
    let lab = Lab::migrated();
    lab.migrate(&["down", "chat@-1"]).exits(0);
    assert_snapshot!(lab.migrate(&["history", "chat", "bookreader"]).exits(0).stdout, @"
    SERVICE     MIGRATION                                   PHASE     STATE      APPLIED AT            REPLACES                    DESCRIPTION
    chat        m20251016_000001_create_messages            expand    applied    [timestamp]  e65a515f830d                Creates `messages`, the dialogue history, with soft delete
    chat        m20251017_000001_add_message_source         expand    applied    [timestamp]  a1b2c3d4e5f6                Adds `messages.source`, the channel that a message came through, and its index
    chat        m20261120_000001_index_message_history      expand    applied    [timestamp]                              Adds the index that serves the history of a dialogue in its order: newest first, `id` where two messages of one transaction share their time, deleted ones left out
    chat        m20261120_000002_check_messages             expand    pending    –                                                 Holds new messages to what the application assumes: a role of `user` or `assistant`, and no negative length
    bookreader  m20250823_000001_create_bookreader          expand    applied    [timestamp]  4de5528c20b4, 66ac03dc5ab6  The base schema of the reader as it stood in production, three enum types and seven tables
    bookreader  m20250824_143000_add_book_rating            expand    applied    [timestamp]  abc123def456                `books.rating`, and two indexes on it
    bookreader  m20250824_154500_create_user_preferences    expand    applied    [timestamp]  def456ghi789                The table `user_preferences`, at most one row a user, still empty
    bookreader  m20250824_154501_backfill_user_preferences  expand    applied    [timestamp]                              One row of preferences a user, from `users.reader_settings`, and a trigger that keeps them in step
    bookreader  m20250824_154502_drop_reader_settings       contract  held back  –                                                 Drops `users.reader_settings`, which `user_preferences` has replaced
    bookreader  m20250824_162000_optimize_queries           expand    applied    [timestamp]  ghi789jkl012                Five indexes for frequent queries, and an earlier autovacuum of two busy tables
    bookreader  m20251019_234800_add_reading_location_cfi   expand    applied    [timestamp]  8ca7de033db9                The exact place in a book as an EPUB CFI, and an index with it
    bookreader  m20251020_232800_add_scroll_offset_percent  expand    applied    [timestamp]  e94cab18247f                The scroll offset within a page, with its default and its range
    bookreader  m20261120_000001_add_id_defaults            expand    applied    [timestamp]                              Every `id` gets a default where it has none, as in databases whose application made its ids by itself
    ");
}

#[test]
fn history_tells_every_run() {
    let lab = Lab::empty();
    lab.migrate(&["up", "chat@m20251017"]).exits(0);
    lab.migrate(&["down", "chat@-1"]).exits(0);
    let ran = lab.migrate(&["history", "chat", "--verbose"]).exits(0);
    let columns = |line: &str| line.split_whitespace().skip(1).take(4).collect::<Vec<_>>().join(" ");
    assert_snapshot!(ran.stdout.lines().map(columns).collect::<Vec<_>>().join("\n"), @"
    SERVICE MIGRATION DID OUTCOME
    chat m20251016_000001_create_messages apply succeeded
    chat m20251017_000001_add_message_source apply succeeded
    chat m20251017_000001_add_message_source revert succeeded
    ");
    let other = lab.migrate(&["history", "rag", "--verbose"]).exits(0);
    assert_snapshot!(other.stdout, @"no run is recorded (1 service asked)");
}

#[test]
fn plan_tells_what_up_would_do() {
    let lab = Lab::empty();
    assert_snapshot!(lab.migrate(&["plan", "chat", "bookreader@m20250824_154500"]).shown(), @"
    exit 0
    --- stdout
       SERVICE     MIGRATION                                 DOES   PHASE   HOW              DESCRIPTION
    1  chat        m20251016_000001_create_messages          apply  expand  one transaction  Creates `messages`, the dialogue history, with soft delete
    2  chat        m20251017_000001_add_message_source       apply  expand  resumable steps  Adds `messages.source`, the channel that a message came through, and its index
    3  chat        m20261120_000001_index_message_history    apply  expand  resumable steps  Adds the index that serves the history of a dialogue in its order: newest first, `id` where two messages of one transaction share their time, deleted ones left out
    4  chat        m20261120_000002_check_messages           apply  expand  resumable steps  Holds new messages to what the application assumes: a role of `user` or `assistant`, and no negative length
    5  bookreader  m20250823_000001_create_bookreader        apply  expand  one transaction  The base schema of the reader as it stood in production, three enum types and seven tables
    6  bookreader  m20250824_143000_add_book_rating          apply  expand  resumable steps  `books.rating`, and two indexes on it
    7  bookreader  m20250824_154500_create_user_preferences  apply  expand  one transaction  The table `user_preferences`, at most one row a user, still empty
    --- stderr
    ");
    assert_snapshot!(lab.migrate(&["plan", "bookreader"]).exits(0).stdout, @"
       SERVICE     MIGRATION                                   DOES   PHASE     HOW              DESCRIPTION
    1  bookreader  m20250823_000001_create_bookreader          apply  expand    one transaction  The base schema of the reader as it stood in production, three enum types and seven tables
    2  bookreader  m20250824_143000_add_book_rating            apply  expand    resumable steps  `books.rating`, and two indexes on it
    3  bookreader  m20250824_154500_create_user_preferences    apply  expand    one transaction  The table `user_preferences`, at most one row a user, still empty
    4  bookreader  m20250824_154501_backfill_user_preferences  apply  expand    resumable steps  One row of preferences a user, from `users.reader_settings`, and a trigger that keeps them in step
    5  bookreader  m20250824_154502_drop_reader_settings       apply  contract  resumable steps  Drops `users.reader_settings`, which `user_preferences` has replaced
    6  bookreader  m20250824_162000_optimize_queries           apply  expand    resumable steps  Five indexes for frequent queries, and an earlier autovacuum of two busy tables
    7  bookreader  m20251019_234800_add_reading_location_cfi   apply  expand    resumable steps  The exact place in a book as an EPUB CFI, and an index with it
    8  bookreader  m20251020_232800_add_scroll_offset_percent  apply  expand    resumable steps  The scroll offset within a page, with its default and its range
    9  bookreader  m20261120_000001_add_id_defaults            apply  expand    resumable steps  Every `id` gets a default where it has none, as in databases whose application made its ids by itself
    applying `bookreader:m20250824_154502_drop_reader_settings` loses for good: keys of `users.reader_settings` other than `theme`, `language`, `notifications` and `notifications_enabled`, and how the JSON was spelled
    ");
}

#[test]
fn plan_tells_what_down_would_lose() {
    let lab = Lab::migrated();
    assert_snapshot!(lab.migrate(&["plan", "--down", "chat@base"]).exits(0).stdout, @"
       SERVICE  MIGRATION                               DOES    PHASE   HOW              DESCRIPTION
    1  chat     m20261120_000002_check_messages         revert  expand  resumable steps  Holds new messages to what the application assumes: a role of `user` or `assistant`, and no negative length
    2  chat     m20261120_000001_index_message_history  revert  expand  resumable steps  Adds the index that serves the history of a dialogue in its order: newest first, `id` where two messages of one transaction share their time, deleted ones left out
    3  chat     m20251017_000001_add_message_source     revert  expand  resumable steps  Adds `messages.source`, the channel that a message came through, and its index
    4  chat     m20251016_000001_create_messages        revert  expand  one transaction  Creates `messages`, the dialogue history, with soft delete
    reverting `chat:m20251017_000001_add_message_source` loses for good: the source of each message that did not come from Telegram
    reverting `chat:m20251016_000001_create_messages` loses for good: every message
    ");
    let step = lab.migrate(&["plan", "--down", "chat@base", "--json"]).exits(0).json()["steps"][3].clone();
    assert_eq!((&step["direction"], &step["loses"]), (&"revert".into(), &"every message".into()));
}

#[test]
fn verify_names_what_was_broken_by_hand() {
    let lab = Lab::migrated();
    lab.migrate(&["verify"]).exits(0);
    lab.query("DROP INDEX chat.idx_messages_history");
    assert_snapshot!(lab.migrate(&["verify", "chat", "rag"]).shown(), @"
    exit 4
    --- stdout
    chat          2 of 14 checks do not hold
      ✗ index `idx_messages_history` is valid: no (m20261120_000001_index_message_history)
      ✗ `idx_messages_history` has the order of a dialogue's history: no (m20261120_000001_index_message_history)
      · state of `messages_role_check`: validated
      · state of `messages_message_length_check`: validated
    rag           6 checks hold
    20 checks of 2 services
    --- stderr
    ");
    let document = lab.migrate(&["verify", "--json"]).exits(4).json();
    assert_eq!((&document["ok"], &document["exit_code"]), (&false.into(), &4.into()));
}

#[test]
fn everything_promised_holds_over_rows_that_were_there_before() {
    let lab = Lab::inherited();
    let document = lab.migrate(&["verify", "--json"]).exits(0).json();
    assert_eq!(document["ok"], true);
    let services = document["services"].as_array().unwrap();
    assert_eq!(services.len(), ROWS.len());
    for service in services {
        let checks = service["checks"].as_array().unwrap();
        assert!(!checks.is_empty() && service["error"].is_null(), "{service}");
        assert!(checks.iter().all(|check| check["holds"] == true), "{service}");
    }
    // The rows themselves are asked, not only the catalog.
    lab.query("DELETE FROM bookreader.user_preferences WHERE user_id = md5('7')::uuid");
    let ran = lab.migrate(&["verify", "bookreader"]).exits(4);
    let broken: Vec<&str> = ran.stdout.lines().filter(|line| line.contains('✗')).collect();
    assert_eq!(
        broken,
        ["  ✗ every user has preferences: 1 row: (8f14e45f-ceea-167a-5a36-dedd4bea2543) \
          (m20250824_154501_backfill_user_preferences)"]
    );
}

/// As the next migration of each service may do: what older ones promised is that their columns are there, not that there are
/// no others.
#[test]
fn a_column_that_comes_later_breaks_no_promise() {
    let lab = Lab::inherited();
    let add = "DO $$ DECLARE item record; BEGIN FOR item IN SELECT c.oid::regclass AS name FROM pg_class c \
               WHERE relkind = 'r' AND relnamespace::regnamespace::text IN ('chat', 'rag', 'assessments', 'profochatbot', 'bookreader') \
               AND relname !~ '^(seaql_migrations|migration)_' LOOP \
               EXECUTE format('ALTER TABLE %s ADD COLUMN comes_later integer', item.name); END LOOP; END $$; \
               SELECT count(*) > 20 FROM pg_attribute WHERE attname = 'comes_later'";
    assert_eq!(lab.query(add), "t");
    lab.migrate(&["verify"]).exits(0);
}

#[test]
fn space_is_shown_and_given_back() {
    // A server of its own: what sessions of others may still see is not given back.
    let cluster = Cluster::temporary().unwrap();
    let lab = Lab::with(cluster.create_database().unwrap());
    lab.migrate(&["up", "chat"]).exits(0);
    lab.query(
        "INSERT INTO chat.messages (user_id, chat_id, role, content, message_length) \
         SELECT n, n, 'user', repeat('x', 1000), 1000 FROM generate_series(1, 2000) AS n",
    );
    lab.query("DELETE FROM chat.messages WHERE user_id > 1");
    let total =
        |document: &serde_json::Value, at: &str| document["tables"][0][at]["total_bytes"].as_u64().unwrap();
    let before = lab.migrate(&["space", "chat", "--json"]).exits(0).json();
    assert_eq!(before["tables"][0]["table"], "messages");
    let after = lab.migrate(&["space", "chat", "--reclaim", "messages", "--json"]).exits(0).json();
    assert_eq!(total(&after, "before"), total(&before, "size"));
    assert!(total(&after, "size") < total(&before, "size") / 4, "{after}");
    assert_snapshot!(lab.migrate(&["space", "chat", "--reclaim", "messages"]).shown(), @"
    exit 0
    --- stdout
    TABLE     TOTAL        ROWS  INDEXES  LONG VALUES  DEAD ROWS  BEFORE
    messages  96 kB  8192 bytes    80 kB   8192 bytes          0   96 kB
    --- stderr
    note  rewriting `messages` under an ACCESS EXCLUSIVE lock: nobody reads or writes it until it is done
    ");
    assert_snapshot!(lab.migrate(&["space", "chat", "--reclaim", "nothing"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: `chat` has no table `nothing`
      hint `space chat` lists its tables
    ");
}

#[test]
fn the_graph_is_drawn_in_three_notations() {
    let lab = Lab::empty();
    let graph = |notation: &str| lab.migrate(&["graph", "--notation", notation]).exits(0);
    let mermaid = graph("mermaid").stdout;
    assert!(mermaid.starts_with("flowchart TD\n  subgraph chat\n"), "{mermaid}");
    assert!(
        mermaid
            .contains("chat__m20251016_000001_create_messages --> chat__m20251017_000001_add_message_source")
    );
    let dot = graph("dot").stdout;
    assert!(dot.starts_with("digraph migrations {\n"), "{dot}");
    assert!(dot.contains(
        "\"chat:m20251016_000001_create_messages\" -> \"chat:m20251017_000001_add_message_source\";"
    ));
    let services = |ran: &Ran| ran.json()["services"].as_array().unwrap().len();
    assert_eq!(services(&graph("json")), 5);
    assert_eq!(services(&lab.migrate(&["graph", "--json"]).exits(0)), 5);
    let both = lab.migrate(&["graph", "--notation", "dot", "--json"]).exits(2).json();
    assert_eq!(both["errors"][0]["message"], "`--json` is a notation of its own", "{both}");
}

#[test]
fn psql_opens_in_the_schema_of_the_service() {
    let lab = Lab::migrated();
    let psql = |arguments: &[&str]| lab.migrate(&[&["psql", "chat", "--"], arguments].concat());
    assert!(psql(&["-c", "\\d messages"]).exits(0).stdout.contains("Table \"chat.messages\""));
    assert_snapshot!(psql(&["-At", "-c", "SHOW search_path"]).shown(), @r#"
    exit 0
    --- stdout
    "chat"
    --- stderr
    "#);
    psql(&["-c", "SELECT no_such_column"]).exits(1);
    assert_snapshot!(lab.migrate(&["psql", "chta"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: service `chta` is not known
      hint did you mean `chat`?
    ");
}

#[test]
fn shells_get_their_completions() {
    let lab = Lab::empty();
    for (shell, mark) in [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")] {
        let script = lab.migrate(&["completions", shell]).exits(0).stdout;
        assert!(script.contains(mark) && script.contains("redo"), "{shell}: {script}");
    }
}

#[test]
fn tasks_are_listed_and_unknown_ones_refused() {
    let lab = Lab::migrated();
    let list = lab.migrate(&["task"]).exits(0).stdout;
    assert!(list.starts_with("SERVICE"), "{list}");
    for line in list.lines().skip(1) {
        let words: Vec<&str> = line.split_whitespace().take(2).collect();
        let help = lab.migrate(&["task", words[0], words[1], "--help"]).exits(0).stdout;
        assert!(
            help.contains(&format!("Usage: cargo xtask migrate task {} {}", words[0], words[1])),
            "{help}"
        );
    }
    assert_snapshot!(lab.migrate(&["task", "chat", "dance"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: service `chat` has no task `dance`
      hint `task` lists the tasks of all services
    ");
    assert_snapshot!(lab.migrate(&["task", "nobody", "dance"]).shown(), @"
    exit 2
    --- stdout
    --- stderr
    error: service `nobody` is not known
      hint `status` lists the services
    ");
}

#[test]
fn every_command_that_waits_for_a_table_lock_while_it_reads_ends_at_the_first_signal() {
    let lab = Lab::migrated();
    let archive = lab.migrate(&["backup", "rag", "--no-verify", "--json"]).exits(0).json();
    let archive = archive["backups"][0]["archive"].as_str().unwrap();
    let mut in_the_way = lab.session();
    in_the_way.query("BEGIN");
    in_the_way
        .query("LOCK TABLE rag.seaql_migrations_rag, rag.migration_journal_rag IN ACCESS EXCLUSIVE MODE");
    let mut watch = lab.session();
    let commands: [&[&str]; 25] = [
        &["status"],
        &["status", "--check", "--verbose"],
        &["history"],
        &["history", "--verbose", "rag"],
        &["doctor"],
        &["wait", "--for", "current", "rag"],
        &["sql", "rag"],
        &["redo", "rag"],
        &["deploy", "rag", "--dry-run"],
        &["deploy", "rag"],
        &["plan"],
        &["up"],
        &["down", "rag@-1"],
        &["verify"],
        &["drift", "rag"],
        &["adopt", "rag", "--from", "schema"],
        &["stamp", "rag@head"],
        &["repair"],
        &["repair", "--restore-rows", "rag"],
        &["repair", "--forget", "rag:m20260101_000000_of_another_branch"],
        &["reset", "rag", "--dry-run"],
        &["backup", "rag"],
        &["restore", archive, "--dry-run"],
        &["space", "rag"],
        &["space", "rag", "--reclaim", "user_knowledge"],
    ];
    for command in commands {
        let running = lab.start(command);
        ends_at_the_first_signal(running, &mut watch, &format!("{command:?}"));
    }
}

/// Waits until it waits for a lock, and interrupts it: it ends, and nothing of it waits any longer.
#[track_caller]
fn ends_at_the_first_signal(running: Running, watch: &mut Session, what: &str) {
    const WAITING: &str = "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() \
                           AND wait_event_type = 'Lock'";
    watch.until(WAITING, "t");
    running.signal("INT");
    let ran = running.finish();
    assert_eq!(ran.code, 130, "{what}\n{}", ran.shown());
    watch.until(WAITING, "f");
}

/// The way back looks at the histories once more.
#[test]
fn a_way_back_that_waits_for_a_table_lock_ends_at_the_first_signal() {
    for way in ["revert", "restore"] {
        let lab = Lab::empty();
        let start = "touch here; while [ ! -e go ]; do sleep 0.02; done; exit 1";
        let running = lab.start(&["deploy", "rag", "--start-command", start, "--on-failure", way]);
        let mut watch = lab.session();
        while !lab.directory.path().join("here").exists() {
            thread::sleep(Duration::from_millis(20));
        }
        let mut in_the_way = lab.session();
        in_the_way.query("BEGIN");
        in_the_way.query("LOCK TABLE rag.seaql_migrations_rag IN ACCESS EXCLUSIVE MODE");
        lab.directory.write("go", "");
        ends_at_the_first_signal(running, &mut watch, way);
        in_the_way.query("ROLLBACK");
        // It is known where it stood.
        lab.migrate(&["deploy", "--resume", "--json"]).exits(1);
        assert_eq!(lab.query("SELECT count(*) FROM rag.seaql_migrations_rag"), "0", "{way}");
    }
}
