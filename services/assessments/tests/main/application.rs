//! The application's role: what it writes goes on being written while the service's migrations run.

use crate::{BACKFILL, TABLES, before};
use assessments_migration::entity::user;
use assessments_migration::service;
use migration_testing::application_finds_its_own_tables;

/// What the application writes to `question_history`, before the raw answers are gone and after.
const BEFORE: [&str; 4] = [
    r#"INSERT INTO question_history (id, competency_assessment_id, question_text, ai_evaluation) VALUES
       (md5('a')::uuid, md5('part1')::uuid, 'q', '{"score": 7, "isCorrect": true, "feedback": "x"}')"#,
    r#"UPDATE question_history SET ai_evaluation = '{"score": 4, "isCorrect": false}' WHERE id = md5('a')::uuid"#,
    "UPDATE question_history SET is_correct = true WHERE id = md5('a')::uuid",
    "DELETE FROM question_history WHERE id = md5('a')::uuid",
];
const AFTER: [&str; 3] = [
    "INSERT INTO question_history (id, competency_assessment_id, question_text) VALUES
     (md5('a')::uuid, md5('part1')::uuid, 'q')",
    "UPDATE question_history SET is_correct = true WHERE id = md5('a')::uuid",
    "DELETE FROM question_history WHERE id = md5('a')::uuid",
];

#[tokio::test]
async fn a_role_that_owns_nothing_writes_before_between_and_after_all_migrations() {
    let scratch = before().await;
    let others: Vec<String> = TABLES
        .iter()
        .filter(|table| **table != "question_history")
        .map(|table| {
            format!(
                "WITH gone AS (DELETE FROM {table} WHERE false RETURNING *) INSERT INTO {table} SELECT * FROM gone"
            )
        })
        .collect();
    let statements: Vec<&str> = BEFORE.into_iter().chain(others.iter().map(String::as_str)).collect();
    let application = scratch.expand_beside_application(&statements).await;
    scratch.verify().await;
    scratch.up_contract().await;
    for statement in AFTER {
        application.execute(statement).await;
    }
}

#[tokio::test]
async fn the_application_finds_its_own_tables() {
    application_finds_its_own_tables::<user::Entity>(service(), assessments_migration::connect_options).await;
}

#[tokio::test]
async fn no_check_fails_because_of_a_row_that_the_schema_permits() {
    let written = |columns: &str, values: &str| {
        format!(
            "INSERT INTO question_history (competency_assessment_id, question_text, is_correct, score{columns}) \
             SELECT md5('part1')::uuid, '', number % 2 = 0, nullif(number % 6, 0){values} FROM generate_series(1, 9) AS number"
        )
    };
    let evaluations = r#", (ARRAY['{"score": 9}', '[]', '7', 'null', NULL, '{"isCorrect": true, "score": "4.0"}',
        '{"knowledgeGaps": [1]}', '{"isCorrect": false}', '{"feedback": {}, "understandingDepth": "none"}'])[number]::jsonb"#;
    let scratch = before().await;
    scratch.up_to(BACKFILL).await;
    scratch.verify_beside_application(&[&written(", ai_evaluation", evaluations)]).await;
    let scratch = before().await;
    scratch.up_contract().await;
    scratch.verify_beside_application(&[&written("", "")]).await;
}
