//! `account_member`: a person of an account, known by a Telegram id.

use sea_orm::entity::prelude::*;

/// A person of an account, known by a Telegram id.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_member")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub account_member_id: i32,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// Telegram user.
    pub telegram_user_id: i64,
    /// Telegram user name, without the `@`.
    #[sea_orm(column_type = "Text", nullable)]
    pub telegram_username: Option<String>,
    /// What the person may do, `owner` or `member`.
    #[sea_orm(column_type = "Text")]
    pub role: String,
    /// When it was made, UTC.
    pub created_at: DateTime,
    /// When the person last came, UTC.
    pub last_login_at: Option<DateTime>,
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
