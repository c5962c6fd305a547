//! The bank of questions.

use sea_orm::entity::prelude::*;

/// One question.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "questions")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Competency that it is about.
    pub competency_id: Option<Uuid>,
    /// The question.
    #[sea_orm(column_type = "Text")]
    pub question_text: String,
    /// Difficulty, 1 to 5.
    pub difficulty: i32,
    /// Place in a session, 1 to 5.
    pub question_number: Option<i32>,
    /// What a good answer mentions.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub expected_key_points: Option<Json>,
    /// How long an answer takes, in words: `2-3 minutes`.
    pub estimated_answer_time: Option<String>,
    /// How often it was asked.
    pub used_count: Option<i32>,
    /// When it was made.
    pub created_at: Option<DateTime>,
    /// Competency that it is about.
    #[sea_orm(belongs_to, from = "competency_id", to = "id", on_delete = "Cascade")]
    pub competency: BelongsTo<Option<super::competency::Entity>>,
    /// When it was asked.
    #[sea_orm(has_many)]
    pub question_history: HasMany<super::question_history::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
