//! The contract step: what it refuses, what it sweeps, and how it is resumed.

use migration_testing::ScratchError;
use sea_orm_migration::{MigrationTrait, SchemaManager};

use crate::{CONTRACT, before, data};

const EVALUATION: &str = r#"{"score": 5, "isCorrect": true}"#;

#[tokio::test]
async fn it_is_refused_while_an_evaluation_is_forgotten() {
    let scratch = before().await;
    scratch.up().await;
    scratch.execute("ALTER TABLE question_history DISABLE TRIGGER USER").await;
    scratch.execute(&data::insert(EVALUATION, "NULL")).await;
    scratch.execute("ALTER TABLE question_history ENABLE TRIGGER USER").await;
    let rows = crate::digests(&scratch).await;

    let refused = scratch.try_up_to(CONTRACT).await;
    assert!(matches!(refused, Err(ScratchError::Guard { .. })), "{refused:?}");
    assert_eq!(crate::digests(&scratch).await, rows, "nothing was changed");

    scratch
        .execute("UPDATE question_history SET ai_evaluation = ai_evaluation WHERE question_text = 'odd'")
        .await;
    scratch.up_to(CONTRACT).await;
    let caught_up =
        scratch.rows("SELECT count(*) FROM question_history WHERE score = 5 AND question_text = 'odd'").await;
    assert_eq!(caught_up, ["1"]);
}

#[tokio::test]
async fn a_reject_that_nobody_listed_refuses_it_too() {
    let scratch = before().await;
    scratch.up().await;
    scratch.execute("DELETE FROM migration_reject_assessments WHERE field = 'score' AND value = '4.5'").await;
    let refused = scratch.try_up_to(CONTRACT).await;
    assert!(matches!(refused, Err(ScratchError::Guard { .. })), "{refused:?}");
}

#[tokio::test]
async fn the_sweep_catches_up_what_escaped_the_triggers() {
    let scratch = before().await;
    scratch.up().await;
    scratch.execute("ALTER TABLE question_history DISABLE TRIGGER USER").await;
    scratch.execute(&data::insert(EVALUATION, "NULL")).await;
    scratch.execute(&data::insert(r#"{"score": 9}"#, "NULL")).await;
    // Without its guard, as plain sea-orm runs it.
    let migration = assessments_migration::m20260126_000004_drop_raw_answers::Migration;
    migration.up(&SchemaManager::new(scratch.db())).await.unwrap();
    let caught_up =
        scratch.rows("SELECT count(*) FROM question_history WHERE score = 5 AND question_text = 'odd'").await;
    assert_eq!(caught_up, ["1"]);
    let listed = scratch
        .rows(
            "SELECT field, value FROM migration_reject_assessments WHERE migration LIKE '%drop_raw_answers'",
        )
        .await;
    assert_eq!(listed, ["score|9"]);
    migration.down(&SchemaManager::new(scratch.db())).await.unwrap();
    let listed = scratch.rows("SELECT migration FROM migration_reject_assessments WHERE value = '9'").await;
    assert_eq!(listed, ["m20260126_000002_backfill_evaluations"], "its entry is the backfill's now");
}

#[tokio::test]
async fn what_was_rejected_outlives_it() {
    let scratch = before().await;
    scratch.up().await;
    let rejects = scratch.table_digest("migration_reject_assessments").await;
    scratch.up_contract().await;
    assert_eq!(scratch.table_digest("migration_reject_assessments").await, rejects);
}
