//! Assessments: one attempt of one person.

use sea_orm::entity::prelude::*;

/// One attempt.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "assessments")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Person who took it.
    pub user_id: Option<Uuid>,
    /// Role that it is about.
    pub role_id: Option<Uuid>,
    /// Direction that it is about.
    pub direction_id: Option<Uuid>,
    /// Technology that it is about.
    pub technology_id: Option<Uuid>,
    /// `in_progress`, `completed` or `abandoned`.
    pub status: Option<String>,
    /// Result over all competencies.
    pub overall_score: Option<f64>,
    /// Number of the attempt, from 1.
    pub attempt_number: i32,
    /// When it began.
    pub started_at: Option<DateTime>,
    /// When it ended.
    pub completed_at: Option<DateTime>,
    /// Person who took it.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<Option<super::user::Entity>>,
    /// Role that it is about.
    #[sea_orm(belongs_to, from = "role_id", to = "id")]
    pub role: BelongsTo<Option<super::role::Entity>>,
    /// Direction that it is about.
    #[sea_orm(belongs_to, from = "direction_id", to = "id")]
    pub direction: BelongsTo<Option<super::direction::Entity>>,
    /// Technology that it is about.
    #[sea_orm(belongs_to, from = "technology_id", to = "id")]
    pub technology: BelongsTo<Option<super::technology::Entity>>,
    /// Its part for each competency.
    #[sea_orm(has_many)]
    pub competency_assessments: HasMany<super::competency_assessment::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
