//! What the tests of a service's migrations need: a real database of one's own, and short ways to ask it.
//!
//! Responsible for [`Scratch`]: a database in the process's shared PostgreSQL cluster, migrations applied to it and
//! reverted by the coordinator, its schema and rows as text; and for [`Application`]: a role
//! that writes there and owns nothing; and for [`conformance`]
//! and [`conformance_of_entities`], the tests that every service's migrations and entities have to pass. Meant for `dev-dependencies`: its methods panic where they
//! fail, except for those whose name begins with `try_`, for tests of a failure.
//!
//! It consents to everything that a user would be asked for, and lets soak times pass by setting `applied_at` of the
//! version table back. Migrations run as they do in production otherwise: locked, isolated, verified, journalled.

mod application;
mod conformance;
mod entities;
mod interruption;
mod query;
mod run;

use std::error::Error;
use std::iter;
use std::sync::Arc;

use migration_coordinator::{Deployment, DeploymentError, Placement};
use migration_kit::{Phase, Service, literal, quote_identifier};
use migration_plan::{ContractSteps, KnownMigration};
use postgres_sandbox::{Cluster, Database, Relay};
use postgres_schema::Schema;
use sea_orm::{ConnectionTrait, DatabaseConnection};

pub use application::{Application, application_finds_its_own_tables};
pub use conformance::{conformance, conformance_under_sea_orm};
pub use entities::conformance_of_entities;
pub use migration_rehearsal::dump_schema;
pub use run::ScratchError;

/// What makes the names of the coordinator's and the kit's tables, which are no part of a service's schema.
const BOOKKEEPING: [&str; 4] =
    ["seaql_migrations_", "migration_journal_", "migration_backfill_", "migration_reject_"];

/// A database of its own for one test, with one service in it or several. It is dropped with this value.
pub struct Scratch {
    // Invariant: holds at least one service; checked in `with`.
    deployment: Deployment,
    db: DatabaseConnection,
    // Last, so that the pool is gone before the database is dropped.
    database: Arc<Database>,
}

impl Scratch {
    /// An empty database with the service's schema and no migration applied.
    ///
    /// # Panics
    /// If there is no PostgreSQL on the machine.
    pub async fn new(service: Service) -> Self {
        Self::with(vec![service]).await
    }

    /// An empty database with the schemas of several services. What is asked without naming a service is asked of the
    /// first one.
    ///
    /// # Panics
    /// If there is no PostgreSQL on the machine, no service is given, or the services do not fit together.
    pub async fn with(services: Vec<Service>) -> Self {
        let database = Cluster::shared().create_database().unwrap_or_else(|error| fail(&error));
        for service in &services {
            // A service may live in `public`, which is there.
            let create =
                format!("CREATE SCHEMA IF NOT EXISTS {}", quote_identifier(service.default_schema()));
            database.psql(&create).unwrap_or_else(|error| fail(&error));
        }
        let schema = services.first().expect("a scratch database has a service").default_schema().to_owned();
        let deployment = place(services, database.url()).unwrap_or_else(|error| fail(&error));
        let db = query::connect(database.url(), &[&schema], None).await.unwrap_or_else(|error| fail(&error));
        Self { deployment, db, database: Arc::new(database) }
    }

    /// Applies what is pending, contract steps held back.
    ///
    /// # Panics
    /// If a migration, a guard or a check fails.
    pub async fn up(&self) {
        self.try_up().await.unwrap_or_else(|error| fail(&error));
    }

    /// [`Scratch::up`] for tests of a failure.
    ///
    /// # Errors
    /// [`ScratchError`] for the first migration, guard or check that fails; those applied before stay applied.
    pub async fn try_up(&self) -> Result<(), ScratchError> {
        self.apply(None, ContractSteps::HoldBack).await
    }

    /// Applies all that is pending, contract steps too; soak times count as passed.
    ///
    /// # Panics
    /// If a migration, a guard or a check fails.
    pub async fn up_contract(&self) {
        self.apply(None, ContractSteps::Apply).await.unwrap_or_else(|error| fail(&error));
    }

    /// Applies what is pending up to and including `target`. Contract steps are held back unless `target` is one.
    ///
    /// # Panics
    /// If a migration, a guard or a check fails.
    pub async fn up_to(&self, target: &str) {
        self.try_up_to(target).await.unwrap_or_else(|error| fail(&error));
    }

    /// [`Scratch::up_to`] for tests of a failure.
    ///
    /// # Errors
    /// [`ScratchError`] for the first migration, guard or check that fails; those applied before stay applied.
    pub async fn try_up_to(&self, target: &str) -> Result<(), ScratchError> {
        let contract = match self.service().known().migrations.iter().find(|m| m.name.as_str() == target) {
            Some(KnownMigration { phase: Phase::Contract { .. }, .. }) => ContractSteps::Apply,
            _ => ContractSteps::HoldBack,
        };
        self.apply(Some(target), contract).await
    }

    /// Reverts what is applied after `target`, which stays applied; `base` reverts everything.
    ///
    /// # Panics
    /// If a migration fails or is irreversible.
    pub async fn down_to(&self, target: &str) {
        self.try_down_to(target).await.unwrap_or_else(|error| fail(&error));
    }

    /// [`Scratch::down_to`] for tests of a failure.
    ///
    /// # Errors
    /// [`ScratchError`] for the first migration that fails; those reverted before stay reverted.
    pub async fn try_down_to(&self, target: &str) -> Result<(), ScratchError> {
        self.revert(target).await
    }

    /// Runs every check of every applied migration, but for those that a later applied one has ended.
    ///
    /// # Panics
    /// If one does not hold, naming it with what the server said.
    pub async fn verify(&self) {
        self.run_checks().await.unwrap_or_else(|error| fail(&error));
    }

    /// Runs statements on the pool; several in one string are one transaction.
    ///
    /// # Panics
    /// If one fails.
    pub async fn execute(&self, sql: &str) {
        self.db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("`{sql}` failed: {error}"));
    }

    /// The rows of a query as text: `a|b|c`, with `∅` for null.
    ///
    /// # Panics
    /// If the query fails.
    pub async fn rows(&self, sql: &str) -> Vec<String> {
        query::rows(&self.db, sql).await.unwrap_or_else(|error| panic!("`{sql}` failed: {error}"))
    }

    /// Whether the service's schema has a table of this name.
    ///
    /// # Panics
    /// If the server cannot be asked.
    pub async fn has_table(&self, table: &str) -> bool {
        let sql = format!("SELECT to_regclass({}) IS NOT NULL", literal(&quote_identifier(table)));
        self.rows(&sql).await == ["t"]
    }

    /// MD5 over all rows of a table as text, whatever their order: equal digests are equal rows, byte for byte.
    ///
    /// # Panics
    /// If there is no such table in the service's schema.
    pub async fn table_digest(&self, table: &str) -> String {
        let sql = format!(
            "SELECT md5(coalesce(string_agg(md5((source.*)::text), '' ORDER BY md5((source.*)::text)), '')) FROM {} AS source",
            quote_identifier(table)
        );
        self.rows(&sql).await.concat()
    }

    /// The service's schema as `pg_dump` writes it, without settings, comments and the coordinator's own tables.
    ///
    /// # Panics
    /// If `pg_dump` fails.
    pub async fn dump_schema(&self) -> String {
        let service = self.service();
        dump_schema(&self.database, service.default_schema(), service.version_table())
            .unwrap_or_else(|error| fail(&error))
    }

    /// The service's schema as a value, without the coordinator's own tables.
    ///
    /// # Panics
    /// If it cannot be read.
    pub async fn schema(&self) -> Schema {
        let mut connection =
            self.db.get_postgres_connection_pool().acquire().await.unwrap_or_else(|error| fail(&error));
        let service = self.service();
        let schema = Schema::read(&mut connection, service.default_schema()).await;
        let version_table = service.version_table().to_owned();
        schema.unwrap_or_else(|error| fail(&error)).retain(|object| {
            let named = object.relation().unwrap_or(&object.name);
            named != version_table && !BOOKKEEPING.iter().any(|prefix| named.starts_with(prefix))
        })
    }

    /// The same database, whose migrations reach it through a relay.
    pub(crate) fn through(&self, relay: &Relay) -> Self {
        let services = self.deployment.services().map(|(service, _, _)| service.clone()).collect();
        let deployment = place(services, &relay.url(self.database.name()));
        Self {
            deployment: deployment.unwrap_or_else(|error| fail(&error)),
            db: self.db.clone(),
            database: Arc::clone(&self.database),
        }
    }

    /// Ends all sessions in the database but the test's own, and waits until they are gone.
    pub(crate) async fn end_other_sessions(&self) {
        // `pg_terminate_backend` itself would look again only after a tenth of a second.
        let sql = format!(
            "DO $$ BEGIN LOOP PERFORM pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND backend_type = 'client backend' AND application_name <> {}; \
             EXIT WHEN NOT FOUND; PERFORM pg_sleep(0.002), pg_stat_clear_snapshot(); END LOOP; END $$",
            literal(query::APPLICATION)
        );
        self.execute(&sql).await;
    }

    /// A pool whose `search_path` is exactly the service's schema.
    #[must_use]
    pub fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    /// URL of the database.
    #[must_use]
    pub fn url(&self) -> &str {
        self.database.url()
    }

    /// The database, for statements of a superuser through `psql`.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// The services, placed in the database.
    #[must_use]
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The service; of several, the first.
    ///
    /// # Panics
    /// Never: there is one.
    #[must_use]
    pub fn service(&self) -> &Service {
        self.deployment.services().next().expect("a scratch database has a service").0
    }
}

/// Puts services into one database, each into its default schema.
fn place(services: Vec<Service>, url: &str) -> Result<Deployment, DeploymentError> {
    let placement = |service: Service| Placement {
        schema: service.default_schema().to_owned(),
        url: url.parse().expect("the sandbox makes well-formed addresses"),
        service,
    };
    Deployment::new(services.into_iter().map(placement).collect())
}

/// Fails the test with an error and its causes.
fn fail(error: &dyn Error) -> ! {
    panic!("{}", reason(error));
}

/// An error with all its causes, but for those that the one before quotes: sea-orm's do.
fn reason(error: &dyn Error) -> String {
    let mut message = error.to_string();
    for cause in iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
