//! What the version tables say, read at one moment. How they are read is the coordinator's part.

use std::collections::BTreeMap;

use crate::{Catalog, MigrationId, MigrationName, ServiceName};

/// One row of a version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppliedMigration {
    /// Name as it stands in the table: not necessarily one that is known here.
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
        Self { services: services.collect() }
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

    /// Whether the migration stands in its service's version table.
    #[must_use]
    pub fn is_applied(&self, id: &MigrationId) -> bool {
        self.applied(&id.service).iter().any(|applied| applied.name == id.name)
    }

    /// The services that were read, by name.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }
}
