//! What is carried over from `question_history.ai_evaluation` into columns, as SQL: the function that decides it, the
//! triggers that apply it to rows as they are written, the statements that apply it to rows that exist, and the
//! conditions that tell whether anything was forgotten. All of them call the one function.
//!
//! It belongs to the migrations `m20260126_000002_backfill_evaluations` and `m20260126_000004_drop_raw_answers` and is
//! as unchangeable as they are. It runs nothing and knows no other migration. It is a long file because function,
//! triggers and conditions are only right together.
//!
//! A field counts as carried over if its column is filled or the evaluation has nothing for it. What an application
//! writes into a column stands: no backfill replaces it, and a trigger only where an evaluation replaces another one and
//! says something else of that very field, without that its writer, who did not know the column, named it.
//!
//! Writers whose triggers are off (a restored dump, logical replication) change an evaluation alone. A row does not say whether
//! that, or new code, made evaluation and column differ. So both are kept: the column stands, and the last sweep lists what the
//! evaluation says. The triggers are not ones that always fire: logical replication that brings all tables brings the columns and
//! the list as well, and would meet what they have written.

use migration_kit::{Backfill, Check, Details, Function, Online, Trigger, literal};
use sea_orm_migration::prelude::DbErr;

/// The migration under whose name rejects are listed, by its backfill and by the trigger.
pub(crate) const BACKFILL: &str = "m20260126_000002_backfill_evaluations";

/// The migration that drops what is carried over; its sweep lists under its own name.
pub(crate) const CONTRACT: &str = "m20260126_000004_drop_raw_answers";

/// The function that decides what is carried over.
pub(crate) const FUNCTIONS: [Function; 1] =
    [Function::new("question_history_carry_over(jsonb)", CARRY_OVER_SIGNATURE, CARRY_OVER_BODY)
        .volatility("IMMUTABLE PARALLEL SAFE ROWS 1")];

/// It returns a set, of always one row, because PostgreSQL inlines only such functions into a query: then a backfill
/// pays for the five columns alone, 2.6 µs a row of 1 KB; as `plpgsql` it is 6.7 µs.
const CARRY_OVER_SIGNATURE: &str = "question_history_carry_over(evaluation jsonb) RETURNS TABLE \
    (score integer, is_correct boolean, understanding_depth varchar, feedback text, knowledge_gaps text[], rejects jsonb)";

/// Exactly representable values, and a list of `{field, value, reason}` of what is not; null if all is.
///
/// `->>` gives numbers as the server writes `numeric`: without exponent, sign or leading zeros where they are 1 to 5. So
/// one pattern covers numbers and strings; nothing else is spelt like it. A key that is missing or null gives null.
const CARRY_OVER_BODY: &str = r#"
SELECT
    CASE WHEN evaluation->>'score' ~ '^[1-5](\.0+)?$' THEN left(evaluation->>'score', 1)::integer END,
    CASE WHEN jsonb_typeof(evaluation->'isCorrect') = 'boolean' THEN (evaluation->'isCorrect')::boolean END,
    CASE WHEN evaluation->>'understandingDepth' IN ('shallow', 'medium', 'deep')
         THEN (evaluation->>'understandingDepth')::varchar END,
    CASE WHEN jsonb_typeof(evaluation->'feedback') = 'string' THEN evaluation->>'feedback' END,
    CASE WHEN jsonb_typeof(evaluation->'knowledgeGaps') = 'array'
          AND NOT evaluation->'knowledgeGaps' @? 'strict $[*] ? (@.type() != "string")'
         THEN ARRAY(SELECT jsonb_array_elements_text(evaluation->'knowledgeGaps')) END,
    CASE
        WHEN jsonb_typeof(evaluation) = 'object'
         AND coalesce(evaluation->>'score' ~ '^[1-5](\.0+)?$', true)
         AND coalesce(jsonb_typeof(evaluation->'isCorrect') IN ('boolean', 'null'), true)
         AND coalesce(evaluation->>'understandingDepth' IN ('shallow', 'medium', 'deep'), true)
         AND coalesce(jsonb_typeof(evaluation->'feedback') IN ('string', 'null'), true)
         AND coalesce(CASE WHEN jsonb_typeof(evaluation->'knowledgeGaps') = 'array'
                           THEN NOT evaluation->'knowledgeGaps' @? 'strict $[*] ? (@.type() != "string")'
                           ELSE jsonb_typeof(evaluation->'knowledgeGaps') = 'null' END, true)
        THEN NULL
        WHEN jsonb_typeof(evaluation) = 'object' THEN (
            SELECT jsonb_agg(jsonb_build_object('field', field, 'value', (evaluation->field)::text, 'reason', reason))
            FROM (VALUES
                ('score', 'not a whole number from 1 to 5',
                 evaluation->>'score' ~ '^[1-5](\.0+)?$'),
                ('isCorrect', 'not true or false',
                 jsonb_typeof(evaluation->'isCorrect') = 'boolean'),
                ('understandingDepth', 'not shallow, medium or deep',
                 evaluation->>'understandingDepth' IN ('shallow', 'medium', 'deep')),
                ('feedback', 'not a text',
                 jsonb_typeof(evaluation->'feedback') = 'string'),
                ('knowledgeGaps', 'not a list of texts',
                 CASE WHEN jsonb_typeof(evaluation->'knowledgeGaps') = 'array'
                      THEN NOT evaluation->'knowledgeGaps' @? 'strict $[*] ? (@.type() != "string")'
                      ELSE false END)
            ) AS carried (field, reason, is_exact)
            WHERE NOT is_exact AND jsonb_typeof(evaluation->field) <> 'null')
        WHEN jsonb_typeof(evaluation) <> 'null' THEN
            jsonb_build_array(jsonb_build_object(
                'field', '', 'value', evaluation::text, 'reason', 'the evaluation is not an object'))
    END
"#;

/// True if the evaluation has a value that is in no column yet. Columns are looked at first: where they are filled, the
/// evaluation need not be read.
const FORGOTTEN: &str = "(source.score IS NULL AND carried.score IS NOT NULL \
    OR source.understanding_depth IS NULL AND carried.understanding_depth IS NOT NULL \
    OR source.feedback IS NULL AND carried.feedback IS NOT NULL \
    OR source.knowledge_gaps IS NULL AND carried.knowledge_gaps IS NOT NULL \
    OR source.is_correct IS NULL AND carried.is_correct IS NOT NULL)";

/// Fills the empty columns of a batch.
pub(crate) fn fill() -> String {
    format!(
        "UPDATE question_history AS source \
         SET (score, understanding_depth, feedback, knowledge_gaps, is_correct, is_correct_carried_over) = ( \
             SELECT coalesce(source.score, carried.score), \
                 coalesce(source.understanding_depth, carried.understanding_depth), \
                 coalesce(source.feedback, carried.feedback), \
                 coalesce(source.knowledge_gaps, carried.knowledge_gaps), \
                 coalesce(source.is_correct, carried.is_correct), \
                 CASE WHEN source.is_correct IS NULL AND carried.is_correct IS NOT NULL THEN true \
                      ELSE source.is_correct_carried_over END \
             FROM question_history_carry_over(source.ai_evaluation) AS carried) \
         WHERE {{batch}} AND source.ai_evaluation IS NOT NULL AND EXISTS ( \
             SELECT FROM question_history_carry_over(source.ai_evaluation) AS carried WHERE {FORGOTTEN})"
    )
}

/// Empties the columns of a batch again where they have what the evaluation says: it says so still, and may say something
/// else by the time it is carried over again.
pub(crate) fn empty() -> String {
    format!(
        "UPDATE question_history AS source \
         SET (score, understanding_depth, feedback, knowledge_gaps, is_correct, is_correct_carried_over) = ( \
             SELECT nullif(source.score, carried.score), \
                 nullif(source.understanding_depth, carried.understanding_depth), \
                 nullif(source.feedback, carried.feedback), nullif(source.knowledge_gaps, carried.knowledge_gaps), \
                 CASE WHEN source.is_correct_carried_over THEN NULL ELSE source.is_correct END, NULL::boolean \
             FROM question_history_carry_over(source.ai_evaluation) AS carried) \
         WHERE {{batch}} AND {IS_FULL}"
    )
}

/// The condition that a column of `source` has what its evaluation says.
pub(crate) const IS_FULL: &str = "(source.is_correct_carried_over OR EXISTS ( \
     SELECT FROM question_history_carry_over(source.ai_evaluation) AS carried \
     WHERE source.score = carried.score OR source.understanding_depth = carried.understanding_depth \
        OR source.feedback = carried.feedback OR source.knowledge_gaps = carried.knowledge_gaps))";

/// Lists what of a batch cannot be carried over and is not listed yet. `OFFSET 0` keeps the function from being inlined
/// three times, once for each place that asks for its result.
pub(crate) fn rejects() -> String {
    format!(
        "SELECT jsonb_build_object('id', source.id) AS key, rejected.field, rejected.value, rejected.reason, \
             NULL::jsonb AS row \
         FROM (SELECT source.id, source.ai_evaluation, source.is_correct, carried.is_correct AS says, carried.rejects \
               FROM question_history AS source \
               CROSS JOIN LATERAL question_history_carry_over(source.ai_evaluation) AS carried \
               WHERE {{batch}} OFFSET 0) AS source \
         CROSS JOIN LATERAL ({}) AS rejected \
         WHERE (source.rejects IS NOT NULL OR source.says <> source.is_correct) AND NOT EXISTS ({})",
        rejected("source", "source.rejects", "source.says"),
        listed("rejected.field", "rejected.value"),
    )
}

/// The last sweep: fills and lists as the backfill does, and lists what evaluations say otherwise than filled columns. It is
/// repeated where that did not reach a row: one that changed behind it, or behind an earlier try that was stopped.
pub(crate) async fn last_sweep(online: &Online) -> Result<(), DbErr> {
    let not_listed = format!("NOT EXISTS ({})", listed("differing.field", "differing.value"));
    let unlisted = format!("EXISTS (SELECT FROM ({DIFFERING}) AS differing WHERE {not_listed})");
    for _ in 0..2 {
        online
            .backfill("question_history")
            .statement(format!(
                "DELETE FROM migration_reject_assessments AS listed USING question_history AS source \
                 WHERE {{batch}} AND listed.migration = '{CONTRACT}' AND listed.table_name = 'question_history' \
                 AND listed.row_key = jsonb_build_object('id', source.id) AND source.ai_evaluation IS NOT NULL \
                 AND listed.value IS DISTINCT FROM (CASE WHEN listed.field = '' THEN source.ai_evaluation \
                     ELSE source.ai_evaluation->listed.field END)::text"
            ))
            .rejects(rejects())
            .rejects(format!(
                "SELECT jsonb_build_object('id', source.id) AS key, differing.field, differing.value, \
                     'the column says something else' AS reason, \
                     jsonb_build_object('id', source.id, differing.field, differing.kept) AS row \
                 FROM question_history AS source CROSS JOIN LATERAL ({DIFFERING}) AS differing \
                 WHERE {{batch}} AND source.ai_evaluation IS NOT NULL AND {not_listed}"
            ))
            .statement(fill())
            .unfinished(format!("({} OR source.ai_evaluation IS NOT NULL AND {unlisted})", is_unfinished()))
            .vacuum_times(10)
            .run()
            .await?;
        let missed = format!(
            "SELECT source.id::text FROM question_history AS source WHERE source.ai_evaluation IS NOT NULL AND {unlisted} LIMIT 1"
        );
        if online.query_text(&missed).await?.is_none() {
            break;
        }
    }
    Ok(())
}

/// What the evaluation of `source` says otherwise than a column that is filled. What it says of `is_correct` is among [`rejects`].
const DIFFERING: &str = "SELECT differing.field, differing.kept, (source.ai_evaluation->differing.field)::text AS value \
     FROM question_history_carry_over(source.ai_evaluation) AS carried CROSS JOIN LATERAL (VALUES \
         ('score', source.score <> carried.score, to_jsonb(source.score)), \
         ('understandingDepth', source.understanding_depth <> carried.understanding_depth, to_jsonb(source.understanding_depth)), \
         ('feedback', source.feedback <> carried.feedback, to_jsonb(source.feedback)), \
         ('knowledgeGaps', source.knowledge_gaps <> carried.knowledge_gaps, to_jsonb(source.knowledge_gaps))\
     ) AS differing (field, differs, kept) WHERE differing.differs";

/// How many evaluations say something else than a column that is filled.
const N_DIFFERING: &str = "SELECT count(*) AS n FROM question_history AS source \
     CROSS JOIN LATERAL question_history_carry_over(source.ai_evaluation) AS carried \
     WHERE source.score <> carried.score OR source.understanding_depth <> carried.understanding_depth \
     OR source.feedback <> carried.feedback OR source.knowledge_gaps <> carried.knowledge_gaps \
     OR source.is_correct <> carried.is_correct";

/// That number, for the reader.
pub(crate) fn differing() -> Check {
    Check::report(
        "evaluations that say something else than their columns: new code changed these, or the evaluation changed where no \
         trigger fires",
        format!("SELECT n::text FROM ({N_DIFFERING}) AS counted"),
    )
}

/// That number for who plans the contract step, without a row if it is none. It is asked of what is there: neither before the
/// function nor after the column.
pub(crate) fn preview_differing(details: Details) -> Details {
    details.preview(
        "evaluations that say something else than their columns, which stay (what the evaluation says becomes a reject)",
        format!(
            "SELECT n FROM (SELECT CASE WHEN to_regprocedure('question_history_carry_over(jsonb)') IS NOT NULL AND {} \
             THEN substring(query_to_xml({}, false, false, '')::text FROM '<n>([0-9]+)</n>') END AS n) AS counted \
             WHERE n <> '0'",
            column_exists("ai_evaluation"),
            literal(N_DIFFERING),
        ),
    )
}

/// The rows whose evaluation is neither carried over nor rejected.
pub(crate) fn forgotten() -> String {
    format!("SELECT source.id FROM question_history AS source WHERE {}", is_forgotten())
}

/// The condition that a batch has yet to act on `source`: its evaluation is forgotten, or contradicts an `is_correct`
/// that was there before without being listed. Once a batch has seen the row, new code may contradict the evaluation
/// as it likes, so nothing is verified of that; a backfill asks at one moment, and a contradiction made since is listed at
/// most, which loses nothing.
pub(crate) fn is_unfinished() -> String {
    format!(
        "({} OR source.ai_evaluation IS NOT NULL AND EXISTS ( \
             SELECT FROM question_history_carry_over(source.ai_evaluation) AS carried \
             WHERE carried.is_correct <> source.is_correct AND NOT EXISTS ({})))",
        is_forgotten(),
        listed("'isCorrect'", "(source.ai_evaluation->'isCorrect')::text"),
    )
}

/// The condition that the evaluation of `source` is neither carried over nor rejected.
fn is_forgotten() -> String {
    format!(
        "source.ai_evaluation IS NOT NULL AND EXISTS ( \
             SELECT FROM question_history_carry_over(source.ai_evaluation) AS carried \
             WHERE {FORGOTTEN} OR carried.rejects IS NOT NULL AND EXISTS ( \
                 SELECT FROM jsonb_array_elements(carried.rejects) AS rejected WHERE NOT EXISTS ({})))",
        listed("rejected->>'field'", "rejected->>'value'"),
    )
}

/// Rebuilds the evaluations from columns and rejects, for old code: the five keys that have columns, and what was
/// rejected as it was. A list that JSON cannot hold as the function reads it stays out; its column has it.
///
/// Of those of which the contract step has listed something, the trigger lists it under the backfill's name. The others are in
/// the columns and the list already, and no trigger need look at them. `OFFSET 0` keeps what is listed of one row from being looked
/// for among all that is listed.
pub(crate) fn rebuild(backfill: Backfill<'_>) -> Backfill<'_> {
    let rejected = format!(
        "FROM migration_reject_assessments AS reject WHERE reject.table_name = 'question_history' \
         AND reject.migration IN ('{BACKFILL}', '{CONTRACT}') AND reject.row_key = jsonb_build_object('id', source.id)"
    );
    let unbuilt = format!(
        "source.ai_evaluation IS NULL AND (coalesce(source.score::text, source.understanding_depth, source.feedback) \
         IS NOT NULL OR source.knowledge_gaps IS NOT NULL OR EXISTS (SELECT {rejected} OFFSET 0))"
    );
    let statement = format!(
        "UPDATE question_history AS source SET ai_evaluation = coalesce( \
             (SELECT reject.value::jsonb {rejected} AND reject.field = '' ORDER BY reject.id DESC LIMIT 1), \
             jsonb_build_object('score', score, 'isCorrect', is_correct, 'understandingDepth', understanding_depth, \
                 'feedback', feedback, 'knowledgeGaps', \
                 CASE WHEN array_ndims(knowledge_gaps) > 1 THEN NULL \
                      WHEN array_remove(knowledge_gaps, NULL) <> knowledge_gaps THEN NULL \
                      ELSE to_jsonb(knowledge_gaps) END) \
             || coalesce((SELECT jsonb_object_agg(reject.field, reject.value::jsonb ORDER BY reject.id) {rejected}), '{{}}')) \
         WHERE {{batch}} AND {unbuilt}"
    );
    let by_contract = format!(
        "EXISTS (SELECT FROM migration_reject_assessments AS reject WHERE reject.table_name = 'question_history' \
         AND reject.migration = '{CONTRACT}' AND reject.row_key = jsonb_build_object('id', source.id) OFFSET 0)"
    );
    backfill
        .statement(format!("{statement} AND {by_contract}"))
        .silent_statement(format!("{statement} AND NOT {by_contract}"))
        .unfinished(unbuilt)
}

/// The triggers, complete.
pub(crate) fn triggers() -> [Trigger; 3] {
    let rejected = rejected("NEW", "carried.rejects", "carried.is_correct");
    TRIGGERS.map(|trigger| trigger.fill("{replaced}", &replaced()).fill("{rejected}", &rejected))
}

/// The statements that drop the triggers, for a step that drops them together with something else.
pub(crate) fn drop_triggers_sql() -> String {
    TRIGGERS.iter().map(|trigger| format!("DROP TRIGGER {} ON question_history;", trigger.name())).collect()
}

/// The column that remembers which values of `is_correct` are not the application's, so that they can be taken back.
pub(crate) async fn add_marker(online: &Online) -> Result<(), DbErr> {
    online
        .add_column("question_history", "is_correct_carried_over", "BOOLEAN")
        .comment("True where is_correct was filled from ai_evaluation; goes when ai_evaluation goes")
        .run()
        .await
}

/// Whether a column of `question_history` exists: a run that was killed may have dropped it already.
pub(crate) async fn has_column(online: &Online, column: &str) -> Result<bool, DbErr> {
    let sql = format!("SELECT 'yes' WHERE {}", column_exists(column));
    Ok(online.query_text(&sql).await?.is_some())
}

/// The condition that a column of `question_history` exists.
pub(crate) fn column_exists(column: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass('question_history') AND attname = {} \
         AND NOT attisdropped)",
        literal(column)
    )
}

/// The size of the table, for the reader: printed as it was before the backfill, after it, and after the last step.
pub(crate) fn size() -> Check {
    Check::report(
        "size of `question_history`, and of its indexes",
        "SELECT pg_size_pretty(pg_table_size('question_history')) || ', ' \
         || pg_size_pretty(pg_indexes_size('question_history'))",
    )
}

/// How many evaluations there are and how many have each field in its column, for the reader.
pub(crate) fn counters() -> Check {
    Check::report(
        "evaluations, with a score, with a depth, with feedback, with rejects",
        format!(
            "SELECT format('%s, %s, %s, %s, %s', count(*), count(score), count(understanding_depth), count(feedback), \
             (SELECT count(DISTINCT row_key) FROM migration_reject_assessments \
              WHERE migration = '{BACKFILL}' AND table_name = 'question_history')) \
             FROM question_history WHERE ai_evaluation IS NOT NULL"
        ),
    )
}

/// The keys of evaluations that have no column, each with the number of rows that have it, most frequent first. It can also be
/// asked when the column is gone: `absent` then stands in for it.
const LOST_KEYS: &str = "SELECT format('%s (%s)', key, count(*)) AS lost \
    FROM (SELECT NULL::jsonb AS ai_evaluation) AS absent \
    CROSS JOIN LATERAL (SELECT ai_evaluation FROM question_history) AS old (evaluation) \
    CROSS JOIN LATERAL jsonb_object_keys(CASE jsonb_typeof(old.evaluation) WHEN 'object' THEN old.evaluation ELSE '{}' END) AS key \
    WHERE key NOT IN ('score', 'isCorrect', 'understandingDepth', 'feedback', 'knowledgeGaps') \
    GROUP BY key ORDER BY count(*) DESC, key";

/// The keys that are lost, for the reader.
pub(crate) fn lost_keys(says: &str) -> Check {
    Check::report(says, format!("SELECT coalesce(string_agg(lost, ', '), 'none') FROM ({LOST_KEYS}) AS keys"))
}

/// The keys that are lost, for who plans it.
pub(crate) fn preview_lost_keys(details: Details) -> Details {
    details.preview("keys of evaluations that it loses, and in how many rows", LOST_KEYS)
}

/// What cannot be carried over of `row`, given what the function says of it: `rejects`, and `says` of `is_correct`. An
/// `is_correct` that was there before and contradicts the evaluation stays, so the evaluation's word is listed.
fn rejected(row: &str, rejects: &str, says: &str) -> String {
    format!(
        "SELECT reject->>'field' AS field, reject->>'value' AS value, reject->>'reason' AS reason \
         FROM jsonb_array_elements({rejects}) AS reject \
         UNION ALL \
         SELECT 'isCorrect', ({row}.ai_evaluation->'isCorrect')::text, 'is_correct already says otherwise' \
         WHERE {says} <> {row}.is_correct"
    )
}

/// Takes over of each column what an evaluation says now and did not say before, or else what it does not say any more.
fn replaced() -> String {
    let replaced = ["score", "understanding_depth", "feedback", "knowledge_gaps"].map(|column| {
        format!(
            "        IF carried.{column} IS DISTINCT FROM was.{column} AND NEW.{column} = OLD.{column} THEN
            NEW.{column} := coalesce(carried.{column}, nullif(NEW.{column}, was.{column}));
        END IF;"
        )
    });
    replaced.join("\n")
}

/// The entry of `source` for what it says of a field, if that is listed.
fn listed(field: &str, value: &str) -> String {
    format!(
        "SELECT FROM migration_reject_assessments AS listed WHERE listed.migration IN ('{BACKFILL}', '{CONTRACT}') \
         AND listed.table_name = 'question_history' AND listed.row_key = jsonb_build_object('id', source.id) \
         AND listed.field = {field} AND listed.value = {value}"
    )
}

/// `{rejected}` stands for [`rejected`] of the new row, `{replaced}` for [`replaced`].
const TRIGGERS: [Trigger; 3] = [
    // Fires first, and only if the statement names `is_correct`: that value is the application's from now on, even if
    // it is the same.
    Trigger::new("question_history_claim_is_correct", "question_history", "BEFORE UPDATE OF is_correct", "NEW.is_correct_carried_over := NULL; RETURN NEW;").only_if("OLD.is_correct_carried_over"),
    // Fills the empty columns of a row that is written with an evaluation.
    Trigger::new("question_history_fill_columns", "question_history", "BEFORE INSERT OR UPDATE OF ai_evaluation", "
DECLARE
    was record;
    carried record;
BEGIN
    SELECT * INTO carried FROM {schema}.question_history_carry_over(NEW.ai_evaluation);
    -- Where an evaluation that replaces another one says something else of a field, it replaces that column too, unless
    -- the statement itself says it. Where it says nothing any more, only what was carried over goes.
    IF TG_OP = 'UPDATE' AND OLD.ai_evaluation <> NEW.ai_evaluation THEN
        SELECT * INTO was FROM {schema}.question_history_carry_over(OLD.ai_evaluation);
{replaced}
        IF NEW.is_correct_carried_over AND carried.is_correct IS DISTINCT FROM was.is_correct THEN
            NEW.is_correct := NULL;
            NEW.is_correct_carried_over := NULL;
        END IF;
    END IF;
    NEW.score := coalesce(NEW.score, carried.score);
    NEW.understanding_depth := coalesce(NEW.understanding_depth, carried.understanding_depth);
    NEW.feedback := coalesce(NEW.feedback, carried.feedback);
    NEW.knowledge_gaps := coalesce(NEW.knowledge_gaps, carried.knowledge_gaps);
    IF NEW.is_correct IS NULL AND carried.is_correct IS NOT NULL THEN
        NEW.is_correct := carried.is_correct;
        NEW.is_correct_carried_over := true;
    END IF;
    RETURN NEW;
END;").only_if("NEW.ai_evaluation IS NOT NULL").unless_silent(),
    // Keeps the list of rejects in step.
    Trigger::new("question_history_list_rejects", "question_history", "AFTER INSERT OR UPDATE OF ai_evaluation", "
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM {schema}.migration_reject_assessments AS listed
        WHERE listed.migration = 'm20260126_000002_backfill_evaluations' AND listed.table_name = 'question_history'
          AND listed.row_key = jsonb_build_object('id', NEW.id);
    END IF;
    INSERT INTO {schema}.migration_reject_assessments (migration, table_name, row_key, field, value, reason)
    SELECT 'm20260126_000002_backfill_evaluations', 'question_history', jsonb_build_object('id', NEW.id),
           rejected.field, rejected.value, rejected.reason
    FROM {schema}.question_history_carry_over(NEW.ai_evaluation) AS carried
    CROSS JOIN LATERAL ({rejected}) AS rejected
    ON CONFLICT DO NOTHING;
    RETURN NULL;").only_if("NEW.ai_evaluation IS NOT NULL").unless_silent(),
];
