//! The catalog: all services that the program knows, checked once, so that planning can trust them.
//!
//! It does not ask for sorted names: the order of a list is the order given. It does not check what lies outside of
//! it: a program that carries one service only meets requirements on services it does not know, and planning asks the
//! history about them (see [`RequirementPlace::Outside`]).

use std::collections::HashMap;

use crate::order::{Graph, OfSome};
use crate::{
    KnownMigration, KnownService, MigrationId, MigrationList, MigrationName, PlanError, ServiceName, resolve,
};

/// The services and migrations of the running program, and the one order in which they are applied.
///
/// Migrations are numbered through, service by service; the numbers are the crate's own and never leave it.
#[derive(Debug, Clone)]
pub struct Catalog {
    // Invariant: names are distinct and conventional, requirements known or outside, no cycles; checked in `new`.
    services: Vec<KnownService>,
    service_index: HashMap<ServiceName, usize>,
    /// Per service, its names.
    lists: Vec<MigrationList>,
    ids: Vec<MigrationId>,
    service_of: Vec<usize>,
    first_of: Vec<usize>,
    requires: OfSome<usize>,
    outside: OfSome<MigrationId>,
    required_by: OfSome<usize>,
    order: Vec<usize>,
}

/// A migration and one that must be applied before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Requirement<'a> {
    /// Migration that has the requirement.
    pub dependent: &'a MigrationId,
    /// Migration that must be applied before.
    pub required: &'a MigrationId,
    /// Whether the program knows the required migration.
    pub place: RequirementPlace,
}

/// Whether a required migration belongs to the catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequirementPlace {
    /// Known: planning pulls it in.
    Inside,
    /// Its service is not part of this program: planning asks the history whether it is applied, and refuses if it is
    /// not, or if that service's history was not read.
    Outside,
}

/// Why a list of services is not a catalog. Each is a mistake of those who wrote the services.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// Two services have one name.
    #[error("service `{service}` is listed twice")]
    DuplicateService {
        /// The name that is listed twice.
        service: ServiceName,
    },
    /// Two migrations of a service have one name.
    #[error("migration `{id}` is listed twice")]
    DuplicateMigration {
        /// The migration that is listed twice.
        id: MigrationId,
    },
    /// A migration requires one that its service does not have, although the service is known.
    #[error("migration `{id}` requires `{requirement}`, which does not exist")]
    UnknownRequirement {
        /// The migration that has the requirement.
        id: MigrationId,
        /// The requirement.
        requirement: MigrationId,
    },
    /// Migrations need each other, by requirements or by the order of their lists.
    #[error("migrations need each other: {}", arrows(.cycle))]
    Cycle {
        /// Each needs the next one, the last needs the first.
        cycle: Vec<MigrationId>,
    },
}

impl Catalog {
    /// Checks the services and finds the order of their migrations.
    ///
    /// The order of the services decides between migrations that do not depend on each other: the earlier service
    /// goes first. Within a service the order is that of its list.
    ///
    /// # Errors
    /// [`CatalogError`], the first one found.
    pub fn new(services: Vec<KnownService>) -> Result<Self, CatalogError> {
        let mut catalog = Self {
            services: Vec::new(),
            service_index: HashMap::new(),
            lists: Vec::new(),
            ids: Vec::new(),
            service_of: Vec::new(),
            first_of: vec![0],
            requires: OfSome::default(),
            outside: OfSome::default(),
            required_by: OfSome::default(),
            order: Vec::new(),
        };
        for service in services {
            catalog.number(service)?;
        }
        catalog.resolve_requirements()?;
        let graph = Graph {
            service_of: &catalog.service_of,
            first_of: &catalog.first_of,
            requires: &catalog.requires,
            required_by: &catalog.required_by,
        };
        catalog.order = graph.order().map_err(|cycle| CatalogError::Cycle {
            cycle: cycle.into_iter().map(|migration| catalog.ids[migration].clone()).collect(),
        })?;
        Ok(catalog)
    }

    /// The services in the order given.
    pub fn services(&self) -> impl Iterator<Item = &KnownService> {
        self.services.iter()
    }

    /// The service of this name, if the program knows it.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&KnownService> {
        self.service_index.get(name).map(|&service| &self.services[service])
    }

    /// The service that was named.
    ///
    /// # Errors
    /// [`PlanError::UnknownService`], with a service of a similar name if there is one.
    pub fn named(&self, name: &ServiceName) -> Result<&KnownService, PlanError> {
        resolve::service(self, name).map(|number| &self.services[number])
    }

    /// The migration of this name, if the program knows it.
    #[must_use]
    pub fn migration(&self, id: &MigrationId) -> Option<&KnownMigration> {
        self.number_of(id).map(|migration| self.known(migration))
    }

    /// All migrations in the order in which they are applied.
    pub fn order(&self) -> impl Iterator<Item = &MigrationId> {
        self.order.iter().map(|&migration| &self.ids[migration])
    }

    /// All requirements, service by service in the order of the lists; those inside come before those outside.
    pub fn requirements(&self) -> impl Iterator<Item = Requirement<'_>> {
        self.ids.iter().enumerate().flat_map(move |(migration, dependent)| {
            let inside = self.requires.of(migration).iter();
            let inside = inside.map(|&required| (&self.ids[required], RequirementPlace::Inside));
            let outside = self.outside.of(migration).iter();
            let outside = outside.map(|required| (required, RequirementPlace::Outside));
            inside.chain(outside).map(move |(required, place)| Requirement { dependent, required, place })
        })
    }

    /// The services that the program does not know and that its migrations require something of: their histories are
    /// worth reading too.
    #[must_use]
    pub fn outside_services(&self) -> Vec<&ServiceName> {
        let services: std::collections::BTreeSet<_> =
            self.outside.all().map(|required| &required.service).collect();
        services.into_iter().collect()
    }

    /// Number of the service in the order given.
    pub(crate) fn service_number(&self, name: &ServiceName) -> Option<usize> {
        self.service_index.get(name).copied()
    }

    /// Number of the migration.
    pub(crate) fn number_of(&self, id: &MigrationId) -> Option<usize> {
        self.number_in(self.service_number(&id.service)?, &id.name)
    }

    /// Number of the migration of this name in a service.
    pub(crate) fn number_in(&self, service: usize, name: &MigrationName) -> Option<usize> {
        self.lists[service].place(name.as_str()).map(|place| self.first_of[service] + place)
    }

    /// The same, where that is expected to be this number.
    pub(crate) fn number_expected(
        &self,
        service: usize,
        expected: usize,
        name: &MigrationName,
    ) -> Option<usize> {
        let first = self.first_of[service];
        let place = self.lists[service].place_expected(expected - first, name.as_str());
        place.map(|place| first + place)
    }

    /// Numbers of a service's migrations, in the order of its list.
    pub(crate) fn numbers_of(&self, service: usize) -> std::ops::Range<usize> {
        self.first_of[service]..self.first_of[service + 1]
    }

    pub(crate) fn n_services(&self) -> usize {
        self.services.len()
    }

    pub(crate) fn n_migrations(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn id(&self, migration: usize) -> &MigrationId {
        &self.ids[migration]
    }

    pub(crate) fn service_of(&self, migration: usize) -> usize {
        self.service_of[migration]
    }

    pub(crate) fn service_name(&self, service: usize) -> &ServiceName {
        &self.services[service].name
    }

    pub(crate) fn known(&self, migration: usize) -> &KnownMigration {
        let service = self.service_of[migration];
        &self.services[service].migrations[migration - self.first_of[service]]
    }

    /// Numbers of all migrations in the order in which they are applied.
    pub(crate) fn numbers_in_order(&self) -> &[usize] {
        &self.order
    }

    /// Declared requirements inside the catalog.
    pub(crate) fn requires(&self, migration: usize) -> &[usize] {
        self.requires.of(migration)
    }

    /// Declared requirements outside of the catalog.
    pub(crate) fn requires_outside(&self, migration: usize) -> &[MigrationId] {
        self.outside.of(migration)
    }

    /// Migrations that declare this one as their requirement.
    pub(crate) fn required_by(&self, migration: usize) -> &[usize] {
        self.required_by.of(migration)
    }

    fn number(&mut self, service: KnownService) -> Result<(), CatalogError> {
        let number = self.services.len();
        if self.service_index.insert(service.name.clone(), number).is_some() {
            return Err(CatalogError::DuplicateService { service: service.name });
        }
        let names = service.migrations.iter().map(|known| known.name.clone()).collect();
        let id = |name: &MigrationName| MigrationId { service: service.name.clone(), name: name.clone() };
        let list = MigrationList::new(names)
            .map_err(|again| CatalogError::DuplicateMigration { id: id(&service.migrations[again].name) })?;
        self.ids.extend(list.names().iter().map(id));
        self.service_of.resize(self.ids.len(), number);
        self.first_of.push(self.ids.len());
        self.lists.push(list);
        self.services.push(service);
        Ok(())
    }

    fn resolve_requirements(&mut self) -> Result<(), CatalogError> {
        for migration in 0..self.ids.len() {
            let (mut inside, mut outside) = (Vec::new(), Vec::new());
            for requirement in &self.known(migration).requires {
                if self.service_number(&requirement.service).is_none() {
                    outside.push(requirement.clone());
                } else if let Some(number) = self.number_of(requirement) {
                    inside.push(number);
                } else {
                    let (id, requirement) = (self.ids[migration].clone(), requirement.clone());
                    return Err(CatalogError::UnknownRequirement { id, requirement });
                }
            }
            inside.sort_unstable();
            inside.dedup();
            for requirement in inside {
                self.requires.add(migration, requirement);
                self.required_by.add(requirement, migration);
            }
            for requirement in outside {
                self.outside.add(migration, requirement);
            }
        }
        Ok(())
    }
}

fn arrows(cycle: &[MigrationId]) -> String {
    let around = cycle.iter().chain(cycle.first());
    around.map(|id| format!("`{id}`")).collect::<Vec<_>>().join(" -> ")
}
