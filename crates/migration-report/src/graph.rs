//! The migrations of all services and what they require.

use migration_plan::{Catalog, Phase};
use serde::Serialize;

use crate::text;

/// The graph of all migrations.
#[derive(Debug, Clone, Serialize)]
pub struct Graph {
    /// The services, in the program's order.
    pub services: Vec<GraphService>,
    /// What migrations require of others.
    pub requirements: Vec<GraphRequirement>,
}

/// A service and its migrations in order.
#[derive(Debug, Clone, Serialize)]
pub struct GraphService {
    /// The service.
    pub name: String,
    /// Its migrations, in the order of the list.
    pub migrations: Vec<GraphMigration>,
}

/// One migration.
#[derive(Debug, Clone, Serialize)]
pub struct GraphMigration {
    /// Its name.
    pub name: String,
    /// Expand or contract.
    #[serde(serialize_with = "text::shown")]
    pub phase: Phase,
    /// Whether it runs in one transaction.
    pub transactional: bool,
}

/// A migration that needs another one first.
#[derive(Debug, Clone, Serialize)]
pub struct GraphRequirement {
    /// The migration, as `service:migration`.
    pub migration: String,
    /// What it requires, as `service:migration`.
    pub requires: String,
}

impl Graph {
    /// The graph of a catalog.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        let services = catalog.services().map(|service| GraphService {
            name: service.name.to_string(),
            migrations: service
                .migrations
                .iter()
                .map(|migration| GraphMigration {
                    name: migration.name.to_string(),
                    phase: migration.phase,
                    transactional: migration.transactional,
                })
                .collect(),
        });
        let requirements = catalog.requirements().map(|requirement| GraphRequirement {
            migration: requirement.dependent.to_string(),
            requires: requirement.required.to_string(),
        });
        Self { services: services.collect(), requirements: requirements.collect() }
    }
}
