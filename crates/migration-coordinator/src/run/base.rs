//! What a service's later migrations rely on: before anything is built on applied migrations, they are asked for the columns,
//! defaults, keys, indexes and triggers that they promise. They may have been recorded by hand or applied by another tool,
//! and what they made may have been taken away since. Before migrations are reverted, whether the tables are there that they name.

use std::collections::HashSet;
use std::time::Duration;

use migration_kit::MigrationName;
use migration_plan::{Direction, Plan};

use super::accept::AcceptedDifference;
use super::{Run, RunError};
use crate::check_result::CheckResult;
use crate::deployment::{Deployment, Placed};
use crate::reading::{PATIENCE, Reading};
use crate::survey::ServiceFacts;
use crate::verify::{self, Difference};

impl Run<'_> {
    /// Refuses to apply migrations on top of some that are not what they promise, and to begin to revert some whose tables are
    /// gone.
    ///
    /// # Errors
    /// [`RunError::Base`] with everything that is not as it should be in the first such service; [`RunError::Survey`] if it
    /// could not be asked, [`RunError::Lock`] if another run is at work.
    pub(super) async fn base_is_sound(
        &self,
        plan: &Plan,
        accepted: &[AcceptedDifference],
    ) -> Result<(), RunError> {
        for service in plan.services() {
            let (Some(placed), Some(facts)) = (self.deployment.placed(service), self.survey.service(service))
            else {
                continue;
            };
            let patience = self.options.table_locks.patience;
            let unmet = async |facts: &ServiceFacts| {
                unmet_by(self.deployment, (placed, facts), plan, accepted, patience).await
            };
            let mut differences = unmet(facts).await?;
            if !differences.is_empty() {
                // What another run is removing at this moment is not lost.
                let facts = self.read_under_lock(placed).await?;
                differences = unmet(&facts).await?;
            }
            if !differences.is_empty() {
                return Err(RunError::Base { service: service.clone(), differences });
            }
        }
        Ok(())
    }

    /// What is recorded of a service while no other run is at work on it.
    async fn read_under_lock(&self, placed: &Placed) -> Result<ServiceFacts, RunError> {
        let session = self.open(placed).await?;
        let read = async {
            let locked = self.take_lock((placed, &session)).await?;
            let patience = self.options.table_locks.patience;
            let facts = locked.survey(self.deployment, patience).await;
            let facts = facts.map_err(|source| self.unread(placed, source))?;
            facts.unread.clone().map_or(Ok(facts), |error| Err(RunError::Survey(error)))
        }
        .await;
        session.close().await;
        read
    }
}

/// What is not as the applied migrations of a service promise: tables that those name which are to be reverted; and, where
/// something is to be applied, all that was not accepted and is not reverted first.
/// The connections wait so long for a lock.
async fn unmet_by(
    deployment: &Deployment,
    (placed, facts): (&Placed, &ServiceFacts),
    plan: &Plan,
    accepted: &[AcceptedDifference],
    patience: Duration,
) -> Result<Vec<Difference>, RunError> {
    let url = &deployment.databases()[placed.site.database];
    let steps = || plan.steps_of(&facts.service);
    let applies = steps().any(|step| step.direction == Direction::Apply);
    let reverted = steps().filter(|step| step.direction == Direction::Revert);
    let reverted: HashSet<&MigrationName> = reverted.map(|step| &step.id.name).collect();
    let applied: HashSet<&MigrationName> = facts.applied.iter().map(|applied| &applied.name).collect();
    // One that was begun, or is applied once more after a run that was killed at its end, may have removed already what it
    // removes.
    let to_apply = steps().filter(|step| step.direction == Direction::Apply).map(|step| &step.id.name);
    let ended = applied.iter().copied().chain(facts.begun()).chain(to_apply).collect();
    let mut gone = Vec::new();
    if !reverted.is_empty() && !applied.is_empty() {
        gone = unmet(Reading::open_within(url, patience).await?, (placed, facts.installed), &applied, &ended)
            .await?;
        gone.retain(|found| found.is_lost_table() && names(placed, &reverted, &found.object));
    }
    if !gone.is_empty() || !applies {
        return Ok(gone);
    }
    // What is reverted first makes its things anew.
    let asked: HashSet<&MigrationName> = applied.difference(&reverted).copied().collect();
    if asked.is_empty() {
        return Ok(gone);
    }
    let reading = Reading::open_within(url, patience).await?;
    let mut differences = unmet(reading, (placed, facts.installed), &asked, &ended).await?;
    differences.retain(|found| {
        let is_it = |accepted: &AcceptedDifference| {
            accepted.acceptance.service == facts.service && accepted.acceptance.object == found.object
        };
        found.accepted.is_none() && !accepted.iter().any(is_it)
    });
    Ok(differences)
}

/// What keeps a plan from beginning since applied migrations are not what they promise. Of a service at which another run is at work it is
/// not known.
///
/// # Errors
/// [`RunError::Survey`] if a database could not be asked.
pub(super) async fn unsound(
    deployment: &Deployment,
    facts: &ServiceFacts,
    plan: &Plan,
) -> Result<Option<RunError>, RunError> {
    let Some(placed) = deployment.placed(&facts.service).filter(|_| facts.holder.is_none()) else {
        return Ok(None);
    };
    let differences = unmet_by(deployment, (placed, facts), plan, &[], PATIENCE).await?;
    let service = facts.service.clone();
    Ok((!differences.is_empty()).then_some(RunError::Base { service, differences }))
}

/// Whether a check of these migrations names a table, or something of it.
fn names(placed: &Placed, migrations: &HashSet<&MigrationName>, table: &str) -> bool {
    let is_of = |object: &String| {
        object.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let none = HashSet::new();
    placed.checks_of(migrations, &none).any(|(_, check)| check.objects().iter().any(is_of))
}

/// What is not as these migrations of a service promise: those that are claimed to be applied, beside those that are.
///
/// # Errors
/// [`RunError::Survey`] if the database could not be asked.
pub async fn unmet_promises(
    deployment: &Deployment,
    facts: &ServiceFacts,
    claimed: &[MigrationName],
) -> Result<Vec<Difference>, RunError> {
    let Some(Claimed { placed, asked, applied, reading }) = Claimed::of(deployment, facts, claimed).await?
    else {
        return Ok(Vec::new());
    };
    let mut unmet = unmet(reading, (placed, facts.installed), &asked, &applied).await?;
    unmet.retain(|found| found.accepted.is_none());
    Ok(unmet)
}

/// What these migrations of a service, which are claimed to be applied, promise of its rows and does not hold, or could not be asked.
///
/// # Errors
/// [`RunError::Connect`] without a connection.
pub async fn unkept_by_rows(
    deployment: &Deployment,
    facts: &ServiceFacts,
    claimed: &[MigrationName],
) -> Result<Vec<CheckResult>, RunError> {
    let Some(Claimed { placed, asked, applied, mut reading }) =
        Claimed::of(deployment, facts, claimed).await?
    else {
        return Ok(Vec::new());
    };
    let mut unkept = Vec::new();
    for (migration, check) in placed.checks_of(&asked, &applied) {
        if !check.is_of_schema() {
            let result = verify::ask_alone(&mut reading, placed, migration, check).await;
            unkept.extend((!result.holds).then_some(result));
        }
    }
    reading.close().await;
    Ok(unkept)
}

/// The first migration of a plan that would take over a table which is there and is not as it promises. What it tolerates besides, only it
/// knows.
///
/// # Errors
/// [`RunError::Survey`] if the database could not be asked.
pub(super) async fn not_as_expected(
    deployment: &Deployment,
    facts: &ServiceFacts,
    plan: &Plan,
) -> Result<Option<RunError>, RunError> {
    let there = &facts.collisions.adoptable;
    let Some(placed) = deployment.placed(&facts.service).filter(|_| !there.is_empty()) else {
        return Ok(None);
    };
    for step in plan.steps_of(&facts.service).filter(|step| step.direction == Direction::Apply) {
        let Some(listed) = placed.service.migration(&step.id.name) else { continue };
        let mut adopted = listed.details().adopts.iter();
        if adopted.any(|table| there.iter().any(|there| there.name == *table)) {
            let claimed = [step.id.name.clone()];
            let differences = unmet_promises(deployment, facts, &claimed).await?;
            if !differences.is_empty() {
                return Ok(Some(RunError::NotAsExpected { id: step.id.clone(), differences }));
            }
        }
    }
    Ok(None)
}

/// Migrations of a service that are claimed to be applied, and what is asked about them.
struct Claimed<'c> {
    placed: &'c Placed,
    asked: HashSet<&'c MigrationName>,
    /// These, and those that are applied.
    applied: HashSet<&'c MigrationName>,
    reading: Reading<'c>,
}

impl<'c> Claimed<'c> {
    /// Connects; `None` for a service that is not known.
    async fn of(
        deployment: &'c Deployment,
        facts: &'c ServiceFacts,
        claimed: &'c [MigrationName],
    ) -> Result<Option<Self>, RunError> {
        let Some(placed) = deployment.placed(&facts.service) else { return Ok(None) };
        let applied = facts.applied.iter().map(|applied| &applied.name).chain(claimed).collect();
        let reading = Reading::open(&deployment.databases()[placed.site.database]).await?;
        Ok(Some(Self { placed, asked: claimed.iter().collect(), applied, reading }))
    }
}

/// What is not as these migrations promise where all of `applied` are.
async fn unmet(
    mut reading: Reading<'_>,
    (placed, is_installed): (&Placed, bool),
    asked: &HashSet<&MigrationName>,
    applied: &HashSet<&MigrationName>,
) -> Result<Vec<Difference>, RunError> {
    let checks = placed.checks_of(asked, applied).map(|(_, check)| check);
    let differences = verify::differences(&mut reading, placed, checks, is_installed).await;
    let url = reading.url();
    reading.close().await;
    differences.map_err(|source| RunError::unread(url, source))
}
