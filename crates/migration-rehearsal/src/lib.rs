//! Runs all migrations aside, on a PostgreSQL server made for it, and reports what that server saw: the statements of each
//! migration, the table locks it takes, and the schema that results.
//!
//! From this it makes two files per service, writes them and checks them: `migrations.lock`, which the service compiles in,
//! and `schema.sql`, which is for reviewers. It connects to no database but its own, prints nothing, and reads neither
//! arguments nor the environment.

mod adopt;
mod check;
mod description;
mod diff;
mod drift;
mod dump;
mod entities;
mod error;
mod facts;
mod files;
mod generate;
mod hazards;
mod plain;
mod rows;
mod sandbox;
mod script;
mod sent;
mod sql;
mod statement;
mod trace;

pub use adopt::{Alike, claimed, newest_alike};
pub use check::{Check, Checked, Finding, Ground, Outcome, check, round_trips};
pub use diff::{
    Choices, ColumnName, EntityChange, EntityDiff, EntityDifference, ForeignKey, NewColumn, Retyping, diff,
};
pub use drift::{Drift, Renamed, drift};
pub use dump::dump_schema;
pub use entities::differing_entities;
pub use error::RehearsalError;
pub use facts::{Column, Facts, Shape, StatementFacts};
pub use files::Stale;
pub use generate::{Artifacts, artifacts};
pub use hazards::{Hazard, Rules};
pub use plain::{Base, CheckedFile, SqlFile, check_files};
pub use postgres_schema::{Change, Difference, Kind, Object, Repair};
pub use sandbox::{Rehearsal, rehearse};
pub use script::{Script, ScriptStep};
pub use sent::{Piece, Sent};
pub use sql::{Before, Placing, Scripts, scripts};
pub use trace::Traced;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
