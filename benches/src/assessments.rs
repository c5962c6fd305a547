//! A million evaluations carried over into columns: how long, how much space, and what the application notices.

use std::fs;

use super::figure::{Figures, tell};
use super::size::SizeWatch;
use super::under_load::{self, GROWTH, Phase, Subject};
use super::{Bench, process, server};

/// Size of the table with indexes and all.
const SIZE: &str = "SELECT pg_total_relation_size('assessments.question_history')";

/// The service's guide, written out: columns with their checks, one update, plain indexes, then the columns that go.
const SCRIPT: &str = "\
ALTER TABLE question_history ADD COLUMN score INTEGER CHECK (score BETWEEN 1 AND 5);
ALTER TABLE question_history ADD COLUMN understanding_depth VARCHAR(20) CHECK (understanding_depth IN ('shallow', 'medium', 'deep'));
ALTER TABLE question_history ADD COLUMN feedback TEXT;
ALTER TABLE question_history ADD COLUMN knowledge_gaps TEXT[];
UPDATE question_history SET score = (ai_evaluation->>'score')::integer,
    is_correct = coalesce(is_correct, (ai_evaluation->>'isCorrect')::boolean),
    understanding_depth = ai_evaluation->>'understandingDepth', feedback = ai_evaluation->>'feedback',
    knowledge_gaps = ARRAY(SELECT jsonb_array_elements_text(ai_evaluation->'knowledgeGaps'))
WHERE ai_evaluation IS NOT NULL;
CREATE INDEX idx_question_history_score ON question_history (score) WHERE score IS NOT NULL;
CREATE INDEX idx_question_history_is_correct ON question_history (is_correct) WHERE is_correct IS NOT NULL;
";

/// Its end, once no application reads the old columns.
const SCRIPT_END: &str = "\
ALTER TABLE question_history DROP COLUMN user_answer_transcript, DROP COLUMN audio_duration_seconds,
    DROP COLUMN transcription_confidence, DROP COLUMN ai_evaluation;
";

/// The application's old code: it knows nothing of the new columns. Keys are hashes of numbers, so that a number finds a
/// row and neighbours lie apart, as with any random key.
const STATEMENTS: [(&str, u32); 4] = [
    (
        "\\set n random(1, 100000)\nSELECT question_text, is_correct, ai_evaluation FROM assessments.question_history \
         WHERE id = md5((:n)::text)::uuid;\n",
        5,
    ),
    (
        "\\set n random(1, 100000)\nUPDATE assessments.question_history SET time_spent_seconds = :n \
         WHERE id = md5((:n)::text)::uuid;\n",
        3,
    ),
    (
        "\\set n random(1, 100000)\n\\set score random(1, 5)\nUPDATE assessments.question_history SET ai_evaluation = \
         jsonb_build_object('score', (:score)::integer, 'isCorrect', true, 'understandingDepth', 'deep', 'feedback', \
         (:n)::text, 'knowledgeGaps', jsonb_build_array('one', 'two')) WHERE id = md5((:n)::text)::uuid;\n",
        1,
    ),
    (
        "\\set n random(1, 1000)\n\\set score random(1, 5)\nINSERT INTO assessments.question_history \
         (competency_assessment_id, question_text, user_answer_transcript, ai_evaluation) \
         VALUES (md5('competency ' || :n)::uuid, 'why?', 'because', jsonb_build_object('score', (:score)::integer, \
         'isCorrect', false, 'understandingDepth', 'shallow', 'feedback', (:n)::text, 'knowledgeGaps', '[]'::jsonb));\n",
        1,
    ),
];

/// The application's new code: it knows the new columns alone.
const NEW_STATEMENTS: [(&str, u32); 3] = [
    (
        "\\set n random(1, 100000)\nSELECT question_text, score, feedback FROM assessments.question_history \
         WHERE id = md5((:n)::text)::uuid;\n",
        5,
    ),
    (
        "\\set n random(1, 100000)\n\\set score random(1, 5)\nUPDATE assessments.question_history \
         SET score = :score WHERE id = md5((:n)::text)::uuid;\n",
        4,
    ),
    (
        "\\set n random(1, 1000)\n\\set score random(1, 5)\nINSERT INTO assessments.question_history \
         (competency_assessment_id, question_text, score, understanding_depth, feedback, knowledge_gaps) \
         VALUES (md5('competency ' || :n)::uuid, 'why?', :score, 'deep', (:n)::text, '{}');\n",
        1,
    ),
];

/// Rows whose evaluation says something that its column does not.
const LEFT: &str = "SELECT count(*) FROM question_history WHERE ai_evaluation IS NOT NULL AND \
    (score IS DISTINCT FROM (ai_evaluation->>'score')::integer \
     OR understanding_depth IS DISTINCT FROM ai_evaluation->>'understandingDepth' \
     OR feedback IS DISTINCT FROM ai_evaluation->>'feedback' \
     OR to_jsonb(knowledge_gaps) IS DISTINCT FROM ai_evaluation->'knowledgeGaps' OR is_correct IS NULL)";

/// What applies everything up to the end of the backfill.
pub(super) const FILLED: [&str; 2] = ["up", "assessments@m20260126_000002_backfill_evaluations"];

/// The service under load, with so many rows.
pub(super) fn subject(n_rows: u64) -> Subject {
    Subject {
        service: "assessments",
        before: "m20260122_000001_create_questions",
        seed: seed(n_rows),
        tables: &["assessments.question_history"],
        phases: vec![
            Phase::expand("assessments", &STATEMENTS, SCRIPT, LEFT),
            Phase::contract(
                "assessments",
                &NEW_STATEMENTS,
                SCRIPT_END,
                ("question_history", "ai_evaluation"),
            ),
        ],
    }
}

/// The backfill alone, on a server without other work, against one `UPDATE` with the same function.
pub(super) fn measure(bench: &Bench, figures: &mut Figures) -> anyhow::Result<()> {
    let template = under_load::seeded(bench, &subject(bench.rows))?;
    let script = bench.cluster.socket_directory().join("update.sql");
    let (mut ours, mut theirs, mut peaks, mut memory) = (Vec::new(), Vec::new(), Vec::new(), None);
    for turn in 1..=bench.repeat.div_ceil(3) {
        tell(&format!("assessments: {turn} of {}", bench.repeat.div_ceil(3)));
        let url = server::copy(&bench.cluster, &template, "filled")?;
        let before = size(bench, "filled")?;
        let watch = SizeWatch::start(bench, &url, SIZE)?;
        let seen = process::watched(&mut bench.migrate(&url, &FILLED))?;
        let peak = watch.peak()?.max(size(bench, "filled")?);
        if turn == 1 {
            fs::write(&script, update(bench, "filled")?)?;
        }
        server::drop_copy(&bench.cluster, "filled")?;
        ours.push(seen.elapsed);
        peaks.push(peak as f64 / before as f64);
        memory = memory.max(seen.peak_bytes);

        let url = server::copy(&bench.cluster, &template, "updated")?;
        theirs.push(process::timed(server::psql(&bench.cluster, &url).arg("-f").arg(&script))?);
        let after = size(bench, "updated")?;
        server::drop_copy(&bench.cluster, "updated")?;
        if turn == 1 {
            let growth = format!("{:.2} ×", after as f64 / before as f64);
            figures.remark("size after one `UPDATE`, of that before", String::new(), growth);
        }
    }
    figures.durations(&format!("{} evaluations carried over", bench.rows), &ours, &theirs, 1.1);
    let peak = peaks.iter().copied().fold(0.0, f64::max);
    let limit = format!("at most {GROWTH} ×");
    figures.row(
        "peak size of the table, of that before",
        format!("{peak:.2} ×"),
        String::new(),
        limit,
        peak <= GROWTH,
    );
    figures.memory("peak memory", memory);
    Ok(server::drop_copy(&bench.cluster, &template)?)
}

/// What the backfill does, as three statements: the function as our migration made it, the columns, one update.
pub(super) fn update(bench: &Bench, migrated: &str) -> anyhow::Result<String> {
    let function = bench.cluster.psql(
        migrated,
        "SELECT pg_get_functiondef('assessments.question_history_carry_over(jsonb)'::regprocedure)",
    )?;
    Ok(format!(
        "SET search_path = assessments;\n{function};\n\
         ALTER TABLE question_history ADD COLUMN score INTEGER CHECK (score BETWEEN 1 AND 5), \
           ADD COLUMN understanding_depth VARCHAR(20) CHECK (understanding_depth IN ('shallow', 'medium', 'deep')), \
           ADD COLUMN feedback TEXT, ADD COLUMN knowledge_gaps TEXT[];\n\
         UPDATE question_history SET (score, understanding_depth, feedback, knowledge_gaps, is_correct) = ( \
           SELECT carried.score, carried.understanding_depth, carried.feedback, carried.knowledge_gaps, \
                  coalesce(is_correct, carried.is_correct) FROM question_history_carry_over(ai_evaluation) AS carried) \
         WHERE ai_evaluation IS NOT NULL;\n"
    ))
}

/// Rows of about 1 KB, each with an evaluation.
pub(super) fn seed(n_rows: u64) -> String {
    format!(
        "INSERT INTO users (id, email) VALUES (md5('user')::uuid, 'user@example.org');
INSERT INTO assessments (id, user_id) VALUES (md5('assessment')::uuid, md5('user')::uuid);
INSERT INTO competency_assessments (id, assessment_id)
SELECT md5('competency ' || n)::uuid, md5('assessment')::uuid FROM generate_series(1, 1000) AS n;
INSERT INTO question_history (id, competency_assessment_id, question_text, question_type, difficulty_level,
    user_answer_transcript, audio_duration_seconds, transcription_confidence, ai_evaluation, time_spent_seconds, answered_at)
SELECT md5(n::text)::uuid, md5('competency ' || n % 1000 + 1)::uuid, repeat(md5(n::text), 2), 'open', n % 5 + 1,
    repeat(md5(n::text) || ' ', 12), 60, 0.9,
    jsonb_build_object('score', n % 5 + 1, 'isCorrect', n % 3 = 0,
        'understandingDepth', (ARRAY['shallow', 'medium', 'deep'])[n % 3 + 1],
        'feedback', repeat(md5(n::text), 2), 'knowledgeGaps', jsonb_build_array('ownership', 'lifetimes'),
        'nextDifficulty', 3, 'reasoning', repeat(md5(n::text), 3), 'correctAnswer', repeat(md5(n::text), 3),
        'expectedKeyPoints', jsonb_build_array(md5(n::text))), 30, now()
FROM generate_series(1, {n_rows}) AS n;"
    )
}

fn size(bench: &Bench, database: &str) -> anyhow::Result<u64> {
    Ok(bench.cluster.psql(database, SIZE)?.trim().parse()?)
}
