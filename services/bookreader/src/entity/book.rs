//! Books: what users uploaded.

use sea_orm::entity::prelude::*;

/// One book of one user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "books")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Owner.
    #[sea_orm(indexed)]
    pub user_id: Uuid,
    /// Title.
    #[sea_orm(indexed, column_type = "String(StringLen::N(500))")]
    pub title: String,
    /// Author.
    #[sea_orm(indexed, column_type = "String(StringLen::N(255))", nullable)]
    pub author: Option<String>,
    /// Genre.
    #[sea_orm(column_type = "String(StringLen::N(50))")]
    pub genre: String,
    /// Language of the text, as a short code.
    #[sea_orm(column_type = "String(StringLen::N(10))")]
    pub language: String,
    /// Where the file lies.
    #[sea_orm(column_type = "String(StringLen::N(1000))")]
    pub file_path: String,
    /// `epub` or `fb2`.
    #[sea_orm(column_type = "String(StringLen::N(10))")]
    pub file_format: String,
    /// Size of the file in bytes.
    pub file_size: i32,
    /// Where the cover lies.
    #[sea_orm(column_type = "String(StringLen::N(1000))", nullable)]
    pub cover_image: Option<String>,
    /// Description, from the file.
    #[sea_orm(column_type = "Text", nullable)]
    pub description: Option<String>,
    /// Metadata of the file as it was read.
    #[sea_orm(column_type = "Json", nullable)]
    pub book_metadata: Option<Json>,
    /// Number of pages.
    pub total_pages: i32,
    /// Time that reading takes, in minutes.
    pub estimated_reading_time: i32,
    /// Whether the text was taken apart.
    pub is_parsed: bool,
    /// How far taking it apart is, in percent.
    pub parsing_progress: i32,
    /// Why the text could not be taken apart.
    #[sea_orm(column_type = "Text", nullable)]
    pub parsing_error: Option<String>,
    /// When the book was uploaded.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// When the book was last opened.
    pub last_accessed: Option<DateTimeWithTimeZone>,
    /// Mean rating, 0 to 5.
    #[sea_orm(indexed)]
    pub rating: Option<f64>,
    /// Owner.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
    /// Chapters.
    #[sea_orm(has_many)]
    pub chapters: HasMany<super::chapter::Entity>,
    /// Where its reader is.
    #[sea_orm(has_many)]
    pub reading_progress: HasMany<super::reading_progress::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
