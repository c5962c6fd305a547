//! Contract steps: held back until they are asked for, until their soak time has passed, and until a loss is agreed to.

use insta::assert_snapshot;

use crate::support::Lab;

/// Everything was applied two days earlier.
fn two_days_ago(lab: &Lab) {
    lab.query("UPDATE assessments.seaql_migrations_assessments SET applied_at = applied_at - 2 * 86400");
}

#[test]
fn it_is_held_back_while_it_soaks() {
    let lab = Lab::migrated();
    assert_snapshot!(lab.migrate(&["up", "assessments", "--contract"]).shown(), @"
    exit 0
    --- stdout
    5 services up to date · 8 contract steps held back, the first until [timestamp] · nothing to do in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    note  `assessments:m20260126_000004_drop_raw_answers` is held back: it waits until [timestamp], then `up --contract` applies it
    ");
}

#[test]
fn it_is_held_back_while_nobody_asks_for_it() {
    let lab = Lab::migrated();
    two_days_ago(&lab);
    assert_snapshot!(lab.migrate(&["up", "assessments"]).shown(), @"
    exit 0
    --- stdout
    5 services up to date · 8 contract steps held back, the first due now with `--contract` · nothing to do in [time]
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    note  `assessments:m20260126_000004_drop_raw_answers` is held back: it is a contract step, and those were not asked for; `--contract` applies it
    ");
    assert_snapshot!(lab.migrate(&["plan", "assessments", "--contract"]).shown(), @"
    exit 0
    --- stdout
       SERVICE      MIGRATION                          DOES   PHASE     HOW              DESCRIPTION
    1  assessments  m20260126_000004_drop_raw_answers  apply  contract  resumable steps  Drops the raw answers of `question_history`: `user_answer_transcript`, `audio_duration_seconds`, `transcription_confidence` and `ai_evaluation`, with the triggers and functions that kept the new columns in step
    applying `assessments:m20260126_000004_drop_raw_answers` loses for good: transcripts, audio durations and transcription confidences; of each evaluation `nextDifficulty`, `reasoning`, `correctAnswer`, `expectedKeyPoints` and every other key without a column; which values of `is_correct` came from an evaluation
    --- stderr
    ");
}

#[test]
fn soak_times_are_ignored_where_the_operator_says_so() {
    let lab = Lab::migrated();
    let ignoring = ["--contract", "--ignore-soak"];
    lab.migrate(&["up", "assessments", "--ignore-soak"]).exits(2);
    let plan = lab.migrate(&[&["plan", "assessments", "--json"], &ignoring[..]].concat()).exits(0).json();
    assert!(plan["steps"][0]["ignored_soak"].is_string(), "{plan}");
    let shown = lab.migrate(&[&["plan", "assessments"], &ignoring[..]].concat()).exits(0).stdout;
    assert!(shown.contains("which is ignored"), "{shown}");
    // It agrees to no loss of data.
    lab.migrate(&[&["up", "assessments"], &ignoring[..]].concat()).exits(7);
    lab.migrate(&[&["up", "assessments", "--allow-data-loss"], &ignoring[..]].concat()).exits(0);
    let journal = lab.migrate(&["history", "assessments", "--verbose", "--json"]).exits(0).json();
    let last = journal["journal"].as_array().unwrap().last().unwrap();
    assert_eq!(last["consent"], "data_loss ignored_soak", "{last}");
    let shown = lab.migrate(&["history", "assessments", "--verbose"]).exits(0).stdout;
    assert!(shown.contains("apply --allow-data-loss --ignore-soak"), "{shown}");
}

#[test]
fn what_is_due_is_said_by_status() {
    let lab = Lab::migrated();
    two_days_ago(&lab);
    let status = lab.migrate(&["status", "assessments"]).exits(0).stdout;
    assert!(status.contains("is held back: due now: `up --contract` applies it"), "{status}");
    let summary = &lab.migrate(&["status", "--json"]).exits(0).json()["summary"];
    let expected = serde_json::json!({"services": 5, "up_to_date": 5, "at_head": 2, "pending": 0, "held_back": 8, "unknown": 0});
    assert_eq!(*summary, expected);
}

#[test]
fn a_loss_of_data_is_agreed_to_first() {
    let lab = Lab::migrated();
    two_days_ago(&lab);
    assert_snapshot!(lab.migrate(&["up", "assessments", "--contract"]).shown(), @"
    exit 7
    --- stdout
    --- stderr
    database  `[database]` at [socket]:5432, PostgreSQL [version], as `postgres`
    error: migration `assessments:m20260126_000004_drop_raw_answers` loses data for good: transcripts, audio durations and transcription confidences; of each evaluation `nextDifficulty`, `reasoning`, `correctAnswer`, `expectedKeyPoints` and every other key without a column; which values of `is_correct` came from an evaluation
      hint make a backup, then say `--allow-data-loss`
    ");
    lab.migrate(&["up", "assessments", "--contract", "--allow-data-loss"]).exits(0);
    assert_eq!(
        lab.query("SELECT count(*) FROM pg_attribute WHERE attrelid = 'assessments.question_history'::regclass AND attname = 'ai_evaluation' AND NOT attisdropped"),
        "0"
    );
    lab.migrate(&["status", "--check", "assessments"]).exits(0);
    lab.migrate(&["verify", "assessments"]).exits(0);
}
