//! Expand, data. Carries `question_history.ai_evaluation` over into columns, and keeps rows in step that old code writes
//! from now on.
//!
//! Outside a transaction. Strongest lock: ACCESS EXCLUSIVE on `question_history` for the instant in which a helper column
//! is added, then SHARE ROW EXCLUSIVE for the instants in which three triggers are created. The rows are filled in batches
//! of neighbouring blocks (keys are random), each a transaction of its own of about 40 ms that locks its rows alone; a
//! killed run goes on where it stopped.
//!
//! What is not exactly representable is listed as a reject and stays in `ai_evaluation`; so is the evaluation's word on
//! `isCorrect` where the column already said otherwise. No row is deleted, no filled column is changed.
//!
//! `down` empties the columns again, in batches, where they have what the evaluation says (`is_correct` where the helper
//! column tells that it was filled here), drops triggers, functions and helper column, and forgets the rejects. It loses
//! nothing: `up` carries over what the evaluation says by then, and what new code wrote stands.

use migration_kit::{Check, Details, Online, OnlineMigration, ServiceMigration, online_migration};
use sea_orm_migration::prelude::*;

use crate::evaluation;

/// Fills four columns, and `is_correct` where it is empty.
#[derive(DeriveMigrationName)]
pub struct Migration;

online_migration!(crate::NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.install_rejects().await?;
        online.create_functions(&evaluation::FUNCTIONS).await?;
        evaluation::add_marker(online).await?;
        online.create_triggers(&evaluation::triggers()).await?;
        // Creating a trigger waits for the writers before it: from here on every row is either seen or kept in step.
        online
            .backfill("question_history")
            .rejects(evaluation::rejects())
            .statement(evaluation::fill())
            .unfinished(evaluation::is_unfinished())
            .vacuum_times(8)
            .run()
            .await?;
        Ok(())
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        // While the triggers stand: an evaluation that is replaced meanwhile still takes its columns along.
        if evaluation::has_column(online, "is_correct_carried_over").await? {
            online
                .backfill("question_history")
                .statement(evaluation::empty())
                .unfinished(evaluation::IS_FULL)
                .vacuum_times(8)
                .run()
                .await?;
        }
        online.drop_triggers(&evaluation::triggers()).await?;
        online.drop_column("question_history", "is_correct_carried_over").await?;
        online.drop_functions(&evaluation::FUNCTIONS).await?;
        online.forget_rejects().await.map(drop)
    }
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        let until_the_end = |check: Check| check.until(evaluation::CONTRACT);
        Details::expand()
            .verify(until_the_end(Check::none(
                "every row with an evaluation is carried over or rejected",
                evaluation::forgotten(),
            )))
            .verify_all(evaluation::triggers().iter().map(Check::from).map(until_the_end))
            .verify(until_the_end(evaluation::counters()))
            .verify(until_the_end(evaluation::differing()))
            .verify(until_the_end(evaluation::lost_keys(
                "keys of evaluations that the contract step will lose, and in how many rows",
            )))
            .verify(until_the_end(evaluation::size()))
    }
}
