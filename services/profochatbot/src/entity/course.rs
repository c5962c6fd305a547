//! `course`: a course of an account; which bots offer it is said by its deployments.

use sea_orm::entity::prelude::*;

/// A course of an account; which bots offer it is said by its deployments.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "course")]
pub struct Model {
    /// The course, by the name that its author gave it; with `account_id` the key.
    #[sea_orm(primary_key, auto_increment = false, column_type = "Text")]
    pub course_id: String,
    /// The name of the bot that the single-tenant application wrote it for.
    #[sea_orm(column_type = "Text", nullable)]
    pub bot_name: Option<String>,
    /// Telegram user who made it.
    pub creator_id: Option<i64>,
    /// When it was made, UTC.
    pub date_created: Option<DateTime>,
    /// Source of the course.
    #[sea_orm(column_type = "Text", nullable)]
    pub yaml: Option<String>,
    /// The account that the row belongs to.
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: i32,
    /// Title for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub title: Option<String>,
    /// Description for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// When it was last changed, UTC.
    pub updated_at: Option<DateTime>,
    /// What has no column of its own.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
    /// Whether it is in use.
    pub is_active: bool,
}

/// The tables that it refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The account.
    #[sea_orm(
        belongs_to = "super::account::Entity",
        from = "Column::AccountId",
        to = "super::account::Column::AccountId"
    )]
    Account,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
