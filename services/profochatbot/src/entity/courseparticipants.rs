//! `courseparticipants`: a person admitted to a course.

use sea_orm::entity::prelude::*;

/// A person admitted to a course.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "courseparticipants")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub courseparticipant_id: i32,
    /// The course, by the name that its author gave it.
    #[sea_orm(column_type = "Text")]
    pub course_id: String,
    /// Telegram user name; `None` where only the chat is known.
    #[sea_orm(column_type = "Text", nullable)]
    pub username: Option<String>,
    /// The account that the row belongs to.
    pub account_id: i32,
    /// Telegram chat.
    pub chat_id: Option<i64>,
    /// When the person was admitted, UTC; `None` for those admitted before this was recorded.
    pub added_at: Option<DateTime>,
    /// Telegram user who admitted the person.
    pub added_by: Option<i64>,
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
