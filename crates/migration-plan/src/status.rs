//! Where each service stands, as far as its history tells. Whether something runs or cannot be reached is for the
//! coordinator to say, with the states kept for that.

use std::fmt;

use crate::facts::Facts;
use crate::holds::{Hold, held_back, holds};
use crate::integrity::integrity_of;
use crate::{
    AppliedMigration, Catalog, ContractSteps, Direction, HeldBack, History, IntegrityError, MigrationName,
    ServiceName,
};

/// Where a service stands, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ServiceState {
    /// Nothing is pending, save what is held back.
    Current,
    /// Something is pending.
    Behind,
    /// Something is applied that is newer than this build.
    Ahead,
    /// Something is applied that is missing here, or has another name here.
    Diverged,
    /// Nothing is applied.
    Empty,
    /// A migration was begun and not finished.
    Dirty,
    /// A run is under way; decided by the coordinator.
    Running,
    /// The version table may not be read; decided by the coordinator.
    Forbidden,
    /// The version table could not be read or understood; decided by the coordinator.
    Unreadable,
    /// The version table is gone although migrations were applied; decided by the coordinator.
    Damaged,
    /// The version table was not read.
    Unreachable,
}

/// Where a service stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceStatus {
    /// The service.
    pub service: ServiceName,
    /// Where it stands, in one word.
    pub state: ServiceState,
    /// The last migration of its list that is applied.
    pub current: Option<MigrationName>,
    /// The last migration of its list.
    pub head: Option<MigrationName>,
    /// Known migrations that are applied, in the order of the list.
    pub applied: Vec<AppliedMigration>,
    /// Migrations that were begun and not finished, each with its last direction, in the order of the list; then those
    /// that are not known here.
    pub begun: Vec<(MigrationName, Direction)>,
    /// Migrations that `up` would apply, what was begun among them, in the order of the list.
    pub pending: Vec<MigrationName>,
    /// Migrations that are not applied and that `up` would leave out, in the order of the list.
    pub held_back: Vec<HeldBack>,
    /// Applied migrations that are missing here, by time of application.
    pub missing: Vec<MigrationName>,
    /// Applied migrations that are newer than this build, by time of application.
    pub ahead: Vec<MigrationName>,
    /// Migrations that are applied under another name, by time of application, each with its name here, which is among
    /// `pending`.
    pub renamed: Vec<(MigrationName, MigrationName)>,
    /// Those of `pending` that precede `current` in the list.
    pub out_of_order: Vec<MigrationName>,
}

/// Where a service stands at `now`, in seconds since 1970-01-01 UTC; `None` if the program does not know the service.
#[must_use]
pub fn status(
    catalog: &Catalog,
    history: &History,
    service: &ServiceName,
    now: i64,
) -> Option<ServiceStatus> {
    let service = catalog.service_number(service)?;
    Some(View::new(catalog, history, now).of(service))
}

/// Where all services stand at `now`, in the catalog's order.
#[must_use]
pub fn statuses(catalog: &Catalog, history: &History, now: i64) -> Vec<ServiceStatus> {
    let view = View::new(catalog, history, now);
    (0..catalog.n_services()).map(|service| view.of(service)).collect()
}

impl ServiceState {
    /// All states.
    pub const ALL: [Self; 11] = [
        Self::Current,
        Self::Behind,
        Self::Ahead,
        Self::Diverged,
        Self::Empty,
        Self::Dirty,
        Self::Running,
        Self::Forbidden,
        Self::Unreadable,
        Self::Damaged,
        Self::Unreachable,
    ];

    /// The state as text, as JSON has it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Behind => "behind",
            Self::Ahead => "ahead",
            Self::Diverged => "diverged",
            Self::Empty => "empty",
            Self::Dirty => "dirty",
            Self::Running => "running",
            Self::Forbidden => "forbidden",
            Self::Unreadable => "unreadable",
            Self::Damaged => "damaged",
            Self::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for ServiceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is worked out once for all services.
struct View<'a> {
    catalog: &'a Catalog,
    history: &'a History,
    facts: Facts<'a>,
    holds: Vec<Option<Hold>>,
}

impl<'a> View<'a> {
    fn new(catalog: &'a Catalog, history: &'a History, now: i64) -> Self {
        let facts = Facts::new(catalog, history);
        let holds = holds(catalog, &facts, ContractSteps::FirstInstall, now);
        Self { catalog, history, facts, holds }
    }

    fn of(&self, service: usize) -> ServiceStatus {
        let name = |migration: usize| self.catalog.known(migration).name.clone();
        let numbers = self.catalog.numbers_of(service);
        let mut status = ServiceStatus {
            service: self.catalog.service_name(service).clone(),
            state: ServiceState::Unreachable,
            current: None,
            head: numbers.clone().next_back().map(name),
            applied: Vec::new(),
            begun: Vec::new(),
            pending: Vec::new(),
            held_back: Vec::new(),
            missing: Vec::new(),
            ahead: Vec::new(),
            renamed: Vec::new(),
            out_of_order: Vec::new(),
        };
        if !self.history.was_read(&status.service) {
            return status;
        }
        let current = numbers.clone().rev().find(|&migration| self.facts.is_applied(migration));
        status.current = current.map(name);
        let applied = numbers.clone().filter_map(|migration| {
            Some(AppliedMigration { name: name(migration), applied_at: self.facts.applied_at(migration)? })
        });
        status.applied = applied.collect();
        let begun = numbers.clone().filter_map(|n| Some((name(n), self.facts.begun(n)?)));
        let is_known = |name: &MigrationName| self.catalog.number_in(service, name).is_some();
        let elsewhere = self.history.begun(&status.service).filter(|(name, _)| !is_known(name));
        status.begun = begun.chain(elsewhere.map(|(name, direction)| (name.clone(), direction))).collect();
        for migration in numbers.filter(|&migration| !self.facts.is_applied(migration)) {
            if let Some(hold) = self.holds[migration] {
                status.held_back.push(held_back(self.catalog, migration, hold));
                continue;
            }
            status.pending.push(name(migration));
            if current.is_some_and(|current| migration < current) {
                status.out_of_order.push(name(migration));
            }
        }
        for error in integrity_of(self.catalog, self.history, &self.facts, service) {
            match error {
                IntegrityError::Missing { id } => status.missing.push(id.name),
                IntegrityError::Ahead { id } => status.ahead.push(id.name),
                IntegrityError::Renamed { id, now } => status.renamed.push((id.name, now)),
                // What was begun is reported above; the others are for `integrity` to tell, since they are not a matter of
                // names alone.
                IntegrityError::BegunElsewhere { .. }
                | IntegrityError::BeforeRequirement { .. }
                | IntegrityError::Doubled { .. } => {}
            }
        }
        status.state = state(&status);
        status
    }
}

fn state(status: &ServiceStatus) -> ServiceState {
    if !status.begun.is_empty() {
        ServiceState::Dirty
    } else if !status.missing.is_empty() || !status.renamed.is_empty() {
        ServiceState::Diverged
    } else if !status.ahead.is_empty() {
        ServiceState::Ahead
    } else if status.head.is_some() && status.current.is_none() {
        ServiceState::Empty
    } else if status.pending.is_empty() {
        ServiceState::Current
    } else {
        ServiceState::Behind
    }
}
