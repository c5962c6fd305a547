//! Chapters: the text of books, taken apart.

use sea_orm::entity::prelude::*;

/// One chapter of one book.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "chapters")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Book.
    #[sea_orm(indexed)]
    pub book_id: Uuid,
    /// Place in the book, from 1.
    #[sea_orm(indexed)]
    pub chapter_number: i32,
    /// Title.
    #[sea_orm(column_type = "String(StringLen::N(500))", nullable)]
    pub title: Option<String>,
    /// Text.
    #[sea_orm(column_type = "Text")]
    pub content: String,
    /// Text with its markup.
    #[sea_orm(column_type = "Text", nullable)]
    pub html_content: Option<String>,
    /// Words in the text.
    pub word_count: i32,
    /// Time that reading takes, in minutes.
    pub estimated_reading_time: i32,
    /// Whether descriptions were looked for.
    pub is_description_parsed: bool,
    /// Descriptions found.
    pub descriptions_found: i32,
    /// How far the search is, in percent.
    pub parsing_progress: i32,
    /// When the row was made.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// When the search ended.
    pub parsed_at: Option<DateTimeWithTimeZone>,
    /// Book.
    #[sea_orm(belongs_to, from = "book_id", to = "id")]
    pub book: BelongsTo<super::book::Entity>,
    /// Descriptions found in it.
    #[sea_orm(has_many)]
    pub descriptions: HasMany<super::description::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
