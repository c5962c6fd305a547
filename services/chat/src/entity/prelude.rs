//! The entities by the names of their tables.

pub use super::messages::Entity as Messages;
