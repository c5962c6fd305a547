//! What version tables and journals say, read at one moment. How they are read is the coordinator's part.
//!
//! A migration is pending, applied, or begun and not finished: the last is a state of its own, because something of the
//! migration is there and something is missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Catalog, Direction, MigrationId, MigrationName, ServiceName};

/// One row of a version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Name as the table has it: not necessarily one that is known here.
    pub name: MigrationName,
    /// When it was applied, in seconds since 1970-01-01 UTC: the version table's own unit.
    pub applied_at: i64,
}

/// The version tables of the services that were read.
///
/// A service whose table was not read is not the same as one that has no table: nothing is planned for the former.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct History {
    // Invariant: rows are sorted by time, then name; `None` stands for a service without a version table.
    services: BTreeMap<ServiceName, Option<Vec<AppliedMigration>>>,
    /// What was begun and not finished, as far as the version tables do not say otherwise.
    begun: BTreeMap<ServiceName, BTreeMap<MigrationName, Direction>>,
    first_installs: BTreeSet<ServiceName>,
}

impl History {
    /// A history of which nothing was read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The history of a database in which no service of the catalog has a version table.
    #[must_use]
    pub fn empty_of(catalog: &Catalog) -> Self {
        let services = catalog.services().map(|service| (service.name.clone(), None));
        Self { services: services.collect(), begun: BTreeMap::new(), first_installs: BTreeSet::new() }
    }

    /// Records the rows of a service's version table, in any order.
    pub fn record(&mut self, service: ServiceName, mut applied: Vec<AppliedMigration>) {
        applied.sort_by(|a, b| (a.applied_at, &a.name).cmp(&(b.applied_at, &b.name)));
        self.services.insert(service, Some(applied));
    }

    /// Records that a service has no version table.
    pub fn record_absent(&mut self, service: ServiceName) {
        self.services.insert(service, None);
    }

    /// Records that a migration was begun and not finished, and in which direction last.
    ///
    /// A row in the version table outweighs it: another tool then finished the migration.
    pub fn record_begun(&mut self, id: MigrationId, direction: Direction) {
        self.begun.entry(id.service).or_default().insert(id.name, direction);
    }

    /// Records that a service is installed for the first time: it was empty when its first run began, and no run has
    /// ended since. There is no old code, and there are no rows of it.
    pub fn record_first_install(&mut self, service: ServiceName) {
        self.first_installs.insert(service);
    }

    /// Whether the service is installed for the first time.
    #[must_use]
    pub fn is_first_install(&self, service: &ServiceName) -> bool {
        self.first_installs.contains(service)
    }

    /// Whether it is known what the service's version table holds, or that there is none.
    #[must_use]
    pub fn was_read(&self, service: &ServiceName) -> bool {
        self.services.contains_key(service)
    }

    /// Whether the service was read and has a version table.
    #[must_use]
    pub fn has_table(&self, service: &ServiceName) -> bool {
        matches!(self.services.get(service), Some(Some(_)))
    }

    /// The rows of a service's version table by time, then name; none if it has no table or was not read.
    #[must_use]
    pub fn applied(&self, service: &ServiceName) -> &[AppliedMigration] {
        self.services.get(service).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Whether the migration is in its service's version table.
    #[must_use]
    pub fn is_applied(&self, id: &MigrationId) -> bool {
        self.applied(&id.service).iter().any(|applied| applied.name == id.name)
    }

    /// The migrations of a service that were begun and not finished, by name, each with its last direction.
    pub fn begun(&self, service: &ServiceName) -> impl Iterator<Item = (&MigrationName, Direction)> {
        let begun = self.begun.get(service).filter(|_| self.was_read(service));
        let applied: std::collections::HashSet<&MigrationName> = if begun.is_some() {
            self.applied(service).iter().map(|row| &row.name).collect()
        } else {
            Default::default()
        };
        let begun = begun.into_iter().flatten().map(|(name, direction)| (name, *direction));
        begun.filter(move |(name, _)| !applied.contains(name))
    }

    /// The services that were read, by name.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }
}
