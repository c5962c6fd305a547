//! Users: accounts, with which everything else begins.

use sea_orm::entity::prelude::*;

/// One account.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Address, unique; the name to sign in with.
    #[sea_orm(unique, column_type = "String(StringLen::N(255))")]
    pub email: String,
    /// Hash of the password, never the password.
    #[sea_orm(column_type = "String(StringLen::N(255))")]
    pub password_hash: String,
    /// Name as shown.
    #[sea_orm(column_type = "String(StringLen::N(255))", nullable)]
    pub full_name: Option<String>,
    /// Whether the account may sign in.
    pub is_active: bool,
    /// Whether the address was confirmed.
    pub is_verified: bool,
    /// Whether the account may administer.
    pub is_admin: bool,
    /// When the account was made.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the account was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// When the account last signed in.
    pub last_login: Option<DateTimeWithTimeZone>,
    /// Books of the account.
    #[sea_orm(has_many)]
    pub books: HasMany<super::book::Entity>,
    /// Subscriptions, the present one and those before.
    #[sea_orm(has_many)]
    pub subscriptions: HasMany<super::subscription::Entity>,
    /// Where the account is in its books.
    #[sea_orm(has_many)]
    pub reading_progress: HasMany<super::reading_progress::Entity>,
    /// Pictures made for the account.
    #[sea_orm(has_many)]
    pub generated_images: HasMany<super::generated_image::Entity>,
    /// Preferences of the reader.
    #[sea_orm(has_one)]
    pub preferences: HasOne<super::user_preference::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
