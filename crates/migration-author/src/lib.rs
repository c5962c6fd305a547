//! Writes source: the file of a new migration and its place in the service's `migrations! {}`; the package of a new service and
//! its place in its workspace; and what else has to change with it.
//!
//! It decides first: a [`Draft`] is the list of files as they will be, and is made without writing anything. Then all of them
//! are written, or none. Code is parsed, and text is put in at a place that the parser names, so that comments and layout stay;
//! the result is parsed again. It connects to no database, prints nothing, and reads neither arguments nor the environment.

mod code;
mod draft;
mod error;
mod lines;
mod list;
mod manifest;
mod migration;
mod name;
mod package;
mod readme;
mod reserved;
mod service;
mod step;
mod template;
mod written;

pub use draft::Draft;
pub use error::AuthorError;
pub use migration::{Body, NewMigration};
pub use service::NewService;
pub use step::{Column, Form, Key, Step};

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
