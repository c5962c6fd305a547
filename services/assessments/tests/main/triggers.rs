//! Old and new code at once, between the backfill and the contract step.

use assessments_migration::service;
use migration_testing::Scratch;

use crate::{ADD_COLUMNS, BACKFILL, CREATE_QUESTIONS, data};

const STATE: &str = "SELECT score, is_correct, understanding_depth, feedback, knowledge_gaps, is_correct_carried_over FROM question_history";

/// A database after the backfill with one row, written by old code with this evaluation.
async fn with_row(evaluation: &str, is_correct: &str) -> Scratch {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BACKFILL).await;
    scratch.execute("INSERT INTO competency_assessments (id) VALUES (md5('part1')::uuid)").await;
    scratch.execute(&data::insert(evaluation, is_correct)).await;
    scratch
}

async fn check(scratch: &Scratch, expected: &str) {
    assert_eq!(scratch.rows(STATE).await, [expected]);
    scratch.verify().await;
}

async fn rejects(scratch: &Scratch) -> Vec<String> {
    scratch.rows("SELECT field, value FROM migration_reject_assessments ORDER BY field").await
}

#[tokio::test]
async fn a_row_of_old_code_is_filled_as_it_is_written() {
    let scratch = with_row(r#"{"score": "4", "isCorrect": true, "knowledgeGaps": []}"#, "NULL").await;
    check(&scratch, "4|t|∅|∅|{}|t").await;
}

#[tokio::test]
async fn an_evaluation_that_replaces_another_takes_the_columns_along() {
    let scratch = with_row(r#"{"score": 4, "isCorrect": true, "feedback": "x"}"#, "NULL").await;
    scratch
        .execute(r#"UPDATE question_history SET ai_evaluation = '{"score": 2, "isCorrect": false}'"#)
        .await;
    check(&scratch, "2|f|∅|∅|∅|t").await;
}

#[tokio::test]
async fn what_new_code_writes_stands() {
    let scratch = with_row(r#"{"score": 4, "isCorrect": true}"#, "NULL").await;
    scratch.execute("UPDATE question_history SET score = 5, is_correct = false").await;
    check(&scratch, "5|f|∅|∅|∅|∅").await;
    // A whole row saved by old code, its evaluation unchanged.
    scratch
        .execute("UPDATE question_history SET ai_evaluation = ai_evaluation, question_text = 'again'")
        .await;
    check(&scratch, "5|f|∅|∅|∅|∅").await;
    scratch.execute(r#"UPDATE question_history SET ai_evaluation = '{"score": 1}', score = 3"#).await;
    check(&scratch, "3|f|∅|∅|∅|∅").await;
}

#[tokio::test]
async fn an_evaluation_replaces_only_the_columns_of_which_it_says_something_else() {
    let scratch = with_row(r#"{"score": 4, "isCorrect": true, "feedback": "fine"}"#, "NULL").await;
    check(&scratch, "4|t|∅|fine|∅|t").await;
    scratch.execute("UPDATE question_history SET score = 5").await;
    // Old code adds a key, and says of the score what it said before.
    scratch
        .execute(
            r#"UPDATE question_history
               SET ai_evaluation = '{"score": 4, "isCorrect": true, "feedback": "good", "reasoning": "long"}'"#,
        )
        .await;
    check(&scratch, "5|t|∅|good|∅|t").await;
    // It says nothing of either any more: only what was carried over goes.
    scratch.execute(r#"UPDATE question_history SET ai_evaluation = '{"reasoning": "long"}'"#).await;
    check(&scratch, "5|∅|∅|∅|∅|∅").await;
    scratch.execute(r#"UPDATE question_history SET ai_evaluation = '{"score": 2}'"#).await;
    check(&scratch, "2|∅|∅|∅|∅|∅").await;
    scratch.verify().await;
}

#[tokio::test]
async fn what_an_evaluation_says_after_the_triggers_are_gone_is_carried_over_again() {
    let scratch = with_row(r#"{"score": 4, "isCorrect": true, "feedback": "fine"}"#, "NULL").await;
    scratch.execute("UPDATE question_history SET feedback = 'new code was here'").await;
    scratch.down_to(ADD_COLUMNS).await;
    scratch
        .execute(r#"UPDATE question_history SET ai_evaluation = '{"score": 1, "isCorrect": false}'"#)
        .await;
    scratch.up_to(BACKFILL).await;
    check(&scratch, "1|f|∅|new code was here|∅|t").await;
    scratch.verify().await;
}

#[tokio::test]
async fn an_evaluation_that_is_taken_away_leaves_the_columns() {
    let scratch = with_row(r#"{"score": 4, "isCorrect": true}"#, "NULL").await;
    scratch.execute("UPDATE question_history SET ai_evaluation = NULL").await;
    check(&scratch, "4|t|∅|∅|∅|t").await;
}

#[tokio::test]
async fn is_correct_belongs_to_whoever_wrote_it_last() {
    let scratch = with_row(r#"{"isCorrect": true}"#, "NULL").await;
    check(&scratch, "∅|t|∅|∅|∅|t").await;
    scratch.execute("UPDATE question_history SET is_correct = true").await;
    check(&scratch, "∅|t|∅|∅|∅|∅").await;
    scratch.down_to(CREATE_QUESTIONS).await;
    assert_eq!(scratch.rows("SELECT is_correct FROM question_history").await, ["t"]);
}

#[tokio::test]
async fn rejects_follow_the_evaluation() {
    let scratch = with_row(r#"{"score": 9, "feedback": 1}"#, "NULL").await;
    assert_eq!(rejects(&scratch).await, ["feedback|1", "score|9"]);
    scratch.execute(r#"UPDATE question_history SET ai_evaluation = '{"score": 8}'"#).await;
    assert_eq!(rejects(&scratch).await, ["score|8"]);
    scratch.execute(r#"UPDATE question_history SET ai_evaluation = '{"score": 5}'"#).await;
    assert_eq!(rejects(&scratch).await, [""; 0]);
    scratch.verify().await;
}

#[tokio::test]
async fn an_application_needs_no_rights_on_the_bookkeeping() {
    let scratch = with_row("{}", "NULL").await;
    let role = scratch.rows("SELECT 'app_' || current_database()").await.concat();
    scratch
        .execute(&format!(
            "CREATE ROLE {role}; GRANT USAGE ON SCHEMA assessments TO {role}; \
             GRANT SELECT, INSERT, UPDATE ON question_history TO {role}"
        ))
        .await;
    let insert =
        data::insert(r#"{"score": 9, "isCorrect": false}"#, "NULL").replace("INTO ", "INTO assessments.");
    scratch.execute(&format!("SET LOCAL ROLE {role}; SET LOCAL search_path = pg_catalog; {insert}")).await;
    assert_eq!(rejects(&scratch).await, ["score|9"]);
    scratch.execute(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
