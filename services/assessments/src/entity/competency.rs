//! Competencies that are assessed.

use sea_orm::entity::prelude::*;

/// One competency.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "competencies")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Role that asks for it.
    pub role_id: Option<Uuid>,
    /// Name.
    pub name: String,
    /// What it covers.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// Group of competencies.
    pub category: Option<String>,
    /// Weight, 1 to 5.
    pub importance_weight: Option<i32>,
    /// Place in lists.
    pub order_index: Option<i32>,
    /// When it was made.
    pub created_at: Option<DateTime>,
    /// Role that asks for it.
    #[sea_orm(belongs_to, from = "role_id", to = "id", on_delete = "Cascade")]
    pub role: BelongsTo<Option<super::role::Entity>>,
    /// Questions about it.
    #[sea_orm(has_many)]
    pub questions: HasMany<super::question::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
