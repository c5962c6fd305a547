//! `gen_settings`: a setting of a bot.

use sea_orm::entity::prelude::*;

/// A setting of a bot.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "gen_settings")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub id: i32,
    /// The bot's name, as the single-tenant application wrote it.
    #[sea_orm(column_type = "Text", nullable)]
    pub bot_name: Option<String>,
    /// Name of the setting.
    #[sea_orm(column_type = "Text")]
    pub s_key: String,
    /// Value of the setting.
    #[sea_orm(column_type = "Text", nullable)]
    pub s_value: Option<String>,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// The bot.
    pub bot_id: Option<i32>,
    /// When it was made, UTC.
    pub created_at: Option<DateTime>,
    /// When it was last changed, UTC.
    pub updated_at: Option<DateTime>,
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
