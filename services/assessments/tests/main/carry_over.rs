//! The function that decides what is carried over: every rule, every boundary, and that no value makes it fail.

use assessments_migration::service;
use migration_testing::Scratch;

use crate::{BACKFILL, CREATE_QUESTIONS, data};

/// Fields of the result, and the names of the rejected fields.
const ASK: &str = "SELECT score, is_correct, understanding_depth, feedback, knowledge_gaps, \
    (SELECT string_agg(reject->>'field' || '=' || (reject->>'value'), ';') FROM jsonb_array_elements(rejects) AS reject) \
    FROM question_history_carry_over";

async fn check(cases: &[(&str, &str)]) {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BACKFILL).await;
    for (evaluation, expected) in cases {
        let found = scratch.rows(&format!("{ASK}('{evaluation}')")).await;
        assert_eq!(found, [*expected], "{evaluation}");
    }
}

#[tokio::test]
async fn a_score_is_carried_over_if_it_is_a_whole_number_from_1_to_5() {
    check(&[
        (r#"{"score": 4}"#, "4|∅|∅|∅|∅|∅"),
        (r#"{"score": 4.0}"#, "4|∅|∅|∅|∅|∅"),
        (r#"{"score": 4.000}"#, "4|∅|∅|∅|∅|∅"),
        (r#"{"score": "4"}"#, "4|∅|∅|∅|∅|∅"),
        (r#"{"score": "4.0"}"#, "4|∅|∅|∅|∅|∅"),
        (r#"{"score": 1e0}"#, "1|∅|∅|∅|∅|∅"),
        (r#"{"score": 40e-1}"#, "4|∅|∅|∅|∅|∅"),
        (r#"{"score": 1}"#, "1|∅|∅|∅|∅|∅"),
        (r#"{"score": 5}"#, "5|∅|∅|∅|∅|∅"),
        (r#"{"score": null}"#, "∅|∅|∅|∅|∅|∅"),
        (r#"{"score": 4.5}"#, "∅|∅|∅|∅|∅|score=4.5"),
        (r#"{"score": 0}"#, "∅|∅|∅|∅|∅|score=0"),
        (r#"{"score": 7}"#, "∅|∅|∅|∅|∅|score=7"),
        (r#"{"score": 5.0000000000000000001}"#, "∅|∅|∅|∅|∅|score=5.0000000000000000001"),
        (r#"{"score": -4}"#, "∅|∅|∅|∅|∅|score=-4"),
        (r#"{"score": 44}"#, "∅|∅|∅|∅|∅|score=44"),
        (r#"{"score": "good"}"#, r#"∅|∅|∅|∅|∅|score="good""#),
        (r#"{"score": ""}"#, r#"∅|∅|∅|∅|∅|score="""#),
        (r#"{"score": " 4 "}"#, r#"∅|∅|∅|∅|∅|score=" 4 ""#),
        (r#"{"score": "4\n"}"#, r#"∅|∅|∅|∅|∅|score="4\n""#),
        (r#"{"score": "+4"}"#, r#"∅|∅|∅|∅|∅|score="+4""#),
        (r#"{"score": "4."}"#, r#"∅|∅|∅|∅|∅|score="4.""#),
        (r#"{"score": "4e0"}"#, r#"∅|∅|∅|∅|∅|score="4e0""#),
        (r#"{"score": "4.50"}"#, r#"∅|∅|∅|∅|∅|score="4.50""#),
        (r#"{"score": true}"#, "∅|∅|∅|∅|∅|score=true"),
        (r#"{"score": [4]}"#, "∅|∅|∅|∅|∅|score=[4]"),
        (r#"{"score": {"score": 4}}"#, r#"∅|∅|∅|∅|∅|score={"score": 4}"#),
    ])
    .await;
}

#[tokio::test]
async fn the_other_fields_are_carried_over_if_they_have_the_type_and_the_words() {
    check(&[
        (r#"{"isCorrect": true}"#, "∅|t|∅|∅|∅|∅"),
        (r#"{"isCorrect": false}"#, "∅|f|∅|∅|∅|∅"),
        (r#"{"isCorrect": null}"#, "∅|∅|∅|∅|∅|∅"),
        (r#"{"isCorrect": "true"}"#, r#"∅|∅|∅|∅|∅|isCorrect="true""#),
        (r#"{"isCorrect": 1}"#, "∅|∅|∅|∅|∅|isCorrect=1"),
        (r#"{"understandingDepth": "deep"}"#, "∅|∅|deep|∅|∅|∅"),
        (r#"{"understandingDepth": "Deep"}"#, r#"∅|∅|∅|∅|∅|understandingDepth="Deep""#),
        (r#"{"understandingDepth": "deep "}"#, r#"∅|∅|∅|∅|∅|understandingDepth="deep ""#),
        (r#"{"understandingDepth": ["deep"]}"#, r#"∅|∅|∅|∅|∅|understandingDepth=["deep"]"#),
        (r#"{"feedback": ""}"#, "∅|∅|∅||∅|∅"),
        (r#"{"feedback": "null"}"#, "∅|∅|∅|null|∅|∅"),
        (r#"{"feedback": 5}"#, "∅|∅|∅|∅|∅|feedback=5"),
        (r#"{"feedback": {"text": "x"}}"#, r#"∅|∅|∅|∅|∅|feedback={"text": "x"}"#),
        (r#"{"knowledgeGaps": []}"#, "∅|∅|∅|∅|{}|∅"),
        (r#"{"knowledgeGaps": ["b", "a", "b"]}"#, "∅|∅|∅|∅|{b,a,b}|∅"),
        (r#"{"knowledgeGaps": ["NULL", "", "x\"y"]}"#, r#"∅|∅|∅|∅|{"NULL","","x\"y"}|∅"#),
        (r#"{"knowledgeGaps": null}"#, "∅|∅|∅|∅|∅|∅"),
        (r#"{"knowledgeGaps": ["a", null]}"#, r#"∅|∅|∅|∅|∅|knowledgeGaps=["a", null]"#),
        (r#"{"knowledgeGaps": ["a", 1]}"#, r#"∅|∅|∅|∅|∅|knowledgeGaps=["a", 1]"#),
        (r#"{"knowledgeGaps": [["a"]]}"#, r#"∅|∅|∅|∅|∅|knowledgeGaps=[["a"]]"#),
        (r#"{"knowledgeGaps": "a"}"#, r#"∅|∅|∅|∅|∅|knowledgeGaps="a""#),
    ])
    .await;
}

#[tokio::test]
async fn a_bad_field_does_not_hold_back_the_others() {
    check(&[(
        r#"{"score": 9, "isCorrect": true, "understandingDepth": "DEEP", "feedback": "x", "knowledgeGaps": ["a"], "reasoning": 1}"#,
        r#"∅|t|∅|x|{a}|score=9;understandingDepth="DEEP""#,
    )])
    .await;
}

#[tokio::test]
async fn an_evaluation_that_is_no_object_is_one_reject_and_null_is_none() {
    check(&[
        ("null", "∅|∅|∅|∅|∅|∅"),
        ("{}", "∅|∅|∅|∅|∅|∅"),
        (r#"{"unknown": 1}"#, "∅|∅|∅|∅|∅|∅"),
        ("[]", "∅|∅|∅|∅|∅|=[]"),
        (r#"["score", 4]"#, r#"∅|∅|∅|∅|∅|=["score", 4]"#),
        (r#""score""#, r#"∅|∅|∅|∅|∅|="score""#),
        ("4", "∅|∅|∅|∅|∅|=4"),
        ("true", "∅|∅|∅|∅|∅|=true"),
    ])
    .await;
}

#[tokio::test]
async fn no_value_makes_it_fail() {
    let scratch = Scratch::new(service()).await;
    scratch.up_to(BACKFILL).await;
    for evaluation in data::odd_evaluations() {
        let found =
            scratch.rows(&format!("SELECT count(*) FROM question_history_carry_over('{evaluation}')")).await;
        assert_eq!(found, ["1"], "{evaluation}");
    }
    let found = scratch.rows("SELECT count(*), count(rejects) FROM question_history_carry_over(NULL)").await;
    assert_eq!(found, ["1|0"], "no evaluation at all");
}

/// Where a backslash escapes, `\.` in a regular expression would become any character: 350 would pass for 3.
#[tokio::test]
async fn scores_are_right_whatever_a_string_means_to_the_database() {
    let scratch = Scratch::new(service()).await;
    let database = scratch.database();
    let off = format!("ALTER DATABASE \"{}\" SET standard_conforming_strings = off", database.name());
    database.psql(&off).unwrap();
    scratch.up_to(CREATE_QUESTIONS).await;
    let scores = ["350", "4", "\"4.0\"", "\"4x0\""];
    let rows = scores.map(|score| format!("(gen_random_uuid(), 'q', '{{\"score\": {score}}}')")).join(", ");
    let insert = "INSERT INTO assessments.question_history (competency_assessment_id, question_text, ai_evaluation) VALUES";
    database.psql(&format!("SET session_replication_role = replica; {insert} {rows}")).unwrap();
    scratch.up().await;
    scratch.verify().await;
    let score = "SELECT ai_evaluation->>'score' || ' ' || coalesce(score::text, 'none') FROM question_history ORDER BY 1";
    assert_eq!(scratch.rows(score).await, ["350 none", "4 4", "4.0 4", "4x0 none"]);
    let rejected = "SELECT value FROM migration_reject_assessments WHERE field = 'score' ORDER BY 1";
    assert_eq!(scratch.rows(rejected).await, ["\"4x0\"", "350"]);
}
