//! The history in the catalog's terms: which known migrations are applied, since when and in which order, and which
//! were begun and not finished.

use std::collections::HashSet;

use crate::{Catalog, Direction, History, MigrationName};

/// The history laid over the catalog.
pub(crate) struct Facts<'a> {
    /// When each known migration was applied, in seconds since 1970-01-01 UTC.
    applied_at: Vec<Option<i64>>,
    /// In which direction each known migration was begun and not finished. Invariant: none that is applied.
    begun: Vec<Option<Direction>>,
    /// Per service of the catalog, what is applied and not known, by time.
    unknown: Vec<Vec<&'a MigrationName>>,
    /// Per service of the catalog, what was begun and not finished and is not known, by name.
    unknown_begun: Vec<Vec<&'a MigrationName>>,
    /// Per service of the catalog, what is in the version table more than once, by time.
    doubled: Vec<Vec<&'a MigrationName>>,
    /// Per service of the catalog, whether it is installed for the first time.
    first_install: Vec<bool>,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(catalog: &Catalog, history: &'a History) -> Self {
        let none = || vec![Vec::new(); catalog.n_services()];
        let mut facts = Self {
            applied_at: vec![None; catalog.n_migrations()],
            begun: vec![None; catalog.n_migrations()],
            unknown: none(),
            unknown_begun: none(),
            doubled: none(),
            first_install: vec![false; catalog.n_services()],
        };
        for service in 0..catalog.n_services() {
            let name = catalog.service_name(service);
            facts.first_install[service] = history.is_first_install(name);
            let mut unknown = HashSet::new();
            // Mostly in the order of the list: then the next one is found without looking it up.
            let mut next = catalog.numbers_of(service).start;
            for applied in history.applied(name) {
                match catalog.number_expected(service, next, &applied.name) {
                    Some(migration) if facts.applied_at[migration].is_none() => {
                        facts.applied_at[migration] = Some(applied.applied_at);
                        next = migration + 1;
                    }
                    None if unknown.insert(&applied.name) => facts.unknown[service].push(&applied.name),
                    Some(_) | None => facts.doubled[service].push(&applied.name),
                }
            }
            for (begun, direction) in history.begun(name) {
                match catalog.number_in(service, begun) {
                    Some(migration) => facts.begun[migration] = Some(direction),
                    None => facts.unknown_begun[service].push(begun),
                }
            }
        }
        facts
    }

    pub(crate) fn is_applied(&self, migration: usize) -> bool {
        self.applied_at[migration].is_some()
    }

    pub(crate) fn applied_at(&self, migration: usize) -> Option<i64> {
        self.applied_at[migration]
    }

    /// In which direction it was begun and not finished, if it was.
    pub(crate) fn begun(&self, migration: usize) -> Option<Direction> {
        self.begun[migration]
    }

    /// Whether the database holds all or something of it.
    pub(crate) fn is_present(&self, migration: usize) -> bool {
        self.is_applied(migration) || self.begun[migration].is_some()
    }

    pub(crate) fn is_first_install(&self, service: usize) -> bool {
        self.first_install[service]
    }

    pub(crate) fn unknown(&self, service: usize) -> &[&'a MigrationName] {
        &self.unknown[service]
    }

    pub(crate) fn unknown_begun(&self, service: usize) -> &[&'a MigrationName] {
        &self.unknown_begun[service]
    }

    pub(crate) fn doubled(&self, service: usize) -> &[&'a MigrationName] {
        &self.doubled[service]
    }

    /// The known migrations that are applied or begun, in the order in which that happened: what was begun comes last.
    ///
    /// Version tables count whole seconds of clocks that differ. So a migration counts as applied no earlier than what
    /// it requires, and where seconds are equal the catalog's order decides: no order of these times can put a
    /// migration before its requirement.
    pub(crate) fn in_order_of_application(&self, catalog: &Catalog) -> Vec<usize> {
        let mut since = vec![None; catalog.n_migrations()];
        let mut present = Vec::new();
        for &migration in catalog.numbers_in_order() {
            if self.is_present(migration) {
                let own = (self.begun[migration].is_some(), self.applied_at[migration]);
                let required =
                    catalog.requires(migration).iter().filter_map(|&requirement| since[requirement]);
                since[migration] = required.chain([own]).max();
                present.push(migration);
            }
        }
        // Stable: those of one second stay in the catalog's order.
        present.sort_by_key(|&migration| since[migration]);
        present
    }
}
