//! What is refused before anything is locked or changed, because it could only fail later or must not happen.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use migration_kit::ServiceName;
use migration_plan::{Direction, History, Plan, PlanError};

use super::RunError;
use super::{RunOptions, TakeOver};
use crate::attached::attached_to;
use crate::deployment::{Deployment, Placed};
use crate::edited::edited;
use crate::survey::{ServerFacts, ServiceFacts, Survey};

/// Refuses a service of which an applied migration was edited.
pub(super) fn unedited(placed: &Placed, facts: &ServiceFacts) -> Result<(), RunError> {
    let migrations = edited(placed, facts);
    if migrations.is_empty() {
        Ok(())
    } else {
        Err(RunError::Edited { service: facts.service.clone(), migrations })
    }
}

/// The error for services of which something could not be read. Services that a run does not touch need not be well.
pub(super) fn readable(survey: &Survey, touched: &BTreeSet<&ServiceName>) -> Result<(), RunError> {
    let unread = |facts: &&ServiceFacts| touched.contains(&facts.service) && facts.unread.is_some();
    match survey.services.iter().find(unread).and_then(|facts| facts.unread.clone()) {
        Some(error) => Err(RunError::Survey(error)),
        None => Ok(()),
    }
}

/// Refuses services of one schema whose addresses differ and lead to one database: nothing that is asked of services in one schema
/// was asked of them.
///
/// # Errors
/// [`RunError::Addresses`] with the first two, one of them among these.
pub fn one_address(
    deployment: &Deployment,
    survey: &Survey,
    touched: &BTreeSet<&ServiceName>,
) -> Result<(), RunError> {
    let mut first_with: HashMap<&str, Vec<usize>> = HashMap::new();
    for (index, server) in survey.databases.iter().enumerate() {
        let Ok(server) = server else { continue };
        let earlier = first_with.entry(server.identity.as_str()).or_default();
        for &other in earlier.iter().filter(|&&earlier| !deployment.is_one_database(earlier, index)) {
            let mut meeting = deployment.meeting(other, index);
            if let Some((first, second, schema)) =
                meeting.find(|(first, second, _)| touched.contains(first) || touched.contains(second))
            {
                return Err(RunError::Addresses {
                    services: [first.clone(), second.clone()],
                    schema: schema.to_owned(),
                    addresses: [other, index].map(|index| deployment.databases()[index].to_string()),
                });
            }
        }
        earlier.push(index);
    }
    Ok(())
}

/// Says why there is no plan; where a history is missing for it, why that could not be read.
pub(super) fn no_plan(error: PlanError, survey: &Survey) -> RunError {
    let unread = match &error {
        PlanError::HistoryNotRead { service } => {
            survey.service(service).and_then(|facts| facts.unread.clone())
        }
        _ => None,
    };
    unread.map_or_else(|| RunError::Plan(error), RunError::Survey)
}

/// Refuses what could only fail: no right to write, or no transaction for all.
pub(super) fn possible(
    deployment: &Deployment,
    survey: &Survey,
    plan: &Plan,
    options: &RunOptions,
) -> Result<(), RunError> {
    for service in plan.services() {
        let Some(facts) = survey.service(service) else { continue };
        let Some(server) = server(deployment, survey, facts) else { continue };
        if server.read_only {
            return Err(RunError::ReadOnly { database: server.database.clone() });
        }
        let missing = match (facts.schema_exists, facts.may_create, facts.may_write) {
            (false, false, _) => Some(format!("create schemas in database `{}`", server.database)),
            (true, false, _) => Some("create tables in its schema".to_owned()),
            (_, _, false) => Some("write its version table and journal".to_owned()),
            _ if !server.may_create_temporary && plan.steps_of(service).any(|step| !step.transactional) => {
                Some(format!("create temporary tables in database `{}`", server.database))
            }
            _ => None,
        };
        if let (true, Some(placed)) = (facts.is_distributed, deployment.placed(service)) {
            where_they_are(placed, plan)?;
        }
        if let Some(missing) = missing {
            return Err(RunError::Rights { service: service.clone(), user: server.user.clone(), missing });
        }
    }
    if options.atomic { atomic(deployment, plan) } else { Ok(()) }
}

/// Refuses to apply anything where text may be bytes that are none: a migration would stop midway at the first row that it
/// reads, or lists, with such bytes. Whoever deploys may know that there are none.
pub(super) fn text_is_text(deployment: &Deployment, survey: &Survey, plan: &Plan) -> Result<(), RunError> {
    if deployment.allows_any_bytes() {
        return Ok(());
    }
    let servers = applied_on(survey, plan).filter_map(|facts| server(deployment, survey, facts));
    match servers.into_iter().find(|server| server.encoding == "SQL_ASCII") {
        Some(server) => Err(RunError::Encoding { database: server.database.clone() }),
        None => Ok(()),
    }
}

/// Refuses what needs the service's tables on the node that migrates, where they are on another one.
fn where_they_are(placed: &Placed, plan: &Plan) -> Result<(), RunError> {
    for step in plan.steps_of(placed.name()) {
        let Some(listed) = placed.service.migration(&step.id.name) else { continue };
        let details = listed.details();
        let to_revert = (step.direction == Direction::Revert).then_some(details.one_node_to_revert.as_ref());
        if let Some(reason) = details.one_node.as_ref().or(to_revert.flatten()) {
            let (id, direction) = (step.id.clone(), step.direction);
            return Err(RunError::OneNode { id, direction, reason: reason.clone() });
        }
    }
    Ok(())
}

/// Refuses a plan that loses data, unless that is wanted. In a first install there is none yet; whether there still is none
/// is asked before the step.
pub(super) fn consented(
    deployment: &Deployment,
    plan: &Plan,
    history: &History,
    options: &RunOptions,
) -> Result<(), RunError> {
    if options.allow_data_loss {
        return Ok(());
    }
    let applied = plan.steps().iter().filter(|step| step.direction == Direction::Apply);
    for step in applied.filter(|step| !history.is_first_install(&step.id.service)) {
        if let Some(what) = deployment.catalog().migration(&step.id).and_then(|known| known.loses.clone()) {
            return Err(RunError::DataLoss { id: step.id.clone(), what });
        }
    }
    Ok(())
}

/// What keeps a run from beginning with a service that is empty: tables of an earlier system elsewhere, unless new ones
/// beside them are wanted, and names that are taken.
#[must_use]
pub fn obstructions(deployment: &Deployment, facts: &ServiceFacts) -> Vec<RunError> {
    twins(deployment, facts).into_iter().chain(collisions(deployment, facts)).collect()
}

fn twins(deployment: &Deployment, facts: &ServiceFacts) -> Option<RunError> {
    let placed = deployment.placed(&facts.service).filter(|_| !facts.twins.is_empty())?;
    Some(RunError::Twins {
        service: facts.service.clone(),
        schema: placed.site.schema.clone(),
        twins: facts.twins.clone(),
        take_over: TakeOver::of(placed, &facts.twins),
    })
}

fn collisions(deployment: &Deployment, facts: &ServiceFacts) -> Option<RunError> {
    let placed = deployment.placed(&facts.service).filter(|_| !facts.collisions.objects.is_empty())?;
    let (service, schema) = (facts.service.clone(), placed.site.schema.clone());
    Some(RunError::Collisions { service, schema, collisions: facts.collisions.clone() })
}

/// Refuses to change, for a service of which nothing is applied in a schema that it shares, what merely bears its names there.
///
/// # Errors
/// [`RunError::Collisions`].
pub fn not_of_others(deployment: &Deployment, facts: &ServiceFacts) -> Result<(), RunError> {
    if !deployment.shares_schema(&facts.service) {
        return Ok(());
    }
    let mut facts = facts.clone();
    facts.collisions.objects.append(&mut facts.collisions.adoptable);
    no_collision(deployment, &facts)
}

/// What was read of the services on which something is to be applied.
pub(super) fn applied_on<'s>(survey: &'s Survey, plan: &'s Plan) -> impl Iterator<Item = &'s ServiceFacts> {
    let applies =
        |service: &&ServiceName| plan.steps_of(service).any(|step| step.direction == Direction::Apply);
    plan.services().into_iter().filter(applies).filter_map(|service| survey.service(service))
}

/// Refuses to make empty tables beside those of an earlier system, unless that is wanted.
pub(super) fn no_twins(
    deployment: &Deployment,
    survey: &Survey,
    plan: &Plan,
    options: &RunOptions,
) -> Result<(), RunError> {
    if options.new_beside {
        return Ok(());
    }
    applied_on(survey, plan).find_map(|facts| twins(deployment, facts)).map_or(Ok(()), Err)
}

/// Refuses to begin with a service where names that it would make are taken.
pub(super) fn no_collisions(deployment: &Deployment, survey: &Survey, plan: &Plan) -> Result<(), RunError> {
    applied_on(survey, plan).try_for_each(|facts| no_collision(deployment, facts))
}

/// Refuses to begin with a service where names that it would make are taken.
///
/// # Errors
/// [`RunError::Collisions`].
pub fn no_collision(deployment: &Deployment, facts: &ServiceFacts) -> Result<(), RunError> {
    collisions(deployment, facts).map_or(Ok(()), Err)
}

/// What refuses to change these services: tables of others that inherit from theirs, or are partitions of them, would be changed too.
/// An error for each such service. Reads only.
///
/// # Errors
/// [`RunError::Survey`] if a database could not be asked.
pub async fn attached<'s>(
    deployment: &Deployment,
    services: impl IntoIterator<Item = &'s ServiceName>,
) -> Result<Vec<RunError>, RunError> {
    let services: Vec<ServiceName> = services.into_iter().cloned().collect();
    let found = attached_to(deployment, &services).await;
    let found = found.map_err(|error| RunError::Survey(Arc::new(error)))?;
    Ok(found.into_iter().map(|(service, tables)| RunError::Attached { service, tables }).collect())
}

/// Refuses a plan that does not fit into one transaction.
pub(super) fn atomic(deployment: &Deployment, plan: &Plan) -> Result<(), RunError> {
    if let Some(step) = plan.steps().iter().find(|step| !step.transactional) {
        let why = format!("`{}` does not run in a transaction", step.id);
        return Err(RunError::Atomic { why });
    }
    let databases: BTreeSet<usize> = plan
        .services()
        .into_iter()
        .filter_map(|name| deployment.placed(name))
        .map(|placed| placed.site.database)
        .collect();
    if databases.len() > 1 {
        return Err(RunError::Atomic { why: "the services live in several databases".to_owned() });
    }
    Ok(())
}

fn server<'s>(deployment: &Deployment, survey: &'s Survey, facts: &ServiceFacts) -> Option<&'s ServerFacts> {
    survey.databases.get(deployment.placed(&facts.service)?.site.database)?.as_ref().ok()
}
