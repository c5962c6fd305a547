//! Names, targets, the dependency graph and the plan of the migrations of several services.
//!
//! Everything here is pure: it decides and never does. It depends on no database, no async runtime and no command
//! line, so that planning can neither fail for lack of a server nor change anything.

mod known;
mod names;

pub use known::{KnownMigration, KnownService, Phase};
pub use names::{MigrationId, MigrationName, NameError, ServiceName};
