//! Nothing is lost on the way up and back: byte for byte through the expand steps, and through the contract step all but
//! what it declares.

use migration_testing::Scratch;

use crate::{CREATE_QUESTIONS, INDEX, before, digests};

/// Rows as they were, for comparisons, outside the service's schema.
async fn keep_original(scratch: &Scratch) {
    scratch.execute("CREATE TABLE public.original AS TABLE question_history").await;
}

#[tokio::test]
async fn every_row_comes_back_byte_for_byte() {
    let scratch = before().await;
    let rows = digests(&scratch).await;
    scratch.up().await;
    scratch.verify().await;
    assert_ne!(digests(&scratch).await, rows);
    scratch.down_to(CREATE_QUESTIONS).await;
    assert_eq!(digests(&scratch).await, rows);
    assert_eq!(scratch.rows("SELECT count(*) FROM migration_reject_assessments").await, ["0"]);
}

#[tokio::test]
async fn every_value_is_carried_over_or_rejected() {
    let scratch = before().await;
    keep_original(&scratch).await;
    scratch.up().await;
    // Told without the service's own function: clean rows first, one field after the other.
    let wrong = scratch
        .rows(
            "SELECT id FROM question_history WHERE question_text LIKE 'Question %' AND ai_evaluation IS NOT NULL AND \
             (score IS DISTINCT FROM (ai_evaluation->'score')::integer \
              OR understanding_depth IS DISTINCT FROM ai_evaluation->>'understandingDepth' \
              OR feedback IS DISTINCT FROM ai_evaluation->>'feedback' \
              OR to_jsonb(knowledge_gaps) IS DISTINCT FROM nullif(ai_evaluation->'knowledgeGaps', 'null') \
              OR is_correct IS NULL)",
        )
        .await;
    assert_eq!(wrong, [""; 0]);
    let changed = scratch
        .rows(
            "SELECT id FROM question_history JOIN public.original USING (id) WHERE \
             original.is_correct <> question_history.is_correct \
             OR original.ai_evaluation IS DISTINCT FROM question_history.ai_evaluation \
             OR original.user_answer_transcript IS DISTINCT FROM question_history.user_answer_transcript",
        )
        .await;
    assert_eq!(changed, [""; 0], "what was there stays");
    let rejects = scratch
        .rows(
            "SELECT field, reason, count(*) FROM migration_reject_assessments \
             WHERE reason <> 'is_correct already says otherwise' GROUP BY 1, 2 ORDER BY 1, 2",
        )
        .await;
    // Each odd value stands in three rows. Of 24, one field takes 5 as a score, 2 as a boolean, 8 as a text, 2 as a list
    // and none as a depth; of 10 odd evaluations, 4 are an object or null.
    assert_eq!(
        rejects,
        [
            "|the evaluation is not an object|18",
            "feedback|not a text|48",
            "isCorrect|not true or false|66",
            "knowledgeGaps|not a list of texts|66",
            "score|not a whole number from 1 to 5|57",
            "understandingDepth|not shallow, medium or deep|72",
        ]
    );
    let contradicted = scratch
        .rows(
            "SELECT (SELECT count(*) FROM public.original WHERE ai_evaluation->'isCorrect' IN ('true', 'false') \
             AND ai_evaluation->'isCorrect' <> to_jsonb(is_correct)), \
             (SELECT count(*) FROM migration_reject_assessments WHERE reason = 'is_correct already says otherwise')",
        )
        .await
        .concat();
    let (expected, listed) = contradicted.split_once('|').unwrap();
    assert_eq!(expected, listed);
    assert_ne!(expected, "0");
}

#[tokio::test]
async fn the_documents_three_counters_differ_and_no_row_is_forgotten() {
    let scratch = before().await;
    scratch.up().await;
    let counters = scratch
        .rows("SELECT count(score) = count(understanding_depth), count(score) = count(feedback) FROM question_history")
        .await;
    assert_eq!(counters, ["f|f"]);
    scratch.verify().await;
}

#[tokio::test]
async fn through_the_contract_step_only_what_it_declares_is_lost() {
    let scratch = before().await;
    keep_original(&scratch).await;
    scratch.up_contract().await;
    scratch.verify().await;
    let carried = digests(&scratch).await;
    scratch.down_to(INDEX).await;
    scratch.verify().await;

    let lost = scratch
        .rows(
            "SELECT count(user_answer_transcript), count(audio_duration_seconds), count(transcription_confidence) \
             FROM question_history",
        )
        .await;
    assert_eq!(lost, ["0|0|0"]);
    let other_columns = "id, competency_assessment_id, question_text, question_type, difficulty_level, \
                         time_spent_seconds, asked_at, answered_at, question_id";
    let changed = scratch
        .rows(&format!(
            "(SELECT {other_columns} FROM question_history EXCEPT SELECT {other_columns} FROM public.original) UNION ALL \
             (SELECT {other_columns} FROM public.original EXCEPT SELECT {other_columns} FROM question_history)"
        ))
        .await;
    assert_eq!(changed, [""; 0], "all other columns are as they were");
    let filled = scratch
        .rows(
            "SELECT count(*) FROM question_history JOIN public.original USING (id) \
             WHERE original.is_correct IS NOT NULL AND original.is_correct IS DISTINCT FROM question_history.is_correct",
        )
        .await;
    assert_eq!(filled, ["0"]);
    assert_eq!(evaluations_that_differ(&scratch).await, [""; 0]);

    scratch.up_contract().await;
    assert_eq!(digests(&scratch).await, carried, "applied again it carries over the same");
}

/// Rows whose rebuilt evaluation is not the original one as far as the contract step keeps it.
async fn evaluations_that_differ(scratch: &Scratch) -> Vec<String> {
    // The same value may be spelt otherwise: `"4"` and `4.0` come back as 4, a missing key as null.
    scratch
        .rows(
            "WITH kept AS (
                SELECT id, original.ai_evaluation AS was, question_history.ai_evaluation AS now,
                    question_history.is_correct
                FROM question_history JOIN public.original USING (id)
            )
            SELECT id, was, now FROM kept WHERE CASE
                WHEN jsonb_typeof(was) NOT IN ('object', 'null') THEN now IS DISTINCT FROM was
                WHEN now IS NULL THEN
                    coalesce(nullif(was->'score', 'null'), nullif(was->'understandingDepth', 'null'),
                             nullif(was->'feedback', 'null'), nullif(was->'knowledgeGaps', 'null')) IS NOT NULL
                ELSE (SELECT array_agg(key ORDER BY key) FROM jsonb_object_keys(now) AS key)
                        <> ARRAY['feedback', 'isCorrect', 'knowledgeGaps', 'score', 'understandingDepth']
                    OR nullif(now->'feedback', 'null') IS DISTINCT FROM nullif(was->'feedback', 'null')
                    OR nullif(now->'knowledgeGaps', 'null') IS DISTINCT FROM nullif(was->'knowledgeGaps', 'null')
                    OR nullif(now->'understandingDepth', 'null') IS DISTINCT FROM nullif(was->'understandingDepth', 'null')
                    OR coalesce(nullif(was->'isCorrect', 'null'), to_jsonb(is_correct))
                        IS DISTINCT FROM nullif(now->'isCorrect', 'null')
                    OR regexp_replace(now->>'score', '\\.0+$', '')
                        IS DISTINCT FROM regexp_replace(was->>'score', '\\.0+$', '')
            END",
        )
        .await
}
