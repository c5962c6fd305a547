//! Roles that an assessment is about.

use sea_orm::entity::prelude::*;

/// One role.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    /// Name.
    pub name: String,
    /// What the role is about.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// Group of roles.
    pub category: Option<String>,
    /// Seniority.
    pub level: Option<String>,
    /// When it was made.
    pub created_at: Option<DateTime>,
    /// When it was last changed.
    pub updated_at: Option<DateTime>,
    /// People who have the role.
    #[sea_orm(has_many, via = "user_role")]
    pub users: HasMany<super::user::Entity>,
    /// Competencies that the role asks for.
    #[sea_orm(has_many)]
    pub competencies: HasMany<super::competency::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
