//! `bannedparticipants`: a chat that a bot no longer answers.

use sea_orm::entity::prelude::*;

/// A chat that a bot no longer answers.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bannedparticipants")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub bannedparticipant_id: i32,
    /// The bot's name, as the single-tenant application wrote it.
    #[sea_orm(column_type = "Text", nullable)]
    pub botname: Option<String>,
    /// Telegram chat.
    pub chat_id: i64,
    /// When, UTC.
    pub banned_at: Option<DateTime>,
    /// Why.
    #[sea_orm(column_type = "Text", nullable)]
    pub ban_reason: Option<String>,
    /// `0` while the ban is in force.
    pub excluded: Option<i16>,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// The bot.
    pub bot_id: Option<i32>,
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

impl ActiveModelBehavior for ActiveModel {}
