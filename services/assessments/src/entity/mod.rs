//! The tables as the application sees them once every migration is applied.
//!
//! Migrations do not use them: a migration says what the tables were like in its time.

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
