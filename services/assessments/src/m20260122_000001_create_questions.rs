//! Expand. Creates the bank of questions, and `question_history.question_id`, which says where a question came from.
//!
//! Outside a transaction, because it changes tables that are in use. Strongest lock: ACCESS EXCLUSIVE on
//! `question_history` for the instant in which the column is added; SHARE ROW EXCLUSIVE on it, on `competencies` and on
//! `questions` for the instants in which the foreign keys are added. The index is built, and the keys are validated,
//! while everybody reads and writes.
//!
//! `down` drops the questions, and with them which question an answer was about.

use migration_kit::{
    Check, Details, LockMode, OnDelete, Online, OnlineMigration, ServiceMigration, online_migration,
};
use sea_orm_migration::prelude::*;

/// Creates `questions` and refers to it from `question_history`.
#[derive(DeriveMigrationName)]
pub struct Migration;

/// The new table without its foreign key, which locks another table and is added by itself.
const QUESTIONS: &str = "CREATE TABLE IF NOT EXISTS questions (
    id UUID CONSTRAINT questions_pkey PRIMARY KEY DEFAULT gen_random_uuid(),
    competency_id UUID,
    question_text TEXT NOT NULL,
    difficulty INTEGER NOT NULL CONSTRAINT questions_difficulty_check CHECK (difficulty BETWEEN 1 AND 5),
    question_number INTEGER CONSTRAINT questions_question_number_check CHECK (question_number BETWEEN 1 AND 5),
    expected_key_points JSONB,
    estimated_answer_time VARCHAR(50),
    used_count INTEGER DEFAULT 0,
    created_at TIMESTAMP DEFAULT now()
)";

online_migration!(crate::NAME, Migration);

impl OnlineMigration for Migration {
    async fn up(&self, online: &Online) -> Result<(), DbErr> {
        online.execute(QUESTIONS).await?;
        refuse_another_table(online).await?;
        online
            .add_foreign_key(
                "questions_competency_id_fkey",
                ("questions", ["competency_id"]),
                ("competencies", ["id"]),
            )
            .on_delete(OnDelete::Cascade)
            .run()
            .await?;
        online.add_column("question_history", "question_id", "UUID").run().await?;
        online
            .create_index("idx_question_history_question_id", "question_history", ["question_id"])
            .run()
            .await?;
        online
            .add_foreign_key(
                "question_history_question_id_fkey",
                ("question_history", ["question_id"]),
                ("questions", ["id"]),
            )
            .on_delete(OnDelete::SetNull)
            .run()
            .await
    }

    async fn down(&self, online: &Online) -> Result<(), DbErr> {
        online.drop_index("idx_question_history_question_id").await?;
        // The keys go first and alone: dropping what carries them would lock both of their tables at once.
        online.drop_constraint("question_history", "question_history_question_id_fkey").await?;
        online.drop_column("question_history", "question_id").await?;
        if online.query_text("SELECT to_regclass('questions')::text").await?.is_none() {
            return Ok(());
        }
        online.drop_constraint("questions", "questions_competency_id_fkey").await?;
        online.brief("DROP TABLE questions").locking("questions", LockMode::AccessExclusive).run().await
    }
}

/// `IF NOT EXISTS` lets a killed run be resumed, and would also accept a table that somebody else made.
async fn refuse_another_table(online: &Online) -> Result<(), DbErr> {
    match online.query_text(&columns().sql).await? {
        None => Ok(()),
        Some(difference) => Err(DbErr::Migration(format!(
            "a table `questions` with other columns exists, and was left as it is: {difference}"
        ))),
    }
}

fn columns() -> Check {
    Check::table(
        "questions",
        &[
            "id uuid not null default gen_random_uuid()",
            "competency_id uuid",
            "question_text text not null",
            "difficulty integer not null",
            "question_number integer",
            "expected_key_points jsonb",
            "estimated_answer_time character varying(50)",
            "used_count integer default 0",
            "created_at timestamp without time zone default now()",
        ],
    )
}

impl ServiceMigration for Migration {
    fn details(&self) -> Details {
        Details::expand()
            .accepts("foreign-key-without-index", "as in the application's own schema")
            .accepts(
                "timestamp-without-zone",
                "as in the older tables, with which the application compares them",
            )
            .loses_on_revert("every row of `questions`, and `question_history.question_id`")
            .verify(columns())
            .verify(Check::constraint("questions", "questions_pkey"))
            .verify(Check::constraint("questions", "questions_difficulty_check"))
            .verify(Check::constraint("questions", "questions_question_number_check"))
            .verify(Check::constraint("questions", "questions_competency_id_fkey"))
            .verify(Check::column("question_history", "question_id", "uuid"))
            .verify(Check::constraint("question_history", "question_history_question_id_fkey"))
            .verify(Check::index("idx_question_history_question_id"))
    }
}
