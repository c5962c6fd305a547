//! Subscriptions: plans of users and what was used of them.

use sea_orm::entity::prelude::*;

use super::{SubscriptionPlan, SubscriptionStatus};

/// One subscription of one user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "subscriptions")]
pub struct Model {
    /// Key, made by the server unless given.
    #[sea_orm(primary_key, auto_increment = false, default_expr = "Expr::cust(\"gen_random_uuid()\")")]
    pub id: Uuid,
    /// Subscriber.
    #[sea_orm(indexed)]
    pub user_id: Uuid,
    /// Plan.
    pub plan: SubscriptionPlan,
    /// State.
    pub status: SubscriptionStatus,
    /// When it began.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub start_date: DateTimeWithTimeZone,
    /// When it ends; none for a free plan.
    pub end_date: Option<DateTimeWithTimeZone>,
    /// Whether it renews itself.
    pub auto_renewal: bool,
    /// Books uploaded so far.
    pub books_uploaded: i32,
    /// Pictures made since `last_reset_date`.
    pub images_generated_month: i32,
    /// When the monthly count was last reset.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub last_reset_date: DateTimeWithTimeZone,
    /// When the row was made.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub created_at: DateTimeWithTimeZone,
    /// When the row was last changed.
    #[sea_orm(default_expr = "Expr::cust(\"now()\")")]
    pub updated_at: DateTimeWithTimeZone,
    /// Subscriber.
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}
