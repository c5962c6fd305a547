//! Reading progress: where a user is in a book.

use sea_orm::entity::prelude::*;

/// One user in one book.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "reading_progress")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Reader.
    #[sea_orm(indexed)]
    pub user_id: Uuid,
    /// Book.
    #[sea_orm(indexed)]
    pub book_id: Uuid,
    /// Chapter, from 1.
    pub current_chapter: i32,
    /// Page, from 1.
    pub current_page: i32,
    /// Place in the chapter, in characters.
    pub current_position: i32,
    /// Time spent so far, in minutes.
    pub reading_time_minutes: i32,
    /// Speed, in words a minute.
    pub reading_speed_wpm: f64,
    /// When the reader began.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// When the reader was last here.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub last_read_at: DateTimeWithTimeZone,
    /// Exact place as an EPUB CFI; none for other formats and old rows.
    #[sea_orm(
        column_type = "String(StringLen::N(500))",
        nullable,
        comment = "EPUB CFI for exact position tracking in epub.js"
    )]
    pub reading_location_cfi: Option<String>,
    /// Scroll offset within the page, 0 to 100.
    #[sea_orm(
        default_expr = "Expr::cust(\"0.0\")",
        comment = "Scroll offset within page (0-100%) for pixel-perfect positioning"
    )]
    pub scroll_offset_percent: f64,
    /// Reader.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
    /// Book.
    #[sea_orm(belongs_to, from = "book_id", to = "id")]
    pub book: BelongsTo<super::book::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
