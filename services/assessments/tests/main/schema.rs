//! The schema that the migrations make: what every service's have to pass, rows that stay when one runs again, and the head.

use assessments_migration::service;
use migration_testing::{Scratch, conformance};

use crate::{ADD_COLUMNS, BACKFILL, CONTRACT, CREATE_QUESTIONS, INDEX, before, digests};

#[tokio::test]
async fn they_conform() {
    conformance(service()).await;
}

#[tokio::test]
async fn a_migration_that_runs_again_changes_nothing() {
    let scratch = before().await;
    for migration in [CREATE_QUESTIONS, ADD_COLUMNS, BACKFILL, INDEX, CONTRACT] {
        scratch.up_to(migration).await;
        let (schema, rows) = (scratch.dump_schema().await, digests(&scratch).await);
        let rejects = rejects_digest(&scratch).await;
        // As if it had been killed when all was done and only its version was not written yet.
        scratch
            .execute(&format!(
                "DELETE FROM seaql_migrations_assessments WHERE version = '{migration}'; \
                 UPDATE migration_journal_assessments SET outcome = 'running' WHERE migration = '{migration}'"
            ))
            .await;
        scratch.up_to(migration).await;
        assert_eq!(scratch.dump_schema().await, schema, "{migration}");
        assert_eq!(digests(&scratch).await, rows, "{migration}");
        assert_eq!(rejects_digest(&scratch).await, rejects, "{migration}");
    }
}

/// Of the rejects, once a migration has made their table.
async fn rejects_digest(scratch: &Scratch) -> Option<String> {
    const REJECTS: &str = "migration_reject_assessments";
    if scratch.has_table(REJECTS).await { Some(scratch.table_digest(REJECTS).await) } else { None }
}

#[tokio::test]
async fn a_table_that_somebody_else_made_is_refused() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to("m20260116_000001_create_assessments").await;
    scratch.execute("CREATE TABLE questions (id integer)").await;
    let error = scratch.try_up_to(CREATE_QUESTIONS).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("a table `questions` with other columns exists"), "{source}");
}

#[tokio::test]
async fn question_history_ends_as_the_service_describes_it() {
    let scratch = Scratch::new(service()).await;
    scratch.up_contract().await;
    let columns = scratch
        .rows(
            "SELECT attname, format_type(atttypid, atttypmod), coalesce(col_description(attrelid, attnum), '-') <> '-' \
             FROM pg_attribute WHERE attrelid = 'question_history'::regclass AND attnum > 0 AND NOT attisdropped \
             ORDER BY attnum",
        )
        .await;
    assert_eq!(
        columns,
        [
            "id|uuid|f",
            "competency_assessment_id|uuid|f",
            "question_text|text|f",
            "question_type|character varying(50)|f",
            "difficulty_level|integer|f",
            "is_correct|boolean|f",
            "time_spent_seconds|integer|f",
            "asked_at|timestamp without time zone|f",
            "answered_at|timestamp without time zone|f",
            "question_id|uuid|f",
            "score|integer|t",
            "understanding_depth|character varying(20)|t",
            "feedback|text|t",
            "knowledge_gaps|text[]|t",
        ]
    );
    let indexes = scratch
        .rows("SELECT indexname FROM pg_indexes WHERE tablename = 'question_history' ORDER BY 1")
        .await;
    assert_eq!(
        indexes,
        [
            "idx_question_history_competency_assessment_id",
            "idx_question_history_is_correct",
            "idx_question_history_question_id",
            "idx_question_history_score",
            "question_history_pkey",
        ]
    );
}
