//! Contract. Drops the raw answers of `question_history`: `user_answer_transcript`, `audio_duration_seconds`,
//! `transcription_confidence` and `ai_evaluation`, with the triggers and functions that kept the new columns in step.
//!
//! Outside a transaction. First a sweep in batches, as in the backfill, for rows that escaped the triggers; what an evaluation
//! says otherwise than a column is listed. Then the
//! strongest lock: ACCESS EXCLUSIVE on `question_history` for the instant in which triggers and columns go together; the
//! table is not rewritten, and so takes as much space as before until it is vacuumed in full.
//!
//! `down` adds the columns again and rebuilds `ai_evaluation` in batches from the new columns and the rejects. The rest
//! is gone for good.

use std::time::Duration;

use migration_kit::{
    Check, Column, Details, LockMode, Online, OnlineMigration, ServiceMigration, literal, online_migration,
};
use sea_orm_migration::prelude::*;

use crate::evaluation;

/// Drops four columns.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// Time in which old code is replaced everywhere, as the service's manual asks.
const SOAK: Duration = Duration::from_secs(24 * 60 * 60);

const COLUMNS: [Column; 4] = [
    Column::new("question_history", "user_answer_transcript", "TEXT"),
    Column::new("question_history", "audio_duration_seconds", "INTEGER"),
    Column::new("question_history", "transcription_confidence", "DOUBLE PRECISION"),
    Column::new("question_history", "ai_evaluation", "JSONB"),
];

online_migration!(crate::NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        // All columns go in one statement, so that one tells whether a killed run has dropped them.
        if evaluation::has_column(online, "ai_evaluation").await? {
            evaluation::last_sweep(online).await?;
            refuse_forgotten_rows(online).await?;
            // The triggers go in the same transaction as the columns: no row can be written between.
            online.brief(drop_columns()).locking("question_history", LockMode::AccessExclusive).run().await?;
        }
        online.drop_triggers(&evaluation::triggers()).await?;
        online.drop_functions(&evaluation::FUNCTIONS).await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.install_rejects().await?;
        online.add_columns(&COLUMNS).await?;
        online.create_functions(&evaluation::FUNCTIONS).await?;
        evaluation::add_marker(online).await?;
        online.create_triggers(&evaluation::triggers()).await?;
        evaluation::rebuild(online.backfill("question_history")).vacuum_times(4).run().await?;
        // The trigger has listed under the backfill's name what this migration's sweep had listed.
        online.forget_rejects().await.map(drop)
    }
}

async fn refuse_forgotten_rows(online: &Online) -> Result<(), DbErr> {
    let forgotten = format!("SELECT id::text FROM ({}) AS forgotten LIMIT 1", evaluation::forgotten());
    match online.query_text(&forgotten).await? {
        None => Ok(()),
        Some(id) => Err(DbErr::Migration(format!(
            "the evaluation of `{id}` in `question_history` is neither carried over nor rejected; nothing was dropped"
        ))),
    }
}

/// The columns that go: those that come back, and the helper of the backfill.
fn dropped() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(Column::name).chain(["is_correct_carried_over"])
}

/// One statement, because triggers and columns go together or not at all.
fn drop_columns() -> String {
    let columns: Vec<String> = dropped().map(|column| format!("DROP COLUMN {column}")).collect();
    let body = format!(
        "BEGIN {} ALTER TABLE question_history {}; END",
        evaluation::drop_triggers_sql(),
        columns.join(", ")
    );
    format!("DO LANGUAGE plpgsql {}", literal(&body))
}

/// The query is a text for `query_to_xml`, which plans it when it runs: a run that was killed after the columns went is
/// resumed through this guard, and a query that names them could not be asked any more.
fn guard() -> Check {
    Check::holds(
        "every row with an evaluation is carried over or rejected (a row that escaped the triggers is caught up by \
         `UPDATE question_history SET ai_evaluation = ai_evaluation WHERE id = …`)",
        format!(
            "SELECT CASE WHEN {} THEN query_to_xml({}, false, false, '')::text LIKE '%<forgotten>false</forgotten>%' \
             ELSE true END",
            evaluation::column_exists("ai_evaluation"),
            literal(&format!("SELECT EXISTS ({}) AS forgotten", evaluation::forgotten())),
        ),
    )
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let details =
            Details::contract(SOAK).one_node_to_revert("an `UPDATE` calls `STABLE` functions for each row");
        evaluation::preview_differing(evaluation::preview_lost_keys(details))
            .loses(
                "transcripts, audio durations and transcription confidences; of each evaluation `nextDifficulty`, \
                 `reasoning`, `correctAnswer`, `expectedKeyPoints` and every other key without a column; which values \
                 of `is_correct` came from an evaluation",
            )
            .guard(guard())
            .guard(evaluation::lost_keys("keys of evaluations that are lost, and in how many rows"))
            .verify(evaluation::size())
            .verify_all(dropped().map(|column| Check::no_column("question_history", column)))
    }
}
