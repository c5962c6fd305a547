//! What is recorded of a service at one moment, as manifests have it.

use migration_coordinator::{Deployment, ServiceFacts};

/// What is applied of a service, and what was begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// All applied migrations, in the order in which the version table has them.
    pub(crate) migrations: Vec<String>,
    /// The last of the list that is applied.
    pub(crate) newest: Option<String>,
    /// Migrations that were begun and not finished.
    pub(crate) unfinished: Vec<String>,
}

impl Recorded {
    pub(crate) fn of(deployment: &Deployment, facts: &ServiceFacts) -> Self {
        let migrations: Vec<String> = facts.applied.iter().map(|row| row.name.to_string()).collect();
        let mut unfinished: Vec<String> = facts
            .journal
            .iter()
            .filter(|(name, journal)| journal.begun && !migrations.contains(&name.to_string()))
            .map(|(name, _)| name.to_string())
            .collect();
        unfinished.sort();
        let known = deployment.catalog().service(&facts.service).map_or(&[][..], |known| &known.migrations);
        let newest = known.iter().rev().find(|known| migrations.contains(&known.name.to_string()));
        let newest = newest.map(|known| known.name.to_string()).or_else(|| migrations.last().cloned());
        Self { migrations, newest, unfinished }
    }
}
