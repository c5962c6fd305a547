//! The entity by the name of its table.

pub use super::user_knowledge::Entity as UserKnowledge;
