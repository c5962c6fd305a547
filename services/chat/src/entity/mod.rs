//! The tables as the application sees them, and the queries that their indexes serve.
//!
//! A [`Dialogue`] offers what a conversation needs, the [`dashboard`] what an overview needs. Both see active messages
//! only; [`messages::Entity::find_with_deleted`] is the one way to the others. Nothing here opens a connection.

pub mod dashboard;
pub mod dialogue;
pub mod messages;
pub mod prelude;

pub use dialogue::{Dialogue, Role};
