//! What the running program knows: the services and their migrations, before anything is read from a database.

use std::fmt;
use std::time::Duration;

use crate::{MigrationId, MigrationName, ServiceName};

/// Whether a migration is compatible with the application that runs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Compatible with the running application: applied by every `up`.
    Expand,
    /// Removes what old application code may still read: held back until it is asked for and its soak time has passed.
    Contract {
        /// Time that must have passed since the service's earlier expand migrations were applied.
        soak: Duration,
    },
}

impl Phase {
    /// The phase as text: `expand` or `contract`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract { .. } => "contract",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One migration of a service, as far as planning needs to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownMigration {
    /// Name, unique within the service.
    pub name: MigrationName,
    /// Expand or contract.
    pub phase: Phase,
    /// Whether it runs inside one transaction.
    pub transactional: bool,
    /// Why it cannot be reverted, if it cannot.
    pub irreversible: Option<String>,
    /// Ids of the predecessors in an earlier tool that it replaces, such as Alembic revisions: it can be selected by
    /// them too.
    pub replaces: Vec<String>,
    /// What applying it loses for good, if anything: it then asks for consent.
    pub loses: Option<String>,
    /// Migrations of other services that must be applied before; or an earlier contract step of the same service, for
    /// which a later expand step does not wait otherwise.
    pub requires: Vec<MigrationId>,
}

/// A service and its migrations in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownService {
    /// Name, unique within the program.
    pub name: ServiceName,
    /// Migrations in the order in which they are applied.
    pub migrations: Vec<KnownMigration>,
}
