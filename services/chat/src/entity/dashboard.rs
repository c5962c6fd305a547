//! What the dashboard asks: figures over the active messages since a moment.
//!
//! Each function returns a statement and does not run it. A moment is in the time zone that `created_at` was written
//! in, which is UTC for the service's sessions.

use sea_orm::sea_query::{Expr, Func};
use sea_orm::{
    ColumnTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, Select, SelectModel, Selector,
    prelude::{Date, DateTime},
};

use super::messages::{Column, Entity};

/// Figures of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct Totals {
    /// Messages.
    pub n_messages: i64,
    /// Users who wrote or were answered.
    pub n_users: i64,
}

/// Messages of one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct DayCount {
    /// The day.
    pub day: Date,
    /// Messages of that day.
    pub n_messages: i64,
}

/// One row: the figures since `since`.
#[must_use]
pub fn totals(since: DateTime) -> Selector<SelectModel<Totals>> {
    since_moment(since)
        .select_only()
        .column_as(Column::Id.count(), "n_messages")
        .column_as(Expr::from(Func::count_distinct(Expr::col(Column::UserId))), "n_users")
        .into_model()
}

/// A row a day that has messages, the earliest day first.
#[must_use]
pub fn per_day(since: DateTime) -> Selector<SelectModel<DayCount>> {
    let day = Expr::from(Func::cust("date").arg(Expr::col(Column::CreatedAt)));
    since_moment(since)
        .select_only()
        .column_as(day.clone(), "day")
        .column_as(Column::Id.count(), "n_messages")
        .group_by(day.clone())
        .order_by_asc(day)
        .into_model()
}

fn since_moment(since: DateTime) -> Select<Entity> {
    Entity::find().filter(Column::CreatedAt.gte(since))
}
