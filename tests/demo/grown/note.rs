//! Notes, as they are to be.

use migration_kit::sea_orm;
use migration_kit::sea_orm::entity::prelude::*;

/// How a note was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Enum", enum_name = "mood")]
pub enum Mood {
    /// Well.
    #[sea_orm(string_value = "good")]
    Good,
    /// Not so.
    #[sea_orm(string_value = "it's bad")]
    Bad,
}

/// One note.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "note")]
pub struct Model {
    /// Key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// It was `varchar(20)`.
    #[sea_orm(indexed, column_type = "String(StringLen::N(50))")]
    pub title: String,
    /// It took no null.
    #[sea_orm(column_type = "Text", nullable)]
    pub body: Option<String>,
    /// It was an `integer` without a default.
    #[sea_orm(unique_key = "place", default_value = 0)]
    pub rank: i64,
    /// It took null.
    #[sea_orm(unique_key = "place")]
    pub shelf: i32,
    /// It was called `headline`.
    #[sea_orm(column_type = "Text", nullable)]
    pub subtitle: Option<String>,
    /// New, of a new type.
    pub mood: Option<Mood>,
    /// New, with a default that is another one for each row.
    #[sea_orm(default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub token: Uuid,
    /// New, with a default.
    #[sea_orm(default_expr = "Expr::current_timestamp()")]
    pub at: DateTimeUtc,
    /// New, and nobody knows its value for a row that is there.
    #[sea_orm(column_type = "String(StringLen::N(2))")]
    pub lang: String,
    /// It referred to nothing.
    pub author_id: Option<i64>,
    /// Who wrote it.
    #[sea_orm(belongs_to, from = "author_id", to = "id", on_delete = "SetNull")]
    pub author: BelongsTo<Option<super::author::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
