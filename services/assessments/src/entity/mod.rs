//! The tables as the application sees them once every migration is applied.
//!
//! Migrations do not use them: a migration says what the tables were like in its time.

use migration_kit::EntityTable;

pub mod assessment;
pub mod competency;
pub mod competency_assessment;
pub mod direction;
pub mod direction_competency;
pub mod direction_technology;
pub mod question;
pub mod question_history;
pub mod role;
pub mod technology;
pub mod technology_competency;
pub mod user;
pub mod user_role;

/// All of them, for comparing them with the tables.
#[must_use]
pub fn all() -> [EntityTable; 13] {
    [
        EntityTable::of(assessment::Entity),
        EntityTable::of(competency::Entity),
        EntityTable::of(competency_assessment::Entity),
        EntityTable::of(direction::Entity),
        EntityTable::of(direction_competency::Entity),
        EntityTable::of(direction_technology::Entity),
        EntityTable::of(question::Entity),
        EntityTable::of(question_history::Entity),
        EntityTable::of(role::Entity),
        EntityTable::of(technology::Entity),
        EntityTable::of(technology_competency::Entity),
        EntityTable::of(user::Entity),
        EntityTable::of(user_role::Entity),
    ]
}
