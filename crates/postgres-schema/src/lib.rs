//! Reads a PostgreSQL schema into a value, compares two such values object by object, and renders both as text.
//!
//! It reads the server's catalogs in one statement of a read-only transaction and writes nothing. Own names are written without
//! their schema, so that schemas of different names can be compared. It knows neither migrations nor their bookkeeping: what
//! is not to be compared is left out with [`Schema::retain`].
//!
//! Not read: rows, statistics, storage parameters of single columns, and what belongs to no schema (roles, settings,
//! extensions). Members of extensions are left out.

mod compare;
mod constants;
mod meaning;
mod read;
mod repair;
mod schema;

pub use compare::{Change, Difference, PropertyChange};
pub use read::SchemaError;
pub use repair::Repair;
pub use schema::{Kind, Object, Properties, Schema};

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
