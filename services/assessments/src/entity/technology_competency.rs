//! Competencies of a technology.

use sea_orm::entity::prelude::*;

/// One competency of one technology.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "technology_competencies")]
pub struct Model {
    /// The technology.
    #[sea_orm(primary_key, auto_increment = false)]
    pub technology_id: Uuid,
    /// The competency.
    #[sea_orm(primary_key, auto_increment = false)]
    pub competency_id: Uuid,
    /// Place in the technology's list.
    pub order_index: Option<i32>,
    /// The technology.
    #[sea_orm(belongs_to, from = "technology_id", to = "id", on_delete = "Cascade")]
    pub technology: BelongsTo<super::technology::Entity>,
    /// The competency.
    #[sea_orm(belongs_to, from = "competency_id", to = "id", on_delete = "Cascade")]
    pub competency: BelongsTo<super::competency::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
