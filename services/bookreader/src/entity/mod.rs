//! The tables as the application sees them when every migration is applied.
//!
//! They say what an entity can say: columns with types, nullability and defaults, keys and relations. Names of
//! constraints, partial and full-text indexes and storage settings stand in the migrations alone.

use migration_kit::EntityTable;

mod kind;

pub mod book;
pub mod chapter;
pub mod description;
pub mod generated_image;
pub mod reading_progress;
pub mod subscription;
pub mod user;
pub mod user_preference;

pub use kind::{DescriptionType, SubscriptionPlan, SubscriptionStatus};

/// All of them, for comparing them with the tables.
#[must_use]
pub fn all() -> [EntityTable; 8] {
    [
        EntityTable::of(book::Entity),
        EntityTable::of(chapter::Entity),
        EntityTable::of(description::Entity),
        EntityTable::of(generated_image::Entity),
        EntityTable::of(reading_progress::Entity),
        EntityTable::of(subscription::Entity),
        EntityTable::of(user::Entity),
        EntityTable::of(user_preference::Entity),
    ]
}
