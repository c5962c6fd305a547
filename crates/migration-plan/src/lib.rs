//! Names, targets, the dependency graph and the plan of the migrations of several services.
//!
//! Everything here is pure: it decides and never does. It depends on no database, no async runtime and no command
//! line, so that planning can neither fail for lack of a server nor change anything.
//!
//! [`Catalog`] is what the program knows, [`History`] what the version tables say, [`Selection`] what the user asked
//! for; from these [`Plan::apply`], [`Plan::revert`] and [`Plan::redo`] decide, and [`status`] and [`integrity`]
//! describe.

mod apply;
mod catalog;
mod error;
mod facts;
mod few;
mod hint;
mod hints;
mod history;
mod holds;
mod integrity;
mod known;
mod list;
mod names;
mod order;
mod plan;
mod renamed;
mod resolve;
mod revert;
mod status;
mod target;
mod utc;

pub use apply::{ApplyOptions, ContractSteps, UnknownApplied};
pub use catalog::{Catalog, CatalogError, Requirement, RequirementPlace};
pub use error::PlanError;
pub use few::{and_more, counted, few_lines, few_sentences, few_words};
pub use hint::{Hint, Offer};
pub use history::{AppliedMigration, History};
pub use integrity::{IntegrityError, integrity};
pub use known::{KnownMigration, KnownService, Phase};
pub use list::MigrationList;
pub use names::{MigrationId, MigrationName, MigrationNumber, NameError, ServiceName};
pub use plan::{Direction, HeldBack, HoldReason, Plan, Redo, Step};
pub use resolve::nearest;
pub use status::{ServiceState, ServiceStatus, status, statuses};
pub use target::{Selection, SelectionError, TargetPoint};
pub use utc::Utc;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
