//! `account`: a tenant.

use sea_orm::entity::prelude::*;

/// A tenant.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub account_id: i32,
    /// Name for people.
    #[sea_orm(column_type = "Text")]
    pub name: String,
    /// Name for addresses.
    #[sea_orm(unique, column_type = "Text")]
    pub slug: String,
    /// What the account pays for: `free` until said otherwise.
    #[sea_orm(column_type = "Text")]
    pub plan: String,
    /// When it was made, UTC.
    pub created_at: DateTime,
    /// When it was last changed, UTC.
    pub updated_at: DateTime,
    /// Whether it is in use.
    pub is_active: bool,
    /// Settings, by key.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub settings: Option<Json>,
}

/// The tables that it refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
