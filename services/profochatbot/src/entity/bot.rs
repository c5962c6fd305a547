//! `bot`: a Telegram bot of an account.

use sea_orm::entity::prelude::*;

/// A Telegram bot of an account.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "bot")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub bot_id: i32,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// The bot's name.
    #[sea_orm(column_type = "Text")]
    pub bot_name: String,
    /// Secret by which Telegram knows the bot; `None` until it is set.
    #[sea_orm(unique, column_type = "Text", nullable)]
    pub bot_token: Option<String>,
    /// Name for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub display_name: Option<String>,
    /// Description for people.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
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
