//! Descriptions: passages that a picture can be made from.

use sea_orm::entity::prelude::*;

use super::DescriptionType;

/// One passage of one chapter.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "descriptions")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Chapter.
    #[sea_orm(indexed)]
    pub chapter_id: Uuid,
    /// What the passage describes.
    #[sea_orm(indexed)]
    pub r#type: DescriptionType,
    /// The passage.
    #[sea_orm(column_type = "Text")]
    pub content: String,
    /// Text around it.
    #[sea_orm(column_type = "Text", nullable)]
    pub context: Option<String>,
    /// How sure the search is, 0 to 1.
    pub confidence_score: f64,
    /// Where the passage begins, in characters.
    pub position_in_chapter: i32,
    /// Words in the passage.
    pub word_count: i32,
    /// Whether a picture can be made from it.
    pub is_suitable_for_generation: bool,
    /// Which to draw first: the higher one.
    pub priority_score: f64,
    /// Persons and places named in it.
    #[sea_orm(column_type = "Text", nullable)]
    pub entities_mentioned: Option<String>,
    /// Tone.
    #[sea_orm(column_type = "String(StringLen::N(50))", nullable)]
    pub emotional_tone: Option<String>,
    /// How hard it is to draw.
    #[sea_orm(column_type = "String(StringLen::N(20))", nullable)]
    pub complexity_level: Option<String>,
    /// Whether a picture exists.
    pub image_generated: bool,
    /// Whether a picture was asked for.
    pub generation_requested: bool,
    /// When the row was made.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// Chapter.
    #[sea_orm(belongs_to, from = "chapter_id", to = "id")]
    pub chapter: BelongsTo<super::chapter::Entity>,
    /// Pictures made from it.
    #[sea_orm(has_many)]
    pub generated_images: HasMany<super::generated_image::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
