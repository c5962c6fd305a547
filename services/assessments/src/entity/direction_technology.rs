//! Technologies of a direction.

use sea_orm::entity::prelude::*;

/// One technology of one direction.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "direction_technologies")]
pub struct Model {
    /// The direction.
    #[sea_orm(primary_key, auto_increment = false)]
    pub direction_id: Uuid,
    /// The technology.
    #[sea_orm(primary_key, auto_increment = false)]
    pub technology_id: Uuid,
    /// Place in the direction's list.
    pub order_index: Option<i32>,
    /// The direction.
    #[sea_orm(belongs_to, from = "direction_id", to = "id", on_delete = "Cascade")]
    pub direction: BelongsTo<super::direction::Entity>,
    /// The technology.
    #[sea_orm(belongs_to, from = "technology_id", to = "id", on_delete = "Cascade")]
    pub technology: BelongsTo<super::technology::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
