//! Each migration forwards, each back, and all forwards again in one run, with equal schemas. One outside a transaction does its
//! work twice in both directions, as after a kill at its very end. What is declared irreversible is not reverted; what is before
//! it is, before it is applied.
//!
//! Where this happens, and how a migration in steps is interrupted, is its caller's to say: [`Ground`].

use migration_kit::{Listed, MigrationName, Service, ServiceName};
use migration_plan::Direction;
use postgres_sandbox::Cluster;
use postgres_schema::Schema;

use super::trial::{Outcome, Trial, differences};
use super::{Finding, alone};
use crate::RehearsalError;

/// A database in which the migrations of one service are tried.
pub trait Ground {
    /// The service.
    fn service(&self) -> &Service;

    /// Applies one migration, those before it being applied.
    fn apply(&mut self, migration: &Listed) -> impl Future<Output = Outcome>;

    /// Reverts the last applied migration, down to the one before it.
    fn revert(&mut self, migration: &Listed, before: Option<&MigrationName>)
    -> impl Future<Output = Outcome>;

    /// Has a migration in steps do once more what it just did. `None` where that makes no sense, or was done.
    fn again(
        &mut self,
        migration: &Listed,
        direction: Direction,
        before: Option<&MigrationName>,
    ) -> impl Future<Output = Result<Option<Outcome>, RehearsalError>>;

    /// Applies everything up to a migration in one run.
    fn apply_up_to(&mut self, migration: &MigrationName) -> impl Future<Output = Outcome>;

    /// What applied migrations promise and does not hold, one sentence each.
    fn broken(&mut self) -> impl Future<Output = Vec<String>>;

    /// The service's schema, without the tables that keep its history.
    fn schema(&mut self) -> impl Future<Output = Result<Schema, RehearsalError>>;
}

/// What round trips of a service's migrations find. After a failure, or a schema that is another one, nothing further is tried.
///
/// # Errors
/// [`RehearsalError`]: the server cannot be asked. What a migration does wrong is a finding.
pub async fn round_trips(ground: &mut impl Ground) -> Result<Vec<Finding>, RehearsalError> {
    let service = ground.service().clone();
    let mut walk = Walk { ground, findings: Vec::new() };
    match walk.go(&service).await {
        Ok(()) | Err(Stop::Found) => Ok(walk.findings),
        Err(Stop::Failed(error)) => Err(error),
    }
}

pub(super) async fn check(
    cluster: &Cluster,
    services: Vec<Service>,
    service: &ServiceName,
) -> Result<Vec<Finding>, RehearsalError> {
    let trial = Trial::new(cluster, alone::required(services, service)?)?;
    trial.create_schema(service)?;
    round_trips(&mut Twice { trial: &trial, service }).await
}

/// A database of the rehearsal's own, where migrations in steps are not interrupted, and do their work twice.
struct Twice<'t> {
    trial: &'t Trial,
    service: &'t ServiceName,
}

impl Ground for Twice<'_> {
    fn service(&self) -> &Service {
        self.trial.service(self.service)
    }

    async fn apply(&mut self, migration: &Listed) -> Outcome {
        self.trial.apply(self.service, Some(migration.name())).await
    }

    async fn revert(&mut self, _: &Listed, before: Option<&MigrationName>) -> Outcome {
        self.trial.revert(self.service, before).await
    }

    async fn again(
        &mut self,
        migration: &Listed,
        direction: Direction,
        before: Option<&MigrationName>,
    ) -> Result<Option<Outcome>, RehearsalError> {
        let is_reverted = direction == Direction::Revert;
        // A version table without rows beside tables is a history that was lost.
        if !is_reverted && before.is_none() {
            return Ok(None);
        }
        self.trial.forget_end(self.service, migration.name(), direction)?;
        Ok(Some(if is_reverted {
            self.trial.revert(self.service, before).await
        } else {
            self.trial.apply(self.service, Some(migration.name())).await
        }))
    }

    async fn apply_up_to(&mut self, migration: &MigrationName) -> Outcome {
        self.trial.apply(self.service, Some(migration)).await
    }

    async fn broken(&mut self) -> Vec<String> {
        self.trial.broken(self.service).await
    }

    async fn schema(&mut self) -> Result<Schema, RehearsalError> {
        self.trial.schema(self.service).await
    }
}

/// Why a walk ends early.
enum Stop {
    /// With a finding.
    Found,
    Failed(RehearsalError),
}

impl From<RehearsalError> for Stop {
    fn from(error: RehearsalError) -> Self {
        Self::Failed(error)
    }
}

/// Migrations after one another that can all be reverted.
struct Section<'s> {
    /// What they are reverted to; nothing before the first migration.
    floor: Option<&'s MigrationName>,
    /// Each with the schema before it.
    steps: Vec<(&'s Listed, Schema)>,
    head: Schema,
}

struct Walk<'g, G> {
    ground: &'g mut G,
    findings: Vec<Finding>,
}

impl<G: Ground> Walk<'_, G> {
    async fn go(&mut self, service: &Service) -> Result<(), Stop> {
        let mut section = Section { floor: None, steps: Vec::new(), head: self.ground.schema().await? };
        let mut before = None;
        for listed in service.migrations() {
            let name = listed.name();
            let is_irreversible = listed.details().irreversible.is_some();
            if is_irreversible {
                self.there_and_back(&section).await?;
            }
            let outcome = self.ground.apply(listed).await;
            self.works(name, "it cannot be applied", outcome)?;
            self.holds(Some(name), "after it").await;
            let head = self.ground.schema().await?;
            if !listed.is_transactional()
                && let Some(outcome) = self.ground.again(listed, Direction::Apply, before).await?
            {
                self.works(name, "it cannot be applied once more, as after a kill at its end", outcome)?;
                self.same(Some(name), "after it was applied twice", &head).await?;
            }
            if is_irreversible {
                section = Section { floor: Some(name), steps: Vec::new(), head };
            } else {
                let schema_before = std::mem::replace(&mut section.head, head);
                section.steps.push((listed, schema_before));
            }
            before = Some(name);
        }
        self.there_and_back(&section).await?;
        self.holds(None, "after they were reverted and applied again").await;
        Ok(())
    }

    /// Reverts the migrations one by one, and applies them again in one run.
    async fn there_and_back(&mut self, section: &Section<'_>) -> Result<(), Stop> {
        let Some((last, _)) = section.steps.last() else { return Ok(()) };
        for (number, (listed, schema_before)) in section.steps.iter().enumerate().rev() {
            let name = listed.name();
            let before =
                number.checked_sub(1).map_or(section.floor, |place| Some(section.steps[place].0.name()));
            let outcome = self.ground.revert(listed, before).await;
            self.works(name, "it cannot be reverted", outcome)?;
            self.same(Some(name), "after it was reverted", schema_before).await?;
            if !listed.is_transactional()
                && let Some(outcome) = self.ground.again(listed, Direction::Revert, before).await?
            {
                self.works(name, "it cannot be reverted once more, as after a kill at its end", outcome)?;
                self.same(Some(name), "after it was reverted twice", schema_before).await?;
            }
        }
        let outcome = self.ground.apply_up_to(last.name()).await;
        if let Err(says) = outcome {
            let message = format!("they cannot be applied again after they were reverted: {says}");
            self.findings.push(Finding::general(message));
            return Err(Stop::Found);
        }
        self.same(None, "after what was reverted step by step was applied again", &section.head).await
    }

    fn works(&mut self, name: &MigrationName, what: &str, outcome: Outcome) -> Result<(), Stop> {
        outcome.map_err(|says| {
            self.findings.push(Finding::of(name, format!("{what}: {says}")));
            Stop::Found
        })
    }

    async fn same(
        &mut self,
        name: Option<&MigrationName>,
        when: &str,
        expected: &Schema,
    ) -> Result<(), Stop> {
        let differ = differences(expected, &self.ground.schema().await?);
        if differ.is_empty() {
            return Ok(());
        }
        let message = format!("the schema is another one {when}: {}", differ.join("; "));
        self.findings.push(Finding::new(name.cloned(), message));
        Err(Stop::Found)
    }

    async fn holds(&mut self, name: Option<&MigrationName>, when: &str) {
        for says in self.ground.broken().await {
            let message = format!("what is promised does not hold {when}: {says}");
            self.findings.push(Finding::new(name.cloned(), message));
        }
    }
}
