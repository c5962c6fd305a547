//! `user_knowledge`: what is known of a user, one row each.
//!
//! Key and times are the server's: leave them unset. A trigger sets `updated_at` on every update, whatever was given.

use sea_orm::entity::prelude::*;

/// What is known of one user.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "user_knowledge")]
pub struct Model {
    /// Key, drawn by the server.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// The user's id, as the application knows it.
    #[sea_orm(unique, column_type = "String(StringLen::N(50))")]
    pub user_id: String,
    /// The user's name.
    #[sea_orm(column_type = "String(StringLen::N(100))")]
    pub name: String,
    /// The user's personality, in prose.
    #[sea_orm(column_type = "Text", nullable)]
    pub personality: Option<String>,
    /// Where the user comes from, in prose.
    #[sea_orm(column_type = "Text", nullable)]
    pub background: Option<String>,
    /// What the user knows about: an array of strings.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub expertise: Option<Json>,
    /// How the user speaks, in prose.
    #[sea_orm(column_type = "Text", nullable)]
    pub communication_style: Option<String>,
    /// What the user likes: an object.
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub preferences: Option<Json>,
    /// The JSON file that this was read from.
    #[sea_orm(column_type = "String(StringLen::N(255))", nullable)]
    pub file_path: Option<String>,
    /// When the row was made, by the server's clock in the session's time zone.
    #[sea_orm(default_expr = "Expr::current_timestamp()", nullable)]
    pub created_at: Option<DateTime>,
    /// When the row was last updated, by the same clock.
    #[sea_orm(default_expr = "Expr::current_timestamp()", nullable)]
    pub updated_at: Option<DateTime>,
}

/// A row stands alone: the user is known to other services by the same text, not by a foreign key.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Entity {
    /// Finds what is known of a user.
    #[must_use]
    pub fn find_by_user_id(user_id: &str) -> Select<Self> {
        Self::find().filter(Column::UserId.eq(user_id))
    }
}
