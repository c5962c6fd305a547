//! The tables as the application sees them when all migrations are applied.
//!
//! Responsible for columns and their types, and for the links between tables. Deliberately not the source of the schema:
//! that is what the migrations produce; a test reads every table through its entity.
//!
//! The composite links to `course` (`course_id`, `account_id`) are not relations here: the key that sea-orm knows of
//! `course` is the primary key.

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
