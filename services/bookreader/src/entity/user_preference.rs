//! User preferences: how a user wants the reader to look and to behave.

use sea_orm::entity::prelude::*;

/// Preferences of one user; at most one row a user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "user_preferences")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// User, unique.
    #[sea_orm(unique)]
    pub user_id: Uuid,
    /// Theme of the reader.
    #[sea_orm(column_type = "String(StringLen::N(20))", default_expr = "Expr::cust(\"'light'\")")]
    pub theme: String,
    /// Language of the surface, as a short code.
    #[sea_orm(column_type = "String(StringLen::N(10))", default_expr = "Expr::cust(\"'ru'\")")]
    pub language: String,
    /// Whether notifications are sent.
    #[sea_orm(default_expr = "Expr::cust(\"true\")")]
    pub notifications_enabled: bool,
    /// When the row was made.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: Option<DateTimeWithTimeZone>,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: Option<DateTimeWithTimeZone>,
    /// User.
    #[sea_orm(belongs_to, from = "user_id", to = "id", on_delete = "Cascade")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
