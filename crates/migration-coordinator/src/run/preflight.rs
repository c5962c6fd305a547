//! What could only fail later is refused before anything is locked.

use std::collections::BTreeSet;

use migration_kit::ServiceName;
use migration_plan::{Direction, Plan};

use super::{RunError, RunOptions};
use crate::deployment::Deployment;
use crate::survey::{ServerFacts, Survey};

/// Refuses before anything is locked what could only fail later.
pub(super) fn preflight(
    deployment: &Deployment,
    survey: &Survey,
    plan: &Plan,
    options: &RunOptions,
) -> Result<(), RunError> {
    for service in plan.services() {
        let (Some(facts), Some(server)) = (survey.service(service), server(deployment, survey, service))
        else {
            continue;
        };
        if server.read_only {
            return Err(RunError::ReadOnly { database: server.database.clone() });
        }
        let missing = match (facts.schema_exists, facts.may_create, facts.may_write) {
            (false, false, _) => Some(format!("create schemas in database `{}`", server.database)),
            (true, false, _) => Some("create tables in its schema".to_owned()),
            (_, _, false) => Some("write its version table and journal".to_owned()),
            _ => None,
        };
        if let Some(missing) = missing {
            return Err(RunError::Rights { service: service.clone(), user: server.user.clone(), missing });
        }
    }
    if !options.allow_data_loss {
        for step in plan.steps().iter().filter(|step| step.direction == Direction::Apply) {
            if let Some(what) = deployment.catalog().migration(&step.id).and_then(|known| known.loses.clone())
            {
                return Err(RunError::DataLoss { id: step.id.clone(), what });
            }
        }
    }
    if options.atomic {
        atomic_is_possible(deployment, plan)?;
    }
    Ok(())
}

pub(super) fn atomic_is_possible(deployment: &Deployment, plan: &Plan) -> Result<(), RunError> {
    if let Some(step) = plan.steps().iter().find(|step| !step.transactional) {
        let why = format!("`{}` does not run in a transaction", step.id);
        return Err(RunError::Atomic { why });
    }
    let databases: BTreeSet<usize> = plan
        .services()
        .into_iter()
        .filter_map(|name| deployment.placed(name))
        .map(|placed| placed.database)
        .collect();
    if databases.len() > 1 {
        return Err(RunError::Atomic { why: "the services live in several databases".to_owned() });
    }
    Ok(())
}

pub(super) fn server<'s>(
    deployment: &Deployment,
    survey: &'s Survey,
    service: &ServiceName,
) -> Option<&'s ServerFacts> {
    survey.databases.get(deployment.placed(service)?.database)?.as_ref().ok()
}
