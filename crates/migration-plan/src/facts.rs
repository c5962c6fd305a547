//! The history in the catalog's terms: which known migrations are applied, since when and in which order.

use crate::{Catalog, History, MigrationName};

/// The history laid over the catalog.
pub(crate) struct Facts<'a> {
    /// When each known migration was applied, in seconds since 1970-01-01 UTC.
    applied_at: Vec<Option<i64>>,
    /// Per service of the catalog, what is applied and not known, by time.
    unknown: Vec<Vec<&'a MigrationName>>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(catalog: &Catalog, history: &'a History) -> Self {
        let mut applied_at = vec![None; catalog.n_migrations()];
        let mut unknown = vec![Vec::new(); catalog.n_services()];
        for (service, unknown) in unknown.iter_mut().enumerate() {
            for applied in history.applied(catalog.service_name(service)) {
                match catalog.number_in(service, &applied.name) {
                    Some(migration) => applied_at[migration] = Some(applied.applied_at),
                    None => unknown.push(&applied.name),
                }
            }
        }
        Self { applied_at, unknown }
    }

    pub(crate) fn is_applied(&self, migration: usize) -> bool {
        self.applied_at[migration].is_some()
    }

    pub(crate) fn applied_at(&self, migration: usize) -> Option<i64> {
        self.applied_at[migration]
    }

    pub(crate) fn unknown(&self, service: usize) -> &[&'a MigrationName] {
        &self.unknown[service]
    }

    /// The known migrations that are applied, in the order in which that happened.
    ///
    /// Version tables count whole seconds of clocks that differ. So a migration counts as applied no earlier than what
    /// it requires, and where seconds are equal the catalog's order decides: no order of these times can put a
    /// migration before its requirement.
    pub(crate) fn in_order_of_application(&self, catalog: &Catalog) -> Vec<usize> {
        let mut since = self.applied_at.clone();
        let mut applied = Vec::new();
        for &migration in catalog.numbers_in_order() {
            if let Some(own) = self.applied_at[migration] {
                let required =
                    catalog.requires(migration).iter().filter_map(|&requirement| since[requirement]);
                since[migration] = required.chain([own]).max();
                applied.push(migration);
            }
        }
        // Stable: those of one second stay in the catalog's order.
        applied.sort_by_key(|&migration| since[migration]);
        applied
    }
}
