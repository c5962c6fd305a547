//! Expand. Adds the columns that take over what `question_history.ai_evaluation` says: `score`, `understanding_depth`,
//! `feedback` and `knowledge_gaps`, empty.
//!
//! Outside a transaction. Strongest lock: ACCESS EXCLUSIVE on `question_history` for the instant in which a column or a
//! check is added, six times. The checks are added `NOT VALID` and validated under SHARE UPDATE EXCLUSIVE, while
//! everybody reads and writes: `ADD COLUMN … CHECK` would read the whole table under ACCESS EXCLUSIVE.
//!
//! `down` drops the columns with what the application wrote into them.

use migration_kit::{Check, Column, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::evaluation;

/// Adds four columns and two checks.
#[derive(DeriveMigrationName)]
pub struct Migration;

const COLUMNS: [Column; 4] = [
    Column::new("question_history", "score", "INTEGER")
        .catalog_type("integer")
        .comment("Score of the answer, 1 to 5"),
    Column::new("question_history", "understanding_depth", "VARCHAR(20)")
        .catalog_type("character varying(20)")
        .comment("How deep the understanding is: shallow, medium or deep"),
    Column::new("question_history", "feedback", "TEXT")
        .catalog_type("text")
        .comment("What the person is told about the answer"),
    Column::new("question_history", "knowledge_gaps", "TEXT[]")
        .catalog_type("text[]")
        .comment("What the person should learn; an empty list says that nothing is missing"),
];

const CHECKS: [[&str; 2]; 2] = [
    ["question_history_score_check", "score BETWEEN 1 AND 5"],
    ["question_history_understanding_depth_check", "understanding_depth IN ('shallow', 'medium', 'deep')"],
];

online_migration!(crate::NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.add_columns(&COLUMNS).await?;
        for [check, expression] in CHECKS {
            online.add_check("question_history", check, expression).run().await?;
        }
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_columns(&COLUMNS).await
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .loses_on_revert(
                "what the application wrote into the four columns without writing `ai_evaluation`",
            )
            .lost_rows(
                "question_history",
                "ai_evaluation IS NULL AND num_nonnulls(score, understanding_depth, feedback, knowledge_gaps) > 0",
            )
            .verify(evaluation::size().until("m20260126_000002_backfill_evaluations"))
            .verify_all(&COLUMNS)
            .verify_all(CHECKS.map(|[check, _]| Check::constraint("question_history", check)))
    }
}
