//! Each migration forwards, back and forwards again, with equal schemas. One outside a transaction does its work twice in both
//! directions, as after a kill at its very end. What is declared irreversible is not reverted, nor is what is before it.

use migration_kit::{MigrationName, Service, ServiceName, quote_identifier};
use postgres_sandbox::Cluster;
use postgres_schema::Schema;

use super::Finding;
use super::trial::{Outcome, Trial, differences};
use crate::RehearsalError;

pub(super) async fn check(
    cluster: &Cluster,
    services: Vec<Service>,
    service: &ServiceName,
) -> Result<Vec<Finding>, RehearsalError> {
    let trial = Trial::new(cluster, services)?;
    let schema = quote_identifier(trial.service(service).default_schema());
    trial.database.psql(&format!("CREATE SCHEMA IF NOT EXISTS {schema}"))?;
    let names: Vec<MigrationName> =
        trial.service(service).migrations().map(|listed| listed.name().clone()).collect();
    let mut round = Round { trial: &trial, service, findings: Vec::new() };
    let mut before: Option<&MigrationName> = None;
    for name in &names {
        // What comes after one that does not work cannot be tried.
        if !round.of(name, before).await? {
            return Ok(round.findings);
        }
        before = Some(name);
    }
    Ok(round.findings)
}

/// The round trips of one service.
struct Round<'t> {
    trial: &'t Trial,
    service: &'t ServiceName,
    findings: Vec<Finding>,
}

impl Round<'_> {
    /// One migration, on top of those before it; whether it is applied in the end.
    async fn of(
        &mut self,
        name: &MigrationName,
        before: Option<&MigrationName>,
    ) -> Result<bool, RehearsalError> {
        let (trial, service) = (self.trial, self.service);
        let Some(listed) = trial.service(service).migration(name) else { return Ok(false) };
        let is_first = before.is_none();
        let (transactional, reversible) =
            (listed.is_transactional(), listed.details().irreversible.is_none());
        let schema_before = trial.schema(service).await?;
        if !self.works(name, "it cannot be applied", &trial.apply(service, Some(name)).await) {
            return Ok(false);
        }
        let broken = trial.broken(service).await;
        let unkept =
            |says: &String| Finding::of(name, format!("what is promised does not hold after it: {says}"));
        self.findings.extend(broken.iter().map(unkept));
        let after = trial.schema(service).await?;
        // A version table without rows beside tables is a history that was lost.
        if !transactional && !is_first {
            trial.set_applied(service, name, false)?;
            if !self.works(
                name,
                "it cannot be applied once more, as after a kill at its end",
                &trial.apply(service, Some(name)).await,
            ) {
                return Ok(false);
            }
            self.same(name, "after it was applied twice", &after).await?;
        }
        if !reversible {
            return Ok(true);
        }
        if !self.works(name, "it cannot be reverted", &trial.revert(service, before).await) {
            return Ok(false);
        }
        self.same(name, "after it was reverted", &schema_before).await?;
        if !transactional {
            trial.set_applied(service, name, true)?;
            if !self.works(
                name,
                "it cannot be reverted once more, as after a kill at its end",
                &trial.revert(service, before).await,
            ) {
                return Ok(false);
            }
            self.same(name, "after it was reverted twice", &schema_before).await?;
        }
        if !self.works(
            name,
            "it cannot be applied again after it was reverted",
            &trial.apply(service, Some(name)).await,
        ) {
            return Ok(false);
        }
        self.same(name, "after it was applied again", &after).await?;
        Ok(true)
    }

    fn works(&mut self, name: &MigrationName, what: &str, outcome: &Outcome) -> bool {
        let failure = outcome.as_ref().err().map(|says| Finding::of(name, format!("{what}: {says}")));
        self.findings.extend(failure);
        outcome.is_ok()
    }

    async fn same(
        &mut self,
        name: &MigrationName,
        when: &str,
        expected: &Schema,
    ) -> Result<(), RehearsalError> {
        let differ = differences(expected, &self.trial.schema(self.service).await?);
        if !differ.is_empty() {
            self.findings
                .push(Finding::of(name, format!("the schema is another one {when}: {}", differ.join("; "))));
        }
        Ok(())
    }
}
