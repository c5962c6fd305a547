//! `waiting_element`: an element that a chat waits for.

use sea_orm::entity::prelude::*;

/// An element that a chat waits for.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "waiting_element")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub waiting_element_id: i32,
    /// Telegram chat.
    pub chat_id: i64,
    /// When the wait is over, UTC.
    pub waiting_till_date: Option<DateTime>,
    /// Whether it still waits.
    pub is_waiting: Option<bool>,
    /// The element, by the name that the course gives it.
    #[sea_orm(column_type = "Text", nullable)]
    pub element_id: Option<String>,
    /// The course, by the name that its author gave it.
    #[sea_orm(column_type = "Text", nullable)]
    pub course_id: Option<String>,
    /// The bot's name, as the single-tenant application wrote it.
    #[sea_orm(column_type = "Text", nullable)]
    pub botname: Option<String>,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// The bot.
    pub bot_id: Option<i32>,
    /// The newest active run of this chat, course and bot when it was linked.
    pub run_id: Option<i32>,
    /// When it was made, UTC.
    pub created_at: Option<DateTime>,
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
    /// The run.
    #[sea_orm(belongs_to = "super::run::Entity", from = "Column::RunId", to = "super::run::Column::RunId")]
    Run,
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

impl Related<super::run::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Run.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
