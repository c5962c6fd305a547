//! What is written where no trigger fires (a restored dump, logical replication), between the expand and the contract step:
//! nothing of it is lost.

use assessments_migration::service;
use migration_testing::{Scratch, ScratchError};

use crate::{BACKFILL, CONTRACT, data};

/// What a writer did, and what is there after the contract step.
struct Case {
    statement: &'static str,
    /// Score, `is_correct` and feedback of each row.
    columns: &'static [&'static str],
    /// Field and value of each reject.
    rejects: &'static [&'static str],
    /// Whether the step is refused until the row is caught up.
    is_refused: bool,
}

const CASES: [Case; 9] = [
    Case {
        statement: "INSERT INTO question_history (competency_assessment_id, question_text, ai_evaluation) \
             VALUES (md5('part1')::uuid, 'new', '{\"score\": 2}')",
        columns: &["2|∅|∅", "4|t|fine"],
        rejects: &[],
        is_refused: true,
    },
    Case {
        statement: "UPDATE question_history SET ai_evaluation = '{\"score\": 2, \"isCorrect\": false, \"feedback\": \"poor\"}'",
        columns: &["4|t|fine"],
        rejects: &[r#"feedback|"poor""#, "isCorrect|false", "score|2"],
        is_refused: false,
    },
    Case {
        statement: "UPDATE question_history SET ai_evaluation = '{\"score\": \"5.0\", \"isCorrect\": true, \"feedback\": \"fine\"}'",
        columns: &["4|t|fine"],
        rejects: &[r#"score|"5.0""#],
        is_refused: false,
    },
    // What no column takes, instead of what one took.
    Case {
        statement: "UPDATE question_history SET ai_evaluation = '{\"score\": 9}'",
        columns: &["4|t|fine"],
        rejects: &["score|9"],
        is_refused: true,
    },
    // Twice, with the triggers and without them.
    Case {
        statement: "SET LOCAL session_replication_role = origin; UPDATE question_history SET ai_evaluation = '{\"score\": 8}'; \
             SET LOCAL session_replication_role = replica; UPDATE question_history SET ai_evaluation = '{\"score\": 9}'",
        columns: &["∅|∅|∅"],
        rejects: &["score|9"],
        is_refused: true,
    },
    Case {
        statement: "UPDATE question_history SET ai_evaluation = '[1]'",
        columns: &["4|t|fine"],
        rejects: &["|[1]"],
        is_refused: true,
    },
    // The value goes, and nothing comes instead.
    Case {
        statement: "UPDATE question_history SET ai_evaluation = NULL",
        columns: &["4|t|fine"],
        rejects: &[],
        is_refused: false,
    },
    Case { statement: "DELETE FROM question_history", columns: &[], rejects: &[], is_refused: false },
    // New code keeps what it wrote.
    Case {
        statement: "UPDATE question_history SET score = 1, feedback = 'other'",
        columns: &["1|t|other"],
        rejects: &[r#"feedback|"fine""#, "score|4"],
        is_refused: false,
    },
];

#[tokio::test]
async fn nothing_that_escaped_the_triggers_is_lost() {
    for Case { statement, columns, rejects, is_refused } in CASES {
        let scratch = Scratch::new(service()).await;
        scratch.up_to(BACKFILL).await;
        scratch.execute("INSERT INTO competency_assessments (id) VALUES (md5('part1')::uuid)").await;
        scratch
            .execute(&data::insert(r#"{"score": 4, "isCorrect": true, "feedback": "fine"}"#, "NULL"))
            .await;
        scratch.execute(&format!("SET LOCAL session_replication_role = replica; {statement}")).await;
        if is_refused {
            let refused = scratch.try_up_to(CONTRACT).await;
            assert!(matches!(refused, Err(ScratchError::Guard { .. })), "{statement}: {refused:?}");
            // As plain sea-orm runs it, which asks no guards, nothing is lost either; here it is caught up as the guard says.
            scratch.execute("UPDATE question_history SET ai_evaluation = ai_evaluation").await;
        }
        let has_other = !rejects.is_empty() && !is_refused;
        assert_eq!(previewed(&scratch).await.len(), usize::from(has_other), "{statement}");
        scratch.up_to(CONTRACT).await;
        assert_state(&scratch, columns, rejects, statement).await;
        assert_eq!(previewed(&scratch).await, [""; 0], "{statement}");

        // What the evaluation said is there for old code again, and the columns are as they were.
        scratch.down_to(BACKFILL).await;
        let fields: Vec<String> = scratch
            .rows(
                "SELECT entry.key || '|' || entry.value::text FROM question_history, jsonb_each(CASE \
                 jsonb_typeof(ai_evaluation) WHEN 'object' THEN ai_evaluation ELSE jsonb_build_object('', ai_evaluation) END) AS entry",
            )
            .await;
        for reject in rejects {
            assert!(fields.iter().any(|field| field == reject), "{statement}: {reject} is not in {fields:?}");
        }
        scratch.up_to(CONTRACT).await;
        assert_state(&scratch, columns, rejects, statement).await;
    }
}

async fn assert_state(scratch: &Scratch, columns: &[&str], rejects: &[&str], statement: &str) {
    let kept = "SELECT score, is_correct, feedback FROM question_history ORDER BY 1";
    assert_eq!(scratch.rows(kept).await, columns, "{statement}");
    let listed = "SELECT field, value FROM migration_reject_assessments ORDER BY 1, 2";
    assert_eq!(scratch.rows(listed).await, rejects, "{statement}");
}

/// How many evaluations the plan names that say something else than their columns.
async fn previewed(scratch: &Scratch) -> Vec<String> {
    let service = service();
    let contract = service.migrations().find(|listed| listed.name().as_str() == CONTRACT).unwrap();
    let preview = contract.details().previews.iter().find(|preview| preview.says.contains("else")).unwrap();
    scratch.rows(&preview.sql).await
}
