//! Generated images: pictures made from descriptions.

use sea_orm::entity::prelude::*;

/// One picture, or one try to make it.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "generated_images")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Passage that it shows.
    #[sea_orm(indexed)]
    pub description_id: Uuid,
    /// Who asked for it.
    #[sea_orm(indexed)]
    pub user_id: Uuid,
    /// Service that draws.
    #[sea_orm(indexed, column_type = "String(StringLen::N(50))")]
    pub service_used: String,
    /// `pending`, `generating`, `completed` or `failed`.
    #[sea_orm(indexed, column_type = "String(StringLen::N(20))")]
    pub status: String,
    /// Where the service keeps the picture.
    #[sea_orm(column_type = "String(StringLen::N(2000))", nullable)]
    pub image_url: Option<String>,
    /// Where our copy lies.
    #[sea_orm(column_type = "String(StringLen::N(1000))", nullable)]
    pub local_path: Option<String>,
    /// What the service was told.
    #[sea_orm(column_type = "Text")]
    pub prompt_used: String,
    /// Parameters of the request.
    #[sea_orm(column_type = "Json", nullable)]
    pub generation_parameters: Option<Json>,
    /// Time that drawing took, in seconds.
    pub generation_time_seconds: Option<f64>,
    /// Size in bytes.
    pub file_size: Option<i32>,
    /// Width in pixels.
    pub image_width: Option<i32>,
    /// Height in pixels.
    pub image_height: Option<i32>,
    /// `png`, `jpg` or `webp`.
    #[sea_orm(column_type = "String(StringLen::N(10))", nullable)]
    pub file_format: Option<String>,
    /// Quality, 0 to 1.
    pub quality_score: Option<f64>,
    /// Whether moderation looked at it.
    pub is_moderated: bool,
    /// What moderation answered.
    #[sea_orm(column_type = "Json", nullable)]
    pub moderation_result: Option<Json>,
    /// What a moderator wrote.
    #[sea_orm(column_type = "Text", nullable)]
    pub moderation_notes: Option<String>,
    /// How often it was seen.
    pub view_count: i32,
    /// How often it was downloaded.
    pub download_count: i32,
    /// Why drawing failed.
    #[sea_orm(column_type = "Text", nullable)]
    pub error_message: Option<String>,
    /// How often drawing was tried again.
    pub retry_count: i32,
    /// When it was asked for.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// When it was ready.
    pub generated_at: Option<DateTimeWithTimeZone>,
    /// Passage that it shows.
    #[sea_orm(belongs_to, from = "description_id", to = "id")]
    pub description: BelongsTo<super::description::Entity>,
    /// Who asked for it.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
