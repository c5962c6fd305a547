//! Migrations tried in a database of its own.

use std::error::Error;
use std::iter;

use migration_coordinator::{Deployment, Goal, Placement, RunError, Scope, run, verify};
use migration_kit::{MigrationName, Service, ServiceName, literal, qualified, quote_identifier};
use migration_plan::{Direction, Selection, TargetPoint};
use postgres_sandbox::{Cluster, Database};
use postgres_schema::Schema;

use crate::drift::{self, without_bookkeeping};
use crate::{RehearsalError, sandbox};

/// A database, and services in it.
pub(super) struct Trial {
    pub(super) deployment: Deployment,
    pub(super) database: Database,
}

/// What was tried did not succeed: what the run says.
pub type Outcome = Result<(), String>;

impl Trial {
    pub(super) fn new(cluster: &Cluster, services: Vec<Service>) -> Result<Self, RehearsalError> {
        let database = cluster.create_database()?;
        let placed = services.into_iter().map(|service| Placement {
            schema: service.default_schema().to_owned(),
            url: sandbox::url(&database),
            service: service.with_lock_file(""),
        });
        Ok(Self { deployment: Deployment::new(placed.collect())?, database })
    }

    /// Makes the schema in which a service lives, so that it can be read before the first migration.
    pub(super) fn create_schema(&self, service: &ServiceName) -> Result<(), RehearsalError> {
        let schema = quote_identifier(self.service(service).default_schema());
        self.database.psql(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
        Ok(())
    }

    /// The service of this name.
    pub(super) fn service(&self, name: &ServiceName) -> &Service {
        self.deployment.service(name).expect("a trial is of one of its services").0
    }

    /// Applies up to a migration, or everything of the service.
    pub(super) async fn apply(&self, service: &ServiceName, target: Option<&MigrationName>) -> Outcome {
        let target = Some(target.map_or(TargetPoint::Head, |name| TargetPoint::Name(name.to_string())));
        self.run(&sandbox::everything(vec![Selection { service: service.clone(), target }])).await
    }

    /// The same, with the error itself.
    pub(super) async fn apply_or_error(
        &self,
        service: &ServiceName,
        target: &MigrationName,
    ) -> Result<(), RunError> {
        let target = Some(TargetPoint::Name(target.to_string()));
        self.run_or_error(&sandbox::everything(vec![Selection { service: service.clone(), target }])).await
    }

    /// Reverts down to a migration, which stays, or everything of the service.
    pub(super) async fn revert(&self, service: &ServiceName, target: Option<&MigrationName>) -> Outcome {
        let target = Some(target.map_or(TargetPoint::Base, |name| TargetPoint::Name(name.to_string())));
        let selections = vec![Selection { service: service.clone(), target }];
        self.run(&Goal::Revert { selections }).await
    }

    async fn run(&self, goal: &Goal) -> Outcome {
        self.run_or_error(goal).await.map_err(|error| says(&error))
    }

    async fn run_or_error(&self, goal: &Goal) -> Result<(), RunError> {
        // A run is a large future: on the heap, it leaves the stack to what it calls.
        let report = Box::pin(run(&self.deployment, goal, &sandbox::options())).await;
        match report?.failures.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// What a service's applied migrations promise and does not hold.
    pub(super) async fn broken(&self, service: &ServiceName) -> Vec<String> {
        let mut broken = Vec::new();
        for verification in verify(&self.deployment, std::slice::from_ref(service), Scope::Everything).await {
            let results = verification.results.into_iter().flatten().filter(|result| !result.holds);
            broken.extend(results.map(|result| format!("`{}`: {result}", result.migration)));
        }
        broken
    }

    /// Makes the history as if a run of a migration had been killed at its end: the journal says that it was begun, and an applied one is
    /// not in the version table; one that was reverted had left that before.
    pub(super) fn forget_end(
        &self,
        service: &ServiceName,
        migration: &MigrationName,
        direction: Direction,
    ) -> Result<(), RehearsalError> {
        let tables = self.deployment.bookkeeping_tables(service);
        let (service, schema, _) =
            self.deployment.service(service).expect("a trial is of one of its services");
        let name = literal(migration.as_str());
        let journal = tables.iter().find(|table| table.starts_with("migration_journal_"));
        let journal = qualified(schema, journal.map_or("", String::as_str));
        let begun = format!(
            "UPDATE {journal} SET outcome = 'running', finished_at = NULL \
             WHERE id = (SELECT max(id) FROM {journal} WHERE migration = {name})"
        );
        self.database.psql(&match direction {
            Direction::Apply => {
                let table = qualified(schema, service.version_table());
                format!("DELETE FROM {table} WHERE version = {name}; {begun}")
            }
            Direction::Revert => begun,
        })?;
        Ok(())
    }

    /// The schema of a service, without the tables that keep its history. It is made where it is missing.
    pub(super) async fn schema(&self, service: &ServiceName) -> Result<Schema, RehearsalError> {
        let (_, schema, database) =
            self.deployment.service(service).expect("a trial is of one of its services");
        let read = drift::read(&self.deployment.databases()[database], service, schema).await?;
        Ok(without_bookkeeping(read, &self.deployment.bookkeeping_tables(service)))
    }
}

/// How a schema differs from what it should be, one line each.
pub(super) fn differences(expected: &Schema, found: &Schema) -> Vec<String> {
    expected.differences(found).iter().map(ToString::to_string).collect()
}

/// An error with its causes, but for those that the one before quotes.
pub(super) fn says(error: &dyn Error) -> String {
    let mut says = error.to_string();
    for cause in iter::successors(error.source(), |&cause| cause.source()).map(ToString::to_string) {
        if !says.contains(&cause) {
            says = format!("{says}: {cause}");
        }
    }
    says
}
