//! Rows as production had them, the same at every run: clean ones by the thousand, and every kind of dirt.

use migration_testing::Scratch;

/// Clean rows of `question_history`.
pub(crate) const N_CLEAN: usize = 3_000;

/// What other writers put where a field belongs; `null` and a missing key are among the clean values.
const ODD_VALUES: [&str; 24] = [
    "4.0",
    "\"4\"",
    "\"4.0\"",
    "4.5",
    "\"4.5\"",
    "0",
    "6",
    "-1",
    "7",
    "1e0",
    "40e-1",
    "1e400",
    "\"good\"",
    "\"\"",
    "\" 4 \"",
    "true",
    "false",
    "\"true\"",
    "\"Deep\"",
    "[]",
    "[\"a\", \"b\"]",
    "[\"a\", 1]",
    "[null]",
    "{\"a\": [1, 2]}",
];

/// What stood in place of a whole evaluation.
const ODD_EVALUATIONS: [&str; 10] = [
    "null",
    "{}",
    "[]",
    "[1, \"two\"]",
    "\"text\"",
    "5",
    "1e400",
    "true",
    "{\"other\": 1}",
    "{\"reasoning\": \"only\"}",
];

const KEYS: [&str; 5] = ["score", "isCorrect", "understandingDepth", "feedback", "knowledgeGaps"];

/// Fills every table.
pub(crate) async fn load(scratch: &Scratch) {
    for statement in PARENTS {
        scratch.execute(statement).await;
    }
    scratch
        .execute(&format!(
            "INSERT INTO question_history SELECT md5('clean' || i)::uuid, md5('part' || i % 400)::uuid, \
             'Question ' || i, CASE i % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'code' END, 1 + i % 5, \
             CASE WHEN i % 7 > 0 THEN repeat('what I said, ', i % 40) END, i % 300, (i % 100) / 99.0::float8, \
             CASE i % 4 WHEN 0 THEN i % 2 = 0 END, {CLEAN_EVALUATION}, i % 90, \
             timestamp '2026-01-01' + i * interval '1 minute', \
             CASE WHEN i % 11 > 0 THEN timestamp '2026-01-01 00:00:30.123456' + i * interval '1 minute' END, \
             CASE WHEN i % 5 > 0 THEN md5('question' || i % 300)::uuid END \
             FROM generate_series(1, {N_CLEAN}) AS i"
        ))
        .await;
    for evaluation in odd_evaluations() {
        for is_correct in ["NULL", "true", "false"] {
            scratch.execute(&insert(&evaluation, is_correct)).await;
        }
    }
}

/// Every odd value in place of every field of a clean evaluation, every field missing or null, and the odd evaluations.
pub(crate) fn odd_evaluations() -> Vec<String> {
    let mut evaluations: Vec<String> = ODD_EVALUATIONS.iter().map(|&text| text.to_owned()).collect();
    for key in KEYS {
        for value in ODD_VALUES.into_iter().chain(["null"]) {
            evaluations.push(evaluation_with(key, Some(value)));
        }
        evaluations.push(evaluation_with(key, None));
    }
    evaluations
}

/// The statement by which old code writes an answer; texts are SQL.
pub(crate) fn insert(evaluation: &str, is_correct: &str) -> String {
    format!(
        "INSERT INTO question_history (competency_assessment_id, question_text, user_answer_transcript, is_correct, ai_evaluation) \
         VALUES (md5('part1')::uuid, 'odd', 'said', {is_correct}, '{evaluation}')"
    )
}

fn evaluation_with(key: &str, value: Option<&str>) -> String {
    let clean = [
        ("score", "3"),
        ("isCorrect", "true"),
        ("understandingDepth", "\"medium\""),
        ("feedback", "\"Well done\""),
        ("knowledgeGaps", "[\"lifetimes\"]"),
    ];
    let fields: Vec<String> = clean
        .into_iter()
        .map(|(name, clean)| (name, if name == key { value } else { Some(clean) }))
        .filter_map(|(name, value)| value.map(|value| format!("\"{name}\": {value}")))
        .chain(["\"nextDifficulty\": 4".to_owned()])
        .collect();
    format!("{{{}}}", fields.join(", "))
}

/// Some rows have no evaluation yet, some lack keys or have nulls, as the application wrote them.
const CLEAN_EVALUATION: &str = "CASE WHEN i % 13 > 0 THEN jsonb_build_object('score', 1 + i % 5, 'isCorrect', i % 2 = 0, \
    'understandingDepth', (ARRAY['shallow', 'medium', 'deep'])[1 + i % 3], 'feedback', 'Good, but ' || repeat('read on ', i % 9), \
    'knowledgeGaps', CASE i % 3 WHEN 0 THEN '[]'::jsonb WHEN 1 THEN '[\"lifetimes\", \"a \\\"quoted\\\" {gap}, NULL\"]' END, \
    'nextDifficulty', 3, 'reasoning', 'because', 'correctAnswer', 'so', 'expectedKeyPoints', '[\"a\"]'::jsonb) \
    - CASE WHEN i % 17 = 0 THEN 'feedback' ELSE '' END END";

const PARENTS: [&str; 12] = [
    "INSERT INTO users (id, email, full_name, created_at) SELECT md5('user' || i)::uuid, 'user' || i || '@example.org', \
     'User ' || i, timestamp '2026-01-01' + i * interval '1 hour' FROM generate_series(1, 100) AS i",
    "INSERT INTO roles (id, name, category, level, created_at, updated_at) SELECT md5('role' || i)::uuid, 'Role ' || i, \
     'engineering', 'senior', timestamp '2026-01-01', timestamp '2026-01-02' FROM generate_series(1, 10) AS i",
    "INSERT INTO user_roles SELECT md5('user' || i)::uuid, md5('role' || 1 + i % 10)::uuid FROM generate_series(1, 100) AS i",
    "INSERT INTO competencies (id, role_id, name, importance_weight, order_index, created_at) SELECT \
     md5('competency' || i)::uuid, md5('role' || 1 + i % 10)::uuid, 'Competency ' || i, 1 + i % 5, i, timestamp '2026-01-01' \
     FROM generate_series(1, 50) AS i",
    "INSERT INTO directions (id, name, technologies, display_name, created_at) SELECT md5('direction' || i)::uuid, \
     'direction' || i, ARRAY['rust', 'sql'], 'Direction ' || i, timestamp '2026-01-01' FROM generate_series(1, 5) AS i",
    "INSERT INTO technologies (id, name, display_name, created_at) SELECT md5('technology' || i)::uuid, 'technology' || i, \
     'Technology ' || i, timestamp '2026-01-01' FROM generate_series(1, 20) AS i",
    "INSERT INTO direction_technologies SELECT md5('direction' || 1 + i % 5)::uuid, md5('technology' || i)::uuid, i \
     FROM generate_series(1, 20) AS i",
    "INSERT INTO direction_competencies SELECT md5('direction' || 1 + i % 5)::uuid, md5('competency' || i)::uuid, i \
     FROM generate_series(1, 50) AS i",
    "INSERT INTO technology_competencies SELECT md5('technology' || 1 + i % 20)::uuid, md5('competency' || i)::uuid, i \
     FROM generate_series(1, 50) AS i",
    "INSERT INTO assessments (id, user_id, role_id, direction_id, technology_id, status, overall_score, attempt_number, started_at) \
     SELECT md5('assessment' || i)::uuid, md5('user' || 1 + i % 100)::uuid, md5('role' || 1 + i % 10)::uuid, \
     md5('direction' || 1 + i % 5)::uuid, md5('technology' || 1 + i % 20)::uuid, \
     (ARRAY['in_progress', 'completed', 'abandoned'])[1 + i % 3], i / 7.0, 1 + i % 3, timestamp '2026-01-01' \
     FROM generate_series(1, 200) AS i",
    "INSERT INTO competency_assessments (id, assessment_id, competency_id, ai_assessed_score, confidence_level, gap_analysis) \
     SELECT md5('part' || i)::uuid, md5('assessment' || 1 + i % 200)::uuid, md5('competency' || 1 + i % 50)::uuid, 1 + i % 5, \
     (ARRAY['low', 'medium', 'high'])[1 + i % 3], jsonb_build_object('gap', i) FROM generate_series(0, 399) AS i",
    "INSERT INTO questions (id, competency_id, question_text, difficulty, question_number, expected_key_points, created_at) \
     SELECT md5('question' || i)::uuid, md5('competency' || 1 + i % 50)::uuid, 'Question ' || i, 1 + i % 5, 1 + i % 5, \
     '[\"a\", \"b\"]', timestamp '2026-01-01' FROM generate_series(0, 299) AS i",
];
