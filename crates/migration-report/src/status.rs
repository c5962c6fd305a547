//! Where each service is, and what is wrong with it.

use std::collections::{BTreeSet, HashSet};

use migration_coordinator::{
    Collision, Deployment, Holder, ServiceFacts, ServiceVerification, Survey, Twin, TwinRows,
    edited_migrations, one_address, service_state,
};
use migration_kit::{Listed, MigrationName, Service, ServiceName};
use migration_plan::{Direction, HeldBack, HoldReason, ServiceState, ServiceStatus, statuses};
use serde::Serialize;

use crate::taken::{taken, unrecorded};
use crate::text::texts;
use crate::{Class, DatabaseReport, Diagnostic, Found, Words, each_once, text, timestamp, why_held_back};

/// Where some services are. Fields are only ever added.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The first database.
    pub database: Option<DatabaseReport>,
    /// Each database once.
    pub databases: Vec<DatabaseReport>,
    /// The services, in the program's order.
    pub services: Vec<ServiceReport>,
    /// How many there are, by what is to be done.
    pub summary: Summary,
}

/// What the class of a status is made of. Not being able to ask is always an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// Whether the services could be asked.
    Access,
    /// That, and what was found out about them.
    Findings,
}

/// How many services there are, by what is to be done.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// All that are reported.
    pub services: usize,
    /// Those that have nothing pending.
    pub up_to_date: usize,
    /// Those of them that hold nothing back either.
    pub at_head: usize,
    /// Migrations that are pending.
    pub pending: usize,
    /// Migrations that are held back.
    pub held_back: usize,
    /// Services whose history could not be read.
    pub unknown: usize,
}

/// Where one service is. What is not known is `null`, never zero or empty.
#[derive(Debug, Clone, Serialize)]
pub struct ServiceReport {
    /// The service.
    pub name: String,
    /// Its schema.
    pub schema: String,
    /// Its version table.
    pub version_table: String,
    /// Its database, as an index into the databases.
    pub database: usize,
    /// Where it is, in one word.
    #[serde(serialize_with = "text::shown")]
    pub state: ServiceState,
    /// The last migration of its list that is applied.
    pub current: Option<String>,
    /// The last migration of its list.
    pub head: Option<String>,
    /// How many known migrations are applied.
    pub applied: Option<usize>,
    /// What would be applied.
    pub pending: Option<Vec<String>>,
    /// What would be left out.
    pub held_back: Option<Vec<HeldReport>>,
    /// Applied, and missing in this build.
    pub missing: Option<Vec<String>>,
    /// Applied, and newer than this build.
    pub ahead: Option<Vec<String>>,
    /// Applied under another name.
    pub renamed: Option<Vec<RenamedReport>>,
    /// Pending, and listed before what is applied.
    pub out_of_order: Option<Vec<String>>,
    /// Applied, and not what it was then.
    pub edited: Option<Vec<String>>,
    /// Begun and not finished.
    pub stopped_midway: Option<Vec<BegunReport>>,
    /// The session that holds the migration lock.
    pub lock: Option<Holder>,
    /// Tables of others that the application reads.
    pub externals: Vec<ExternalReport>,
    /// Of an empty service, tables elsewhere that an earlier system may have left.
    pub elsewhere: Vec<TwinReport>,
    /// Of a service that has nothing applied, what is in its schema under names that it would make.
    pub taken: Vec<TakenReport>,
    /// The same in words.
    #[serde(skip)]
    pub taken_shown: Option<String>,
    /// In words, tables that are there without a history, and that its migrations take over if they are as those expect.
    #[serde(skip)]
    pub unrecorded_shown: Option<String>,
    /// What the applied migrations left in the schema and is not there any more, where that was asked.
    pub broken: Option<Vec<String>>,
    /// Why no run begins with it, if its address does not show whose neighbour it is.
    pub refused: Option<Diagnostic>,
    /// What could not be read, and why.
    pub error: Option<Diagnostic>,
}

/// A migration that was begun and not finished.
#[derive(Debug, Clone, Serialize)]
pub struct BegunReport {
    /// The migration.
    pub migration: String,
    /// In which direction it was begun last.
    #[serde(serialize_with = "text::shown")]
    pub direction: Direction,
}

/// A migration that is applied under another name.
#[derive(Debug, Clone, Serialize)]
pub struct RenamedReport {
    /// Its name in the version table.
    pub applied: String,
    /// Its name in this build.
    pub pending: String,
}

/// A migration that is held back.
#[derive(Debug, Clone, Serialize)]
pub struct HeldReport {
    /// The migration.
    pub migration: String,
    /// Why.
    pub reason: String,
    /// When its soak time ends.
    pub until: Option<String>,
}

/// A table of another owner.
#[derive(Debug, Clone, Serialize)]
pub struct ExternalReport {
    /// The table, with its schema.
    pub table: String,
    /// Whose it is.
    pub owner: String,
    /// Whether it is there.
    pub present: Option<bool>,
    /// The service whose table of this name is there instead.
    pub taken_by: Option<String>,
}

/// Something that is there under a name that a service with nothing applied would make.
#[derive(Debug, Clone, Serialize)]
pub struct TakenReport {
    /// What it is: `table`, `index`, `type`, `function`, `view`, `sequence`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// The service to which it belongs, if that is one of this program.
    pub service: Option<String>,
    /// The role to which it belongs.
    pub role: String,
}

/// A table elsewhere that an empty service may have had before.
#[derive(Debug, Clone, Serialize)]
pub struct TwinReport {
    /// The table, with its schema.
    pub table: String,
    /// Whether it has rows, where that is known.
    pub has_rows: Option<bool>,
    /// Both in words.
    #[serde(skip)]
    pub shown: String,
}

impl Status {
    /// Where services are.
    #[must_use]
    pub fn of(databases: Vec<DatabaseReport>, services: Vec<ServiceReport>) -> Self {
        let current = || services.iter().filter(|service| service.state == ServiceState::Current);
        let holds_nothing_back =
            |service: &&ServiceReport| service.held_back.as_ref().is_some_and(Vec::is_empty);
        let summary = Summary {
            services: services.len(),
            up_to_date: current().count(),
            at_head: current().filter(holds_nothing_back).count(),
            pending: services.iter().filter_map(|service| service.pending.as_ref()).map(Vec::len).sum(),
            held_back: services.iter().filter_map(|service| service.held_back.as_ref()).map(Vec::len).sum(),
            unknown: services.iter().filter(|service| service.pending.is_none()).count(),
        };
        Self { database: databases.first().cloned(), databases, services, summary }
    }

    /// The report, with what could not be asked as errors.
    #[must_use]
    pub fn found(self, judged: Judged) -> Found<Self> {
        let of_services = self.services.iter().filter_map(|service| service.error.clone());
        let of_databases = self.databases.iter().filter(|database| database.reachable);
        let of_databases = of_databases.filter_map(|database| database.diagnostic.clone());
        let errors = each_once(of_services.chain(of_databases));
        let unasked = errors.iter().map(|error| error.class);
        let services =
            self.services.iter().filter(|service| judged == Judged::Findings && service.error.is_none());
        let class = Class::worst(unasked.chain(services.map(ServiceReport::class)));
        Found { class, errors, body: self }
    }
}

impl ServiceReport {
    /// These services (all, if none are named) of a deployment, in its order.
    #[must_use]
    pub fn all(
        deployment: &Deployment,
        survey: &Survey,
        chosen: &[ServiceName],
        words: &dyn Words,
    ) -> Vec<Self> {
        let statuses = statuses(deployment.catalog(), &survey.history(), survey.now());
        let chosen = statuses
            .into_iter()
            .filter(|status| chosen.is_empty() || chosen.contains(&status.service))
            .filter_map(|status| Self::of(deployment, survey, &status, words));
        chosen.collect()
    }

    fn of(
        deployment: &Deployment,
        survey: &Survey,
        status: &ServiceStatus,
        words: &dyn Words,
    ) -> Option<Self> {
        let facts = survey.service(&status.service)?;
        let (service, schema, database) = deployment.service(&status.service)?;
        let read = facts.is_history_known();
        let refused = one_address(deployment, survey, &BTreeSet::from([&status.service])).err();
        // Where the journal could not be read, what it alone tells is not known.
        let journal = facts.unread.is_none();
        // What runs now has not stopped.
        let midway = status.begun.iter().filter(|_| facts.holder.is_none());
        let midway = midway
            .map(|(name, direction)| BegunReport { migration: name.to_string(), direction: *direction });
        let renamed = status
            .renamed
            .iter()
            .map(|(applied, now)| RenamedReport { applied: applied.to_string(), pending: now.to_string() });
        Some(Self {
            name: status.service.to_string(),
            schema: schema.to_owned(),
            version_table: service.version_table().to_owned(),
            database,
            state: service_state(facts, status),
            current: status.current.as_ref().map(ToString::to_string),
            head: status.head.as_ref().map(ToString::to_string),
            applied: read.then_some(status.applied.len()),
            pending: read.then(|| texts(&status.pending)),
            held_back: read.then(|| HeldReport::all(service, status, words)),
            missing: read.then(|| texts(&status.missing)),
            ahead: read.then(|| texts(&status.ahead)),
            renamed: read.then(|| renamed.collect()),
            out_of_order: read.then(|| texts(&status.out_of_order)),
            edited: journal.then(|| texts(&edited_migrations(deployment, facts))),
            stopped_midway: journal.then(|| midway.collect()),
            lock: facts.holder.clone(),
            externals: externals((deployment, survey), (service, database), facts),
            elsewhere: facts.twins.iter().map(TwinReport::of).collect(),
            taken: facts.collisions.objects.iter().map(TakenReport::of).collect(),
            taken_shown: taken(deployment, facts),
            unrecorded_shown: unrecorded(deployment, facts),
            broken: None,
            refused: refused.map(|error| Diagnostic::of(&error, words)),
            error: facts.unread.as_ref().map(|error| Diagnostic::of(error.as_ref(), words)),
        })
    }

    /// Notes what is not there any more. While a migration runs, or has stopped midway, much may be on its way.
    pub fn look_at(&mut self, verification: &ServiceVerification, words: &dyn Words) {
        if verification.holder.is_some() || !verification.begun.is_empty() {
            return;
        }
        match &verification.results {
            Ok(results) => {
                let broken = results.iter().filter(|result| result.is_broken());
                self.broken = Some(broken.map(|result| result.says.clone()).collect());
                if let Some(unanswered) = results.iter().find(|result| !result.answered) {
                    self.error.get_or_insert_with(|| Diagnostic::of_unanswered(unanswered));
                }
            }
            Err(error) => {
                self.error.get_or_insert_with(|| Diagnostic::of(error.as_ref(), words));
            }
        }
    }

    /// Whether something that applied migrations left is not there any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        is_any(self.broken.as_ref())
    }

    /// What it comes to, where it could be read.
    fn class(&self) -> Class {
        let refused = self.refused.as_ref().map_or(Class::Done, |refused| refused.class);
        Class::worst([refused, self.class_of_state()])
    }

    fn class_of_state(&self) -> Class {
        match self.state {
            ServiceState::Diverged | ServiceState::Ahead => Class::Integrity,
            _ if is_any(self.edited.as_ref()) || self.is_broken() => Class::Integrity,
            ServiceState::Dirty => Class::Partial,
            _ if is_any(self.pending.as_ref()) => Class::Pending,
            _ => Class::Done,
        }
    }
}

fn is_any(names: Option<&Vec<String>>) -> bool {
    names.is_some_and(|names| !names.is_empty())
}

/// The tables of others. What another service of the program has there by that name, away from its own schema, is not theirs.
fn externals(
    (deployment, survey): (&Deployment, &Survey),
    (service, database): (&Service, usize),
    facts: &ServiceFacts,
) -> Vec<ExternalReport> {
    let report = |(external, present): (&migration_kit::External, &Option<bool>)| {
        let newcomer = deployment.newcomer(database, &external.schema, &external.table);
        let is_applied =
            |name: &&ServiceName| survey.service(name).is_some_and(|of_it| !of_it.applied.is_empty());
        let taken_by = newcomer.filter(is_applied).filter(|_| *present == Some(true));
        ExternalReport {
            table: format!("{}.{}", external.schema, external.table),
            owner: external.owner.clone(),
            present: if taken_by.is_some() { Some(false) } else { *present },
            taken_by: taken_by.map(ToString::to_string),
        }
    };
    service.externals().iter().zip(&facts.externals).map(report).collect()
}

impl TakenReport {
    fn of(collision: &Collision) -> Self {
        Self {
            kind: collision.kind.clone(),
            name: collision.name.clone(),
            service: collision.service.as_ref().map(ToString::to_string),
            role: collision.role.clone(),
        }
    }
}

impl TwinReport {
    fn of(twin: &Twin) -> Self {
        let has_rows = (twin.rows == TwinRows::Some).then_some(true);
        Self { table: twin.table.clone(), has_rows, shown: twin.to_string() }
    }
}

impl HeldReport {
    /// All that are held back, in the order of the list.
    fn all(service: &Service, status: &ServiceStatus, words: &dyn Words) -> Vec<Self> {
        let pending: HashSet<&MigrationName> = status.pending.iter().collect();
        let before_pending: HashSet<&MigrationName> =
            service.migrations().map(Listed::name).take_while(|name| !pending.contains(name)).collect();
        let held = status.held_back.iter();
        held.map(|held| Self::of(held, before_pending.contains(&held.id.name), words)).collect()
    }

    /// Its soak time has begun if nothing is pending before it.
    fn of(held: &HeldBack, begun: bool, words: &dyn Words) -> Self {
        let (reason, until) = match held.reason {
            HoldReason::Soaking { until } if begun => {
                (why_held_back(&held.reason, words), Some(timestamp(until)))
            }
            HoldReason::Soaking { .. } => {
                ("its soak time begins when what is pending is applied".to_owned(), None)
            }
            HoldReason::ContractNotAsked | HoldReason::RequiresHeldBack { .. } => {
                (why_held_back(&held.reason, words), None)
            }
        };
        Self { migration: held.id.name.to_string(), reason, until }
    }
}
