//! `run`: one chat's way through a course.

use sea_orm::entity::prelude::*;

/// One chat's way through a course.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub run_id: i32,
    /// Telegram chat.
    pub chat_id: Option<i64>,
    /// Telegram user name.
    #[sea_orm(column_type = "Text", nullable)]
    pub username: Option<String>,
    /// The bot's name, as the single-tenant application wrote it.
    #[sea_orm(column_type = "Text", nullable)]
    pub botname: Option<String>,
    /// The course, by the name that its author gave it.
    #[sea_orm(column_type = "Text", nullable)]
    pub course_id: Option<String>,
    /// When it was written, UTC.
    pub date_inserted: Option<DateTime>,
    /// Where the person came from.
    #[sea_orm(column_type = "Text", nullable)]
    pub utm_source: Option<String>,
    /// Campaign that brought the person.
    #[sea_orm(column_type = "Text", nullable)]
    pub utm_campaign: Option<String>,
    /// Whether the course was finished.
    pub is_ended: Option<bool>,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// The bot.
    pub bot_id: Option<i32>,
    /// The deployment.
    pub deployment_id: Option<i32>,
    /// The enrollment token that it was started with.
    pub token_id: Option<i32>,
    /// Whether it is the chat's present run with this bot; at most one is.
    pub is_active: bool,
    /// When it ended, UTC; `None` for runs that ended before this was recorded.
    pub ended_at: Option<DateTime>,
    /// Medium that brought the person.
    #[sea_orm(column_type = "Text", nullable)]
    pub utm_medium: Option<String>,
    /// Search term that brought the person.
    #[sea_orm(column_type = "Text", nullable)]
    pub utm_term: Option<String>,
    /// Advertisement that brought the person.
    #[sea_orm(column_type = "Text", nullable)]
    pub utm_content: Option<String>,
    /// What has no column of its own.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub metadata: Option<Json>,
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
    /// The bot.
    #[sea_orm(belongs_to = "super::bot::Entity", from = "Column::BotId", to = "super::bot::Column::BotId")]
    Bot,
    /// The deployment.
    #[sea_orm(
        belongs_to = "super::course_deployment::Entity",
        from = "Column::DeploymentId",
        to = "super::course_deployment::Column::DeploymentId"
    )]
    CourseDeployment,
    /// The enrollment token.
    #[sea_orm(
        belongs_to = "super::enrollment_token::Entity",
        from = "Column::TokenId",
        to = "super::enrollment_token::Column::TokenId"
    )]
    EnrollmentToken,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl Related<super::bot::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Bot.def()
    }
}

impl Related<super::course_deployment::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::CourseDeployment.def()
    }
}

impl Related<super::enrollment_token::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::EnrollmentToken.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
