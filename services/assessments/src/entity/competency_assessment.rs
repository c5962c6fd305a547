//! The part of an assessment that is about one competency.

use sea_orm::entity::prelude::*;

/// One competency in one assessment.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "competency_assessments")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// The assessment.
    pub assessment_id: Option<Uuid>,
    /// The competency.
    pub competency_id: Option<Uuid>,
    /// Score that the model gave, 1 to 5.
    pub ai_assessed_score: Option<i32>,
    /// `low`, `medium` or `high`.
    pub confidence_level: Option<String>,
    /// What is missing, as the model said it.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub gap_analysis: Option<Json>,
    /// State of the session.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub test_session_data: Option<Json>,
    /// When it ended.
    pub completed_at: Option<DateTime>,
    /// The assessment.
    #[sea_orm(belongs_to, from = "assessment_id", to = "id", on_delete = "Cascade")]
    pub assessment: BelongsTo<Option<super::assessment::Entity>>,
    /// The competency.
    #[sea_orm(belongs_to, from = "competency_id", to = "id")]
    pub competency: BelongsTo<Option<super::competency::Entity>>,
    /// Questions that were asked.
    #[sea_orm(has_many)]
    pub question_history: HasMany<super::question_history::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
