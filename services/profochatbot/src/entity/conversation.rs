//! `conversation`: one message of a run.

use sea_orm::entity::prelude::*;

/// One message of a run.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "conversation")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub conversation_id: i32,
    /// Telegram chat.
    pub chat_id: Option<i64>,
    /// Telegram user name.
    #[sea_orm(column_type = "Text", nullable)]
    pub username: Option<String>,
    /// The course, by the name that its author gave it.
    #[sea_orm(column_type = "Text", nullable)]
    pub course_id: Option<String>,
    /// The element, by the name that the course gives it.
    #[sea_orm(column_type = "Text", nullable)]
    pub element_id: Option<String>,
    /// Kind of the element.
    #[sea_orm(column_type = "Text", nullable)]
    pub element_type: Option<String>,
    /// Who speaks.
    #[sea_orm(column_type = "Text", nullable)]
    pub role: Option<String>,
    /// Content as JSON text.
    #[sea_orm(column_type = "Text", nullable)]
    pub json: Option<String>,
    /// Judgement of the answer.
    #[sea_orm(column_type = "Text", nullable)]
    pub report: Option<String>,
    /// Points given.
    pub score: Option<f32>,
    /// Points possible.
    pub maxscore: Option<f32>,
    /// When it was written, UTC.
    pub date_inserted: Option<DateTime>,
    /// The run.
    pub run_id: Option<i32>,
    /// The account that the row belongs to.
    pub account_id: i32,
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
    /// The run.
    #[sea_orm(belongs_to = "super::run::Entity", from = "Column::RunId", to = "super::run::Column::RunId")]
    Run,
}

impl Related<super::account::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Account.def()
    }
}

impl Related<super::run::Entity> for Entity {
    fn to() -> RelationDef {
        Relation::Run.def()
    }
}

impl ActiveModelBehavior for ActiveModel {}
