//! The tables as the application sees them when all migrations are applied.
//!
//! Responsible for columns and their types, and for the links between tables. Deliberately not the source of the schema:
//! that is what the migrations produce; a test reads every table through its entity.
//!
//! The links to `course` take the two columns of its key, `course_id` and `account_id`. They are not spelled out as relations
//! here: a query that needs one joins by both.

use migration_kit::EntityTable;

pub mod account;
pub mod account_member;
pub mod bannedparticipants;
pub mod bot;
pub mod conversation;
pub mod course;
pub mod course_deployment;
pub mod course_element;
pub mod courseparticipants;
pub mod enrollment_token;
pub mod gen_settings;
pub mod run;
pub mod waiting_element;

/// All of them, for comparing them with the tables.
#[must_use]
pub fn all() -> [EntityTable; 13] {
    [
        EntityTable::of(account::Entity),
        EntityTable::of(account_member::Entity),
        EntityTable::of(bannedparticipants::Entity),
        EntityTable::of(bot::Entity),
        EntityTable::of(conversation::Entity),
        EntityTable::of(course::Entity),
        EntityTable::of(course_deployment::Entity),
        EntityTable::of(course_element::Entity),
        EntityTable::of(courseparticipants::Entity),
        EntityTable::of(enrollment_token::Entity),
        EntityTable::of(gen_settings::Entity),
        EntityTable::of(run::Entity),
        EntityTable::of(waiting_element::Entity),
    ]
}
