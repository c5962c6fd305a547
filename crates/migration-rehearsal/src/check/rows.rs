//! Each migration applied to tables that have rows. Those of a rehearsal are empty, and so are those of a round trip: a statement that
//! no row passes goes through there.

use std::collections::BTreeSet;

use migration_coordinator::{RunError, StepError};
use migration_kit::{Service, ServiceName};
use postgres_sandbox::Cluster;

use super::trial::{Trial, says};
use super::{Finding, alone};
use crate::hazards::{Hazard, accepts_rows, denied};
use crate::{RehearsalError, rows};

/// What came of it.
#[derive(Default)]
pub(super) struct Tried {
    pub(super) findings: Vec<Finding>,
    /// The hazards that show only while rows are written.
    pub(super) hazards: Vec<Hazard>,
    /// Tables for which no row could be made, after the last migration.
    pub(super) empty: Vec<String>,
}

/// Applies the migrations of a service one by one, each to tables with rows as far as they take some.
pub(super) async fn check(
    cluster: &Cluster,
    services: Vec<Service>,
    service: &ServiceName,
) -> Result<Tried, RehearsalError> {
    let trial = Trial::new(cluster, alone::required(services, service)?)?;
    trial.create_schema(service)?;
    rows::prepare(&trial.database)?;
    let (_, schema, _) = trial.deployment.service(service).expect("a trial is of one of its services");
    let further = trial.service(service).further_schemas().iter().cloned();
    let schemas: Vec<String> = [schema.to_owned()].into_iter().chain(further).collect();
    let (mut tried, mut known) = (Tried::default(), BTreeSet::new());
    for listed in trial.service(service).migrations() {
        if let Err(error) = trial.apply_or_error(service, listed.name()).await {
            rows::empty(&trial.database)?;
            if trial.apply(service, Some(listed.name())).await.is_err() {
                // It fails without rows too: others say why.
                break;
            }
            // A guard is there to refuse rows.
            let is_guard = matches!(error, RunError::Step(StepError::Guard { .. }));
            if !is_guard && !accepts_rows(&listed.details().accepted) {
                let message = format!("it cannot be applied to tables with rows: {}", says(&error));
                tried.findings.push(Finding::of(listed.name(), message));
            }
        }
        let filled = rows::fill(&trial.database, &schemas)?;
        for denial in filled.denied {
            if known.insert((denial.table.clone(), denial.says.clone())) {
                tried.hazards.extend(denied(listed.name(), &denial, &listed.details().accepted));
            }
        }
        tried.empty = filled.empty;
    }
    Ok(tried)
}
