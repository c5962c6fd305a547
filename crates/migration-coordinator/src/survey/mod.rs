//! Reading: what the servers say of all services, at one moment, without changing anything.
//!
//! One session a server (more only for a hundred services and up), one `REPEATABLE READ, READ ONLY` transaction, two questions: what there is (catalogs, rights, locks), then what
//! the version tables and journals say. It works on a standby and for a role that may only `SELECT`. Unknown is never
//! empty: a table that could not be read is reported with the reason, and only its own service is the worse for it.

mod ask;
mod collisions;
mod emptiness;
mod error;
mod facts;
mod histories;
mod journal;
mod lost_rows;
mod patience;
mod twins;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use migration_kit::{MigrationId, MigrationName, ServiceName};
use migration_plan::{AppliedMigration, Direction, History};
use sea_orm::sqlx;

use crate::belongings::Applied;
use crate::bookkeeping;
use crate::deployment::Deployment;
use crate::holder::Holder;
use crate::session::Session;
use crate::site::Site;

pub(crate) use ask::holder_on;
pub use collisions::{Collision, Collisions};
pub use error::SurveyError;
pub use journal::{Journal, JournalFacts};
pub(crate) use patience::Patience;
pub use twins::{Twin, TwinRows, VERSION_TABLES};

/// What all servers say, at one moment each.
#[derive(Debug, Clone)]
pub struct Survey {
    /// One entry a database, in the order of [`Deployment::databases`].
    pub databases: Vec<Result<ServerFacts, Arc<SurveyError>>>,
    /// One entry a service that was asked for, in the order of the deployment.
    pub services: Vec<ServiceFacts>,
    // Invariant: where each service is in `services`.
    places: HashMap<ServiceName, usize>,
}

/// What a server says of itself and of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Version as the server writes it: `15.18`.
    pub version: String,
    /// The encoding of the database.
    pub encoding: String,
    /// Database that we are connected to.
    pub database: String,
    /// Role that we are.
    pub user: String,
    /// Whether nothing can be written: a standby, or read-only by setting.
    pub read_only: bool,
    /// Whether we may create schemas.
    pub may_create_schema: bool,
    /// Whether we may create temporary tables, by which online steps learn what the server makes of a definition.
    pub may_create_temporary: bool,
    /// The server's clock, in seconds since 1970.
    pub now: i64,
    /// The same for two addresses only if they lead to one database of one running server.
    pub(crate) identity: String,
}

/// Whether a service's version table can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It was read.
    Read,
    /// There is none.
    Absent,
    /// There is one, or there may be, and our role may not read it or what else would tell.
    Forbidden,
    /// There is one, and it could not be read or understood.
    Unreadable,
    /// There is none, or it lacks rows, although the journal says that migrations were applied.
    Lost,
    /// The database could not be asked.
    Unreachable,
}

/// What the server says of one service.
#[derive(Debug, Clone)]
pub struct ServiceFacts {
    /// The service.
    pub service: ServiceName,
    /// Whether its version table could be read.
    pub access: Access,
    /// Why version table or journal could not be read; with [`Access::Read`], it is the journal.
    pub unread: Option<Arc<SurveyError>>,
    /// Whether its schema exists.
    pub schema_exists: bool,
    /// Whether Citus has put its tables on a node of their own.
    pub is_distributed: bool,
    /// Whether we may create tables in its schema, or create the schema.
    pub may_create: bool,
    /// Whether we may write its version table and journal, where they exist.
    pub may_write: bool,
    /// Whether version table and journal exist.
    pub installed: bool,
    /// Whether it is installed for the first time: nothing of it is there yet, or its first run has not ended.
    pub first_install: bool,
    /// What an earlier system may have left elsewhere in the database, where the service is empty.
    pub twins: Vec<Twin>,
    /// What is in its schema under names that the service would make, where nothing of it is applied.
    pub collisions: Collisions,
    /// What the version table says, in the order of application as far as it tells.
    pub applied: Vec<AppliedMigration>,
    /// What the journal says last of each migration that it knows.
    pub journal: Journal,
    /// Who holds the migration lock.
    pub holder: Option<Holder>,
    /// Tables of the service's entities that are not there.
    pub absent_tables: Vec<String>,
    /// Which of the service's external tables exist, in the order in which it declares them; `None` if it is not known.
    pub externals: Vec<Option<bool>>,
}

impl ServerFacts {
    /// Whether both are of one database of one running server, whatever the addresses are.
    #[must_use]
    pub fn is_same_database(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Survey {
    /// Asks all databases of a deployment at once. A table that another transaction keeps locked is waited for ten seconds; then it
    /// is one that could not be read.
    pub async fn take(deployment: &Deployment) -> Self {
        Self::take_within(deployment, &Patience::usual()).await
    }

    /// The same, which is as patient as that.
    pub(crate) async fn take_within(deployment: &Deployment, patience: &Patience<'_>) -> Self {
        let all: Vec<&Site> = deployment.sites().collect();
        let asked = (0..deployment.databases().len()).map(|index| {
            let sites: Vec<&Site> = all.iter().copied().filter(|p| p.database == index).collect();
            async move { ask::ask(deployment, index, &sites, patience).await }
        });
        let mut databases = Vec::new();
        let mut found: BTreeMap<&ServiceName, ServiceFacts> = BTreeMap::new();
        for (index, answer) in join_all(asked).await.into_iter().enumerate() {
            let sites = all.iter().filter(|p| p.database == index);
            match answer {
                Ok((server, services)) => {
                    found.extend(sites.map(|p| p.name()).zip(services));
                    databases.push(Ok(server));
                }
                Err(error) => {
                    let error = Arc::new(error);
                    found.extend(sites.map(|p| (p.name(), ServiceFacts::unreachable(p, &error))));
                    databases.push(Err(error));
                }
            }
        }
        let mut services: Vec<ServiceFacts> = all.iter().filter_map(|p| found.remove(p.name())).collect();
        services.iter_mut().for_each(ServiceFacts::sort_claims_out);
        let places =
            services.iter().enumerate().map(|(place, facts)| (facts.service.clone(), place)).collect();
        Self { databases, services, places }
    }

    /// Asks again on a session that holds the migration locks of these services of one database, and waits so long for tables that
    /// others keep locked.
    pub(crate) async fn take_on(
        session: &Session,
        deployment: &Deployment,
        sites: &[&Site],
        patience: Duration,
    ) -> Result<Vec<ServiceFacts>, sqlx::Error> {
        let Some(database) = sites.first().map(|site| site.database) else { return Ok(Vec::new()) };
        let patience = Patience::of(sites.iter().map(|site| site.name()), patience);
        let mut services = ask::ask_on(session, (deployment, database), sites, &patience).await?;
        services.iter_mut().for_each(ServiceFacts::sort_claims_out);
        Ok(services)
    }

    /// Asks about one service.
    pub(crate) async fn of(deployment: &Deployment, site: &Site) -> Result<ServiceFacts, SurveyError> {
        let asked = ask::ask(deployment, site.database, &[site], &Patience::usual()).await;
        let mut facts = asked?.1.swap_remove(0);
        facts.sort_claims_out();
        Ok(facts)
    }

    /// What the version tables say, for planning.
    #[must_use]
    pub fn history(&self) -> History {
        history(&self.services)
    }

    /// What was found of a service.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<&ServiceFacts> {
        self.places.get(name).map(|&place| &self.services[place])
    }

    /// The latest clock among the servers, in seconds since 1970; 0 if none answered.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.databases.iter().flatten().map(|server| server.now).max().unwrap_or(0)
    }
}

/// What the version tables of these services say, for planning.
pub(crate) fn history(services: &[ServiceFacts]) -> History {
    let mut history = History::new();
    for facts in services {
        match facts.access {
            Access::Read => history.record(facts.service.clone(), facts.applied.clone()),
            Access::Absent => history.record_absent(facts.service.clone()),
            Access::Forbidden | Access::Unreadable | Access::Lost | Access::Unreachable => {}
        }
        for (name, journal) in facts.journal.iter().filter(|(_, journal)| journal.begun) {
            let id = MigrationId { service: facts.service.clone(), name: name.clone() };
            history.record_begun(id, journal.direction);
        }
        if facts.first_install {
            history.record_first_install(facts.service.clone());
        }
    }
    history
}

impl ServiceFacts {
    /// Whether what the version table holds is known.
    #[must_use]
    pub fn is_history_known(&self) -> bool {
        matches!(self.access, Access::Read | Access::Absent)
    }

    /// Whether anything of the service is applied or begun.
    ///
    /// # Errors
    /// What keeps that from being known.
    pub fn anything_applied(&self) -> Result<Applied, Arc<SurveyError>> {
        let is_done = |journal: &JournalFacts| journal.begun || journal.is_applied();
        if !self.applied.is_empty() || self.journal.facts().any(is_done) {
            return Ok(Applied::Something);
        }
        self.unread.clone().map_or(Ok(Applied::Nothing), Err)
    }

    /// Whether its journal has fewer lines than it had.
    #[must_use]
    pub fn has_lost_its_journal(&self) -> bool {
        self.unread.as_ref().is_some_and(|error| error.is_lost_journal())
    }

    /// Migrations that were begun and not finished. A row in the version table outweighs the journal.
    pub fn begun(&self) -> impl Iterator<Item = &MigrationName> {
        let is_applied = |name: &MigrationName| self.applied.iter().any(|applied| applied.name == *name);
        let begun = self.journal.iter().filter(|(_, journal)| journal.begun).map(|(name, _)| name);
        begun.filter(move |name| !is_applied(name))
    }

    /// Rows that a transaction claimed and did not finish say that a migration was begun, not that it is applied.
    fn sort_claims_out(&mut self) {
        let claims: Vec<AppliedMigration> = self.applied.extract_if(.., |row| row.applied_at < 0).collect();
        for AppliedMigration { name, applied_at } in claims {
            let is_revert = applied_at == bookkeeping::REVERT_CLAIMED;
            let direction = if is_revert { Direction::Revert } else { Direction::Apply };
            let before = self.journal.get(&name);
            let journal = JournalFacts {
                direction,
                succeeded: before.is_some_and(|journal| journal.succeeded),
                checksum: before.and_then(|journal| journal.checksum.clone()),
                begun: true,
            };
            self.journal.insert(name, journal);
        }
    }

    fn unreachable(site: &Site, error: &Arc<SurveyError>) -> Self {
        Self {
            service: site.name().clone(),
            access: Access::Unreachable,
            unread: Some(error.clone()),
            schema_exists: false,
            is_distributed: false,
            may_create: false,
            may_write: false,
            installed: false,
            first_install: false,
            twins: Vec::new(),
            collisions: Collisions::default(),
            applied: Vec::new(),
            journal: Journal::of(site.list.clone()),
            holder: None,
            absent_tables: Vec::new(),
            externals: vec![None; site.externals.len()],
        }
    }
}
