//! How a service's sea-orm entities differ from the schema that its migrations make, as changes that would close it.
//!
//! Both are built in one database of a server of its own and read from its catalogs, so that no spelling is a difference. An
//! entity need not say everything: what it does not mention is no difference, and nothing is ever proposed to be dropped
//! because of that.

mod build;
mod change;
mod choices;
mod columns;
mod keys;
mod tried;
mod types;

use std::collections::BTreeSet;

use migration_coordinator::Deployment;
use migration_kit::{Service, ServiceName, quote_identifier};
use migration_plan::{Selection, TargetPoint};
use postgres_sandbox::{Cluster, Database};
use postgres_schema::{Kind, Object, Schema};

use crate::RehearsalError;
use crate::drift::without_bookkeeping;
use crate::sandbox::{carry_out, everything, place};
use build::Built;

pub use change::{EntityChange, EntityDifference, NewColumn, Retyping};
pub use choices::{Choices, ColumnName};
pub use keys::ForeignKey;

/// How the entities of a service differ from what its migrations make.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityDiff {
    /// The service.
    pub service: ServiceName,
    /// How many entities it has.
    pub n_entities: usize,
    /// How many migrations it has.
    pub n_migrations: usize,
    /// What would have to change for the schema to become what the entities say.
    pub differences: Vec<EntityDifference>,
    /// Tables and columns that no entity mentions.
    pub unmentioned: Vec<Object>,
}

/// Compares the entities of these services with what their migrations make, contract steps included. `services` are all of
/// the program, since one may require migrations of another; `choices` are about those that are wanted.
///
/// # Errors
/// [`RehearsalError`]: there is no server, a migration fails there, an entity builds no table, a schema cannot be read, or
/// something was chosen that is not there.
pub async fn diff(
    services: Vec<Service>,
    wanted: &[ServiceName],
    choices: &Choices,
) -> Result<Vec<EntityDiff>, RehearsalError> {
    let cluster = Cluster::builder().in_memory().start()?;
    let database = cluster.create_database()?;
    let deployment = place(services, &database)?;
    let of_wanted = || deployment.services().filter(|(service, ..)| wanted.contains(service.name()));
    let selections: Vec<Selection> = of_wanted()
        .filter(|(service, ..)| service.migrations().next().is_some())
        .map(|(service, ..)| Selection { service: service.name().clone(), target: Some(TargetPoint::Head) })
        .collect();
    // No selection at all would be all services.
    if !selections.is_empty() {
        carry_out(&deployment, &everything(selections)).await?;
    }
    let mut diffs = Vec::new();
    for (service, schema, _) in of_wanted() {
        diffs.push(of_service(&deployment, &database, (service, schema), choices).await?);
    }
    Ok(diffs)
}

async fn of_service(
    deployment: &Deployment,
    database: &Database,
    (service, schema): (&Service, &str),
    choices: &Choices,
) -> Result<EntityDiff, RehearsalError> {
    // Without migrations it has no schema either.
    database.psql(&format!("CREATE SCHEMA IF NOT EXISTS {}", quote_identifier(schema)))?;
    let Built { entities, made, described, renamed } =
        build::build(database, service, schema, &choices.renamed).await?;
    let made = without_bookkeeping(made, &deployment.bookkeeping_tables(service.name()));
    let mut differences = types::differences(&made, &described);
    differences.extend(renamed);
    let mut unmentioned = Vec::new();
    for entity in &entities {
        let table = Object { kind: Kind::Table, parent: None, name: entity.table.clone() };
        if made.get(&table).is_none() {
            differences.push(keys::new_table(&described, &entity.table, &entity.columns));
            continue;
        }
        let (changes, left) =
            columns::differences((&made, &described), &entity.table, &entity.columns, choices);
        differences.extend(changes);
        unmentioned.extend(left);
        differences.extend(keys::differences(&made, &described, &entity.table));
    }
    unmentioned.extend(without_entity(&made, entities.iter().map(|entity| entity.table.as_str()).collect()));
    choices.are_about(&differences)?;
    for difference in &mut differences {
        tried::on_server(database, schema, difference)?;
    }
    Ok(EntityDiff {
        service: service.name().clone(),
        n_entities: entities.len(),
        n_migrations: service.migrations().count(),
        differences,
        unmentioned,
    })
}

/// The tables of a schema that have no entity.
fn without_entity<'s>(made: &'s Schema, entities: BTreeSet<&'s str>) -> impl Iterator<Item = Object> + 's {
    let is_partition = |table: &Object| made.get(table).is_some_and(|of| of.contains_key("partition of"));
    let tables = made.objects().map(|(object, _)| object).filter(|object| object.kind == Kind::Table);
    tables.filter(move |table| !entities.contains(table.name.as_str()) && !is_partition(table)).cloned()
}
