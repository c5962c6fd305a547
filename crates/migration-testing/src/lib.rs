//! What the tests of a service's migrations need: a real database of one's own, and short ways to ask it.
//!
//! Responsible for [`Scratch`]: a database in the process's shared PostgreSQL cluster, the service's migrations applied
//! to it and reverted, its schema and rows as text. Meant for `dev-dependencies`: its methods panic where they fail,
//! except for the two whose name begins with `try_`, for tests of a failure.
//!
//! It takes no migration lock and keeps no journal: nobody else knows the database. Requirements in other services are
//! left to the test.

mod dump;
mod query;
mod run;

use std::error::Error;
use std::iter;

use migration_kit::{Phase, Service, quote_identifier};
use postgres_sandbox::{Cluster, Database};
use sea_orm::{ConnectionTrait, DatabaseConnection};

pub use run::ScratchError;

/// A database of its own for one test, with one service in it. It is dropped with this value.
pub struct Scratch {
    service: Service,
    db: DatabaseConnection,
    // Last, so that the pool is gone before the database is dropped.
    database: Database,
}

impl Scratch {
    /// An empty database with the service's schema and no migration applied.
    ///
    /// # Panics
    /// If there is no PostgreSQL on the machine.
    pub async fn new(service: Service) -> Self {
        let database = Cluster::shared().create_database().unwrap_or_else(|error| fail(&error));
        let schema = quote_identifier(service.default_schema());
        database.psql(&format!("CREATE SCHEMA IF NOT EXISTS {schema}")).unwrap_or_else(|error| fail(&error));
        let db = query::connect(database.url(), service.default_schema(), query::READERS)
            .await
            .unwrap_or_else(|error| fail(&error));
        Self { service, db, database }
    }

    /// Applies what is pending, contract steps held back.
    ///
    /// # Panics
    /// If a migration, a guard or a check fails.
    pub async fn up(&self) {
        self.run_up(None, Phases::Expand).await.unwrap_or_else(|error| fail(&error));
    }

    /// Applies all that is pending, contract steps too; soak times count as passed.
    ///
    /// # Panics
    /// If a migration, a guard or a check fails.
    pub async fn up_contract(&self) {
        self.run_up(None, Phases::All).await.unwrap_or_else(|error| fail(&error));
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
    ///
    /// # Panics
    /// If the service has no migration of this name.
    pub async fn try_up_to(&self, target: &str) -> Result<(), ScratchError> {
        let phases = match self.migration(target).details().phase {
            Phase::Expand => Phases::Expand,
            Phase::Contract { .. } => Phases::All,
        };
        self.run_up(Some(target), phases).await
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
    ///
    /// # Panics
    /// If the service has no migration of this name.
    pub async fn try_down_to(&self, target: &str) -> Result<(), ScratchError> {
        self.run_down(target).await
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
        dump::schema(&self.database, self.service.default_schema()).unwrap_or_else(|error| fail(&error))
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

    /// The service.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }
}

/// Which migrations are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phases {
    /// Expand steps only.
    Expand,
    /// Contract steps too.
    All,
}

/// Fails the test, with the error and all its causes, but for those that the one before quotes: sea-orm's do.
fn fail(error: &dyn Error) -> ! {
    let mut message = error.to_string();
    for cause in iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
        if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    panic!("{message}");
}
