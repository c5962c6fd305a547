//! Questions asked, with their evaluation in columns.

use sea_orm::entity::prelude::*;

/// One question asked in an assessment.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "question_history")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Part of the assessment in which it was asked.
    pub competency_assessment_id: Option<Uuid>,
    /// Question of the bank, if it came from there.
    pub question_id: Option<Uuid>,
    /// The question as asked.
    #[sea_orm(column_type = "Text")]
    pub question_text: String,
    /// Kind of question.
    pub question_type: Option<String>,
    /// Difficulty, 1 to 5.
    pub difficulty_level: Option<i32>,
    /// Whether the answer was right.
    pub is_correct: Option<bool>,
    /// How long the answer took, in seconds.
    pub time_spent_seconds: Option<i32>,
    /// When it was asked.
    pub asked_at: Option<DateTime>,
    /// When it was answered.
    pub answered_at: Option<DateTime>,
    /// Score of the answer, 1 to 5.
    pub score: Option<i32>,
    /// `shallow`, `medium` or `deep`.
    pub understanding_depth: Option<String>,
    /// What the person is told.
    #[sea_orm(column_type = "Text", nullable)]
    pub feedback: Option<String>,
    /// What the person should learn; an empty list says that nothing is missing.
    pub knowledge_gaps: Option<Vec<String>>,
    /// Part of the assessment in which it was asked.
    #[sea_orm(belongs_to, from = "competency_assessment_id", to = "id", on_delete = "Cascade")]
    pub competency_assessment: BelongsTo<Option<super::competency_assessment::Entity>>,
    /// Question of the bank.
    #[sea_orm(belongs_to, from = "question_id", to = "id", on_delete = "SetNull")]
    pub question: BelongsTo<Option<super::question::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
