//! A service beside only the migrations that it requires, as in a deployment of its own; and whether anything of it is outside
//! of its schemas then. In a run, a transaction that touches another service is refused; steps are committed one by one, so
//! what they leave is looked for here.

use std::collections::{BTreeMap, BTreeSet};

use migration_coordinator::{DeploymentError, RunError};
use migration_kit::{MigrationName, Service, ServiceName, literal};
use migration_plan::{
    ApplyOptions, Catalog, ContractSteps, History, Plan, Selection, TargetPoint, UnknownApplied,
};
use postgres_sandbox::Cluster;
use postgres_schema::Schema;

use super::Finding;
use super::trial::Trial;
use crate::RehearsalError;

/// What is found, and the schema of the service at its head.
pub(super) async fn check(
    cluster: &Cluster,
    services: Vec<Service>,
    service: &ServiceName,
) -> Result<(Vec<Finding>, Option<Schema>), RehearsalError> {
    let trial = Trial::new(cluster, required(services, service)?)?;
    let before: BTreeSet<String> = outside(&trial, service)?.into_iter().collect();
    if let Err(says) = trial.apply(service, None).await {
        let says = format!("it cannot be applied beside only what it requires: {says}");
        return Ok((vec![Finding::general(says)], None));
    }
    let left = outside(&trial, service)?.into_iter().filter(|object| !before.contains(object));
    let left =
        left.map(|object| Finding::general(format!("its migrations leave {object} outside of its schema")));
    Ok((left.collect(), Some(trial.schema(service).await?)))
}

/// The service, and of the others what it requires.
pub(super) fn required(
    services: Vec<Service>,
    service: &ServiceName,
) -> Result<Vec<Service>, RehearsalError> {
    let catalog =
        Catalog::new(services.iter().map(Service::known).collect()).map_err(DeploymentError::from)?;
    let head = [Selection { service: service.clone(), target: Some(TargetPoint::Head) }];
    let options =
        ApplyOptions { contract: ContractSteps::IgnoreSoak, unknown: UnknownApplied::Refuse, now: 0 };
    let plan =
        Plan::apply(&catalog, &History::empty_of(&catalog), &head, &options).map_err(RunError::from)?;
    let mut needed: BTreeMap<&ServiceName, BTreeSet<&MigrationName>> = BTreeMap::new();
    for step in plan.steps() {
        needed.entry(&step.id.service).or_default().insert(&step.id.name);
    }
    let kept =
        services.into_iter().filter(|other| other.name() == service || needed.contains_key(other.name()));
    let kept = kept.map(|other| {
        let names: BTreeSet<MigrationName> =
            needed.get(other.name()).into_iter().flatten().map(|name| (*name).clone()).collect();
        other.retain(|name| names.contains(name))
    });
    Ok(kept.collect())
}

/// Tables, views, sequences, functions and types outside of the schemas of the trial's services, without extensions and what
/// is theirs.
fn outside(trial: &Trial, service: &ServiceName) -> Result<Vec<String>, RehearsalError> {
    let schemas = trial.deployment.services().flat_map(|(other, schema, _)| {
        other.further_schemas().iter().map(String::as_str).chain([schema]).map(literal).collect::<Vec<_>>()
    });
    let schemas: Vec<String> =
        schemas.chain(["'pg_catalog'", "'information_schema'"].map(str::to_owned)).collect();
    // A service may live in `public`; what is beside it there is its own.
    let own = trial.service(service).default_schema();
    let sql = format!(
        "SELECT kind || ' ' || nspname || '.' || name FROM ( \
           SELECT CASE relkind WHEN 'S' THEN 'the sequence' WHEN 'v' THEN 'the view' ELSE 'the table' END AS kind, relnamespace AS home, \
                  relname AS name, oid, 'pg_class'::regclass AS class FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
           UNION ALL SELECT 'the function', pronamespace, proname, oid, 'pg_proc'::regclass FROM pg_proc \
           UNION ALL SELECT 'the type', typnamespace, typname, oid, 'pg_type'::regclass FROM pg_type WHERE typrelid = 0 AND typelem = 0 \
         ) AS object JOIN pg_namespace n ON n.oid = home \
         WHERE nspname <> ALL (ARRAY[{}]::name[]) AND nspname <> {} AND nspname !~ '^pg_(temp|toast)' \
           AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = class AND d.objid = object.oid AND d.deptype = 'e') ORDER BY 1",
        schemas.join(", "),
        literal(own),
    );
    Ok(trial.database.psql(&sql)?.lines().map(str::to_owned).collect())
}
