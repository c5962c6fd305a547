//! Competencies of a direction.

use sea_orm::entity::prelude::*;

/// One competency of one direction.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "direction_competencies")]
pub struct Model {
    /// The direction.
    #[sea_orm(primary_key, auto_increment = false)]
    pub direction_id: Uuid,
    /// The competency.
    #[sea_orm(primary_key, auto_increment = false)]
    pub competency_id: Uuid,
    /// Place in the direction's list.
    pub order_index: Option<i32>,
    /// The direction.
    #[sea_orm(belongs_to, from = "direction_id", to = "id", on_delete = "Cascade")]
    pub direction: BelongsTo<super::direction::Entity>,
    /// The competency.
    #[sea_orm(belongs_to, from = "competency_id", to = "id", on_delete = "Cascade")]
    pub competency: BelongsTo<super::competency::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
