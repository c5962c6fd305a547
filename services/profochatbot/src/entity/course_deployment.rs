//! `course_deployment`: a course offered by a bot.

use sea_orm::entity::prelude::*;

/// A course offered by a bot.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "course_deployment")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub deployment_id: i32,
    /// The course, by the name that its author gave it.
    #[sea_orm(column_type = "Text")]
    pub course_id: String,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// The bot.
    pub bot_id: i32,
    /// `prod` unless it is a trial.
    #[sea_orm(column_type = "Text")]
    pub environment: String,
    /// Whether it is in use.
    pub is_active: bool,
    /// When it was made, UTC.
    pub created_at: DateTime,
    /// When it was last changed, UTC.
    pub updated_at: DateTime,
    /// Settings, by key.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub settings: Option<Json>,
}

/// The tables that it refers to.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {
    /// The bot.
    #[sea_orm(belongs_to = "super::bot::Entity", from = "Column::BotId", to = "super::bot::Column::BotId")]
    Bot,
}

impl Related<super::bot::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Bot.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
