//! What is reported in time: what is left to do, what will be lost, which copy is kept, which space can be given back.

use insta::assert_snapshot;

use crate::support::{Lab, Ran};

/// A service at its first migration, with these rows.
fn lab(service: &str, rows: &str) -> Lab {
    let lab = Lab::empty();
    lab.migrate(&["up", &format!("{service}@+1"), "--quiet"]).exits(0);
    lab.query(rows);
    lab
}

/// Lines of what a command said that contain one of these words.
fn lines(ran: &Ran, words: &[&str]) -> String {
    let said = format!("{}{}", ran.stdout, ran.stderr);
    let chosen = said.lines().filter(|line| words.iter().any(|word| line.contains(word)));
    chosen.collect::<Vec<_>>().join("\n")
}

const BOTS: &str = "INSERT INTO profochatbot.course (course_id, bot_name, date_created, yaml) VALUES \
    ('course1', 'bot1', '2024-01-01', 'title: 1'), ('course1', 'bot5', '2025-01-01', 'title: 2'), \
    ('course2', 'bot1', '2024-01-01', 'x'), ('course2', E'bot\\u001b[31m', '2023-01-01', 'y'), ('single', 'bot1', NULL, NULL); \
    INSERT INTO profochatbot.course_element (element_id, json, element_type, course_id, bot_name) \
    SELECT 'e' || n, '{}', 'text', 'course1', CASE WHEN n <= 30 THEN 'bot1' ELSE 'bot5' END FROM generate_series(1, 32) AS n; \
    INSERT INTO profochatbot.course_element (element_id, json, element_type, course_id, bot_name) \
    VALUES ('e1', '{}', 'text', 'course2', E'bot\\u001b[31m'); \
    INSERT INTO profochatbot.run (chat_id, username, botname, course_id, date_inserted, is_ended) \
    SELECT 1 + n % 2, 'user', 'bot1', CASE WHEN n <= 2 THEN 'no-course' ELSE 'course1' END, '2024-02-01', false \
    FROM generate_series(1, 40) AS n";

#[test]
fn what_is_left_to_do_is_said_when_it_is_true() {
    let lab = lab("profochatbot", BOTS);
    // Where the columns that it asks for are not there yet, that is said.
    let early = ["plan", "profochatbot", "--contract", "--ignore-soak"];
    let planned = lab.migrate(&early).exits(0);
    assert_snapshot!(lines(&planned, &["copies of courses"]), @"`profochatbot:m20260201_000001_normalize_courses`: copies of courses, of which one stays: known once the steps before it are applied");
    let ran = lab.migrate(&["up", "profochatbot"]).exits(0);
    assert_snapshot!(lines(&ran, &["without a token", "reject", "nothing is lost"]), @r#"
    note  `profochatbot`: 2 rejects from `run`: `course_id`: there is no such course: the run has no deployment
    note  `profochatbot`: `rejects profochatbot` lists them
      · `profochatbot`: bots without a token: 3 without a token, which the task set-bot-token sets: bot\u{1b}[31m, bot1, bot5
    note  `profochatbot`: 38 rows of `run` were changed by a rule, and nothing is lost: `is_active`: its chat has a newer active run with the bot: this one is not active any more
    note  `profochatbot`: `rejects profochatbot` lists them
    "#);
    assert_snapshot!(lab.migrate(&["plan", "profochatbot", "--contract", "--ignore-soak"]).shown(), @r#"
    exit 0
    --- stdout
       SERVICE       MIGRATION                                DOES   PHASE     HOW              NOTES                                               DESCRIPTION
    1  profochatbot  m20260201_000001_normalize_courses       apply  contract  resumable steps  soaks until [timestamp], which is ignored  One course of an account is one row, and what refers to a course refers to one that exists
    2  profochatbot  m20260201_000002_normalize_participants  apply  contract  resumable steps  soaks until [timestamp], which is ignored  A participant stands once in a course, and a ban once in a bot
    3  profochatbot  m20260201_000003_check_run_links         apply  contract  resumable steps  soaks until [timestamp], which is ignored  Conversations and waits refer to runs that exist
    4  profochatbot  m20260201_000004_drop_default_account    apply  contract  resumable steps  soaks until [timestamp], which is ignored  Ends the time of old application code: a row that names no account fails, instead of falling to account 1
    5  profochatbot  m20260401_000001_normalize_settings      apply  contract  resumable steps  soaks until [timestamp], which is ignored  A bot has one setting of a key
    6  profochatbot  m20260401_000002_drop_names_from_keys    apply  contract  resumable steps  soaks until [timestamp], which is ignored  A course belongs to its account, a ban and a setting to their bot; names are needed for nothing any more, and settings are numbered by the server
    `profochatbot:m20260201_000001_normalize_courses`: copies of courses, of which one stays: 2
      course course1 of account 1: that of bot bot5 stays (elements: 2); that of bot bot1 leaves for the rejects with its elements (30)
      course course2 of account 1: that of bot bot1 stays (elements: 0); that of bot bot\u{1b}[31m leaves for the rejects, its elements (1) stay
    `profochatbot:m20260201_000004_drop_default_account`: rows whose names say something else than their links, which both stay (the rows become rejects): none
    --- stderr
    "#);
    // Also while the soak runs: then is the time to look.
    let held = lab.migrate(&["plan", "profochatbot", "--contract"]).exits(0);
    assert_snapshot!(lines(&held, &["normalize_courses", "course1"]), @r"
    `profochatbot:m20260201_000001_normalize_courses` is held back: it waits until [timestamp], then `up --contract` applies it
    `profochatbot:m20260201_000001_normalize_courses`: copies of courses, of which one stays: 2
      course course1 of account 1: that of bot bot5 stays (elements: 2); that of bot bot1 leaves for the rejects with its elements (30)
    ");
    let plan = lab.migrate(&["plan", "profochatbot", "--json"]).exits(0).json();
    let previews =
        plan["held_back"].as_array().unwrap().iter().filter_map(|held| held["previews"].as_array());
    let previews: Vec<_> = previews.flatten().collect();
    assert_eq!((previews.len(), &previews[0]["n"]), (2, &2.into()), "{plan}");

    // Rare losses first, what the rule of one active run changed apart, and nothing of rows that are gone.
    lab.query("DELETE FROM profochatbot.run WHERE run_id = 1");
    assert_snapshot!(lab.migrate(&["rejects", "profochatbot", "--count"]).shown(), @"
    exit 0
    --- stdout
    ENTRIES  TABLE  FIELD      REASON                                              MIGRATION
          1  run    course_id  there is no such course: the run has no deployment  m20260108_000004_backfill_runs
    changed by a rule, which reverting undoes; nothing is lost:
    ENTRIES  TABLE  FIELD      REASON                                                                         MIGRATION
         37  run    is_active  its chat has a newer active run with the bot: this one is not active any more  m20260110_000001_check_one_active_run
    --- stderr
    2 more entries are about rows that have been deleted since
    ");
    assert_snapshot!(lab.migrate(&["rejects", "profochatbot", "--limit", "2"]).shown(), @r#"
    exit 0
    --- stdout
    TABLE  KEY           FIELD      VALUE      REASON                                              MIGRATION
    run    {"run_id":2}  course_id  no-course  there is no such course: the run has no deployment  m20260108_000004_backfill_runs
    changed by a rule, which reverting undoes; nothing is lost:
    TABLE  KEY           FIELD      VALUE  REASON                                                                         MIGRATION
    run    {"run_id":2}  is_active  true   its chat has a newer active run with the bot: this one is not active any more  m20260110_000001_check_one_active_run
    --- stderr
    2 of 38 entries; `--limit` shows more, `--count` counts them
    2 more entries are about rows that have been deleted since
    "#);
}

#[test]
fn keys_that_will_be_lost_are_named_with_counts() {
    let lab = lab(
        "assessments",
        "INSERT INTO assessments.question_history (id, question_text, asked_at, ai_evaluation) \
         SELECT md5(n::text)::uuid, 'question', '2026-01-01', jsonb_build_object('score', 4, 'is_correct', true) \
           || CASE WHEN n <= 2 THEN '{\"knowledge_gaps\": []}' ELSE '{}'::jsonb END FROM generate_series(1, 5) AS n",
    );
    let up = lab.migrate(&["up", "assessments"]).exits(0);
    assert_snapshot!(lines(&up, &["keys of evaluations"]), @"  · `assessments`: keys of evaluations that the contract step will lose, and in how many rows: is_correct (5), knowledge_gaps (2)");
    lab.migrate(&["up", "bookreader@m20250823_000001", "--quiet"]).exits(0);
    lab.query(
        "INSERT INTO bookreader.users (id, email, password_hash, is_active, is_verified, is_admin, created_at, updated_at, reader_settings) \
         SELECT md5(n::text)::uuid, n::text, 'x', true, true, false, now(), now(), CASE WHEN n = 1 THEN '{\"theme\": \"dark\", \"font\": 1, \"tint\": 2}' \
           ELSE '{\"tint\": 3}' END::json FROM generate_series(1, 3) AS n",
    );
    lab.migrate(&["up", "bookreader", "--quiet"]).exits(0);
    let held = lab.migrate(&["plan", "assessments", "bookreader", "--contract"]).exits(0);
    assert_snapshot!(lines(&held, &["it loses", "  "]), @r"
    `assessments:m20260126_000004_drop_raw_answers`: keys of evaluations that it loses, and in how many rows: 2
      is_correct (5)
      knowledge_gaps (2)
    `bookreader:m20250824_154502_drop_reader_settings`: settings that it loses, and how many users have them: 2
      tint (3)
      font (1)
    ");
    let contract = ["up", "assessments", "--contract", "--ignore-soak", "--allow-data-loss"];
    assert_snapshot!(lines(&lab.migrate(&contract).exits(0), &["keys of evaluations"]), @"  · `assessments`: keys of evaluations that are lost, and in how many rows: is_correct (5), knowledge_gaps (2)");
}

#[test]
fn space_is_reported_with_the_command_that_gives_it_back() {
    let lab = lab(
        "assessments",
        "INSERT INTO assessments.question_history (id, question_text, asked_at, ai_evaluation) \
         SELECT md5(n::text)::uuid, 'question', '2026-01-01', jsonb_build_object('score', 4, 'reasoning', \
           (SELECT string_agg(md5((n * 100 + m)::text), '') FROM generate_series(1, 60) AS m)) FROM generate_series(1, 3000) AS n",
    );
    lab.migrate(&["up", "assessments", "--quiet"]).exits(0);
    // Nor is another program's table in the schema the service's to rewrite.
    lab.query(
        "CREATE TABLE assessments.their_export AS SELECT repeat(md5(n::text), 60) AS line FROM generate_series(1, 3000) AS n",
    );
    lab.query("DELETE FROM assessments.their_export");
    let contract = ["up", "assessments", "--contract", "--ignore-soak", "--allow-data-loss", "--json"];
    let ran = lab.migrate(&contract).exits(0).json();
    let roomy = &ran["roomy"][0];
    assert_eq!((&roomy["table"], ran["roomy"].as_array().unwrap().len()), (&"question_history".into(), 1));
    let expected = roomy["reclaimable_bytes"].as_u64().unwrap();
    let reported = lines(&lab.migrate(&["space", "assessments"]).exits(0), &["--reclaim"]);
    assert!(reported.contains("`space assessments --reclaim question_history` gives about "), "{reported}");
    let reclaimed =
        lab.migrate(&["space", "assessments", "--reclaim", "question_history", "--json"]).exits(0).json();
    let bytes = |at: &str, what: &str| reclaimed["tables"][0][at][what].as_u64().unwrap();
    let gained = bytes("before", "total_bytes") - bytes("size", "total_bytes");
    // Indexes give something back too, which is not promised.
    assert!(expected <= gained && expected * 10 > gained * 7, "{expected} of {gained}");
    assert_eq!(lines(&lab.migrate(&["space", "assessments"]).exits(0), &["--reclaim"]), "");
}
