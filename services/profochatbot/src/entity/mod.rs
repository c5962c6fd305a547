//! The tables as the application sees them when all migrations are applied.
//!
//! Responsible for columns and their types, and for the links between tables. Deliberately not the source of the schema:
//! that is what the migrations produce; a test reads every table through its entity.
//!
//! The links to `course` take the two columns of its key, `course_id` and `account_id`. They are not spelled out as relations
//! here: a query that needs one joins by both.

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
