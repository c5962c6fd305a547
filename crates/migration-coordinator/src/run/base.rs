//! What a service's later migrations rely on where nobody here made it: migrations that were recorded by hand, or applied by
//! another tool, are asked for the columns, defaults and keys that they promise before anything is built on them.

use std::collections::HashSet;
use std::sync::Arc;

use migration_kit::MigrationName;
use migration_plan::{Direction, Plan};

use super::RunError;
use super::accept::AcceptedDifference;
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::survey::{JournalFacts, ServiceFacts, Survey, SurveyError};
use crate::verify::{self, Difference};

/// Refuses to apply migrations on top of some that the journal does not know and that are not what they promise.
///
/// # Errors
/// [`RunError::Base`] with everything that is missing in the first such service; [`RunError::Survey`] if it could not be
/// asked.
pub(super) async fn is_sound(
    deployment: &Deployment,
    survey: &Survey,
    plan: &Plan,
    accepted: &[AcceptedDifference],
) -> Result<(), RunError> {
    let applies =
        |facts: &&ServiceFacts| plan.steps_of(&facts.service).any(|step| step.direction == Direction::Apply);
    for facts in survey.services.iter().filter(applies) {
        let Some(placed) = deployment.placed(&facts.service) else { continue };
        let mut differences = of_service(deployment, placed, facts).await?;
        differences.retain(|found| {
            let is_it = |accepted: &AcceptedDifference| {
                accepted.acceptance.service == facts.service && accepted.acceptance.object == found.object
            };
            found.accepted.is_none() && !accepted.iter().any(is_it)
        });
        if !differences.is_empty() {
            return Err(RunError::Base { service: facts.service.clone(), differences });
        }
    }
    Ok(())
}

/// What is not as these migrations of a service promise: those that somebody claims to be applied, beside what is.
///
/// # Errors
/// [`RunError::Survey`] if the database could not be asked.
pub async fn unmet_promises(
    deployment: &Deployment,
    facts: &ServiceFacts,
    claimed: &[MigrationName],
) -> Result<Vec<Difference>, RunError> {
    let Some(placed) = deployment.placed(&facts.service) else { return Ok(Vec::new()) };
    let asked: HashSet<&MigrationName> = claimed.iter().collect();
    let applied = facts.applied.iter().map(|applied| &applied.name).chain(claimed).collect();
    let mut unmet = unmet(deployment, (placed, facts.installed), &asked, &applied).await?;
    unmet.retain(|found| found.accepted.is_none());
    Ok(unmet)
}

/// What is not as the recorded migrations of a service promise.
async fn of_service(
    deployment: &Deployment,
    placed: &Placed,
    facts: &ServiceFacts,
) -> Result<Vec<Difference>, RunError> {
    let is_ours = |name: &MigrationName| facts.journal.get(name).is_some_and(JournalFacts::is_applied);
    let applied: HashSet<&MigrationName> = facts.applied.iter().map(|applied| &applied.name).collect();
    let recorded: HashSet<&MigrationName> = applied.iter().copied().filter(|name| !is_ours(name)).collect();
    unmet(deployment, (placed, facts.installed), &recorded, &applied).await
}

/// What is not as these migrations promise where all of `applied` are.
async fn unmet(
    deployment: &Deployment,
    (placed, is_installed): (&Placed, bool),
    asked: &HashSet<&MigrationName>,
    applied: &HashSet<&MigrationName>,
) -> Result<Vec<Difference>, RunError> {
    if asked.is_empty() {
        return Ok(Vec::new());
    }
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open(url).await?;
    let checks = verify::checks_of(placed, asked, applied).map(|(_, check)| check);
    let differences = verify::differences(&mut reading, placed, checks, is_installed).await;
    reading.close().await;
    differences.map_err(|source| {
        RunError::Survey(Arc::new(SurveyError::Query { database: url.to_string(), source }))
    })
}
