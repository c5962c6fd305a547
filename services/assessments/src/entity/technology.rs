//! Technologies that a person can be assessed in.

use sea_orm::entity::prelude::*;

/// One technology.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "technologies")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Short name, unique.
    #[sea_orm(unique)]
    pub name: String,
    /// What it covers.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// Name as shown.
    pub display_name: Option<String>,
    /// Place in lists.
    pub order_index: Option<i32>,
    /// When it was made.
    pub created_at: Option<DateTime>,
}

impl ActiveModelBehavior for ActiveModel {}
