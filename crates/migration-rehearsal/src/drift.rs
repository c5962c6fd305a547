//! The live schema of a service against the one that its applied migrations make: both are read from servers of one major
//! version, so that no spelling of the server's can be a difference.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use migration_coordinator::{
    DatabaseUrl, Deployment, DeploymentError, Placement, Reading, ServiceFacts, Survey, Thing, VERSION_TABLES,
};
use migration_kit::{MigrationName, Service, ServiceName};
use postgres_sandbox::{Cluster, Database, SandboxError, Search, ServerVersion};
use postgres_schema::{Change, Difference, Kind, Object, Properties, Repair, Schema};

use crate::RehearsalError;
use crate::sandbox::{carry_out, everything, url};

/// How the live schema of a service differs from what its applied migrations make.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Drift {
    /// The service.
    pub service: ServiceName,
    /// Its schema.
    pub schema: String,
    /// How many applied migrations make it.
    pub n_migrations: usize,
    /// How many objects they make.
    pub n_objects: usize,
    /// Those of them that are there and part of no other one: tables, views, sequences, types and functions.
    pub own: Vec<Object>,
    /// What has to change in what they make for it to become what is there.
    pub differences: Vec<Difference>,
    /// Constraints and indexes that are there under another name: no difference in what they do.
    pub renamed: Vec<Renamed>,
    /// Checks that a trigger of their name replaces: the migration found rows that break them, and lets other updates
    /// of those rows pass.
    pub for_new_rows: Vec<Object>,
    /// Differences that were accepted when the database was adopted.
    pub accepted: Vec<Difference>,
    /// The statements that bring the live schema back.
    pub repair: Vec<Repair>,
}

/// A constraint or an index under another name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// As the migrations name it.
    pub object: Object,
    /// As it is called in the database.
    pub now: String,
}

/// Compares the live schema of these services with what their applied migrations make. `services` are those of the deployment
/// once more, since the applied migrations of all of them run aside: one may require migrations of another.
///
/// `accepted` are objects, as they are displayed or as `table.name`, whose differences are kept apart.
///
/// Grants are not compared, since the other server has none of the roles; an owner is, where it is not the one of the
/// version table.
///
/// # Errors
/// [`RehearsalError`]: there is no server of the same major version, a migration fails there, or a schema cannot be read.
pub async fn drift(
    deployment: &Deployment,
    survey: &Survey,
    services: Vec<Service>,
    wanted: &[ServiceName],
    accepted: &BTreeMap<ServiceName, BTreeSet<String>>,
) -> Result<Vec<Drift>, RehearsalError> {
    let aside = Aside::new(deployment, survey)?;
    let made = aside.place(deployment, services, &applied(survey))?;
    carry_out(&made, &everything(Vec::new())).await?;
    let (none, mut drifts) = (BTreeSet::new(), Vec::new());
    for name in wanted {
        let accepted = accepted.get(name).unwrap_or(&none);
        drifts.extend(of_service(deployment, &made, name, accepted).await?);
    }
    Ok(drifts)
}

/// The migrations of each service that run aside.
pub(crate) type Applied = BTreeMap<ServiceName, HashSet<MigrationName>>;

/// Those that are applied.
pub(crate) fn applied(survey: &Survey) -> Applied {
    let of = |facts: &ServiceFacts| facts.applied.iter().map(|row| row.name.clone()).collect();
    survey.services.iter().map(|facts| (facts.service.clone(), of(facts))).collect()
}

/// Compares a live schema with the one aside; `None` if the service is not in both.
pub(crate) async fn of_service(
    deployment: &Deployment,
    made: &Deployment,
    name: &ServiceName,
    accepted: &BTreeSet<String>,
) -> Result<Option<Drift>, RehearsalError> {
    let (Some((_, schema, database)), Some((service, _, aside))) =
        (deployment.service(name), made.service(name))
    else {
        return Ok(None);
    };
    let live = read(&deployment.databases()[database], name, schema).await?;
    let (expected, live) = read_and_align(&made.databases()[aside], (name, schema), live).await?;
    let mut drift = compare(deployment, (name, schema), live, expected, accepted);
    drift.n_migrations = service.migrations().count();
    Ok(Some(drift))
}

/// The servers beside: one per major version, and in it one database per live one.
pub(crate) struct Aside {
    databases: BTreeMap<usize, Database>,
    /// Kept until everything is read: a server stops with its cluster.
    _clusters: BTreeMap<u32, Cluster>,
}

impl Aside {
    pub(crate) fn new(deployment: &Deployment, survey: &Survey) -> Result<Self, RehearsalError> {
        let (mut databases, mut clusters) = (BTreeMap::new(), BTreeMap::new());
        for (index, _) in deployment.databases().iter().enumerate() {
            // What could not be read is not compared.
            let Some(Ok(server)) = survey.databases.get(index) else { continue };
            let major = ServerVersion::of_setting(&server.version).map_or(0, |version| version.major);
            let cluster = match clusters.entry(major) {
                Entry::Occupied(made) => made.into_mut(),
                Entry::Vacant(none) => {
                    let found = Search::from_environment().only_major(major).run();
                    let binaries = found.map_err(|missing| SandboxError::Binaries(Box::new(missing)))?;
                    none.insert(Cluster::builder().in_memory().binaries(binaries).start()?)
                }
            };
            databases.insert(index, cluster.create_database()?);
        }
        Ok(Self { databases, _clusters: clusters })
    }

    /// The services with these migrations of theirs, in the schemas in which they are.
    pub(crate) fn place(
        &self,
        deployment: &Deployment,
        services: Vec<Service>,
        applied: &Applied,
    ) -> Result<Deployment, DeploymentError> {
        let mut placements = Vec::new();
        for service in services {
            let Some((_, schema, database)) = deployment.service(service.name()) else { continue };
            let (Some(applied), Some(database)) =
                (applied.get(service.name()), self.databases.get(&database))
            else {
                continue;
            };
            placements.push(Placement {
                schema: schema.to_owned(),
                url: url(database),
                service: service.retain(|name| applied.contains(name)).with_lock_file(""),
            });
        }
        Deployment::new(placements)
    }
}

pub(crate) async fn read(
    url: &DatabaseUrl,
    service: &ServiceName,
    schema: &str,
) -> Result<Schema, RehearsalError> {
    let failed = |source| RehearsalError::Schema { service: service.clone(), source };
    let mut reading = Reading::open(url).await?;
    reading.begin().await.map_err(|error| failed(error.into()))?;
    let read = reading.ask(|connection| Schema::read_within(connection, schema)).await.map_err(failed)?;
    reading.close().await;
    Ok(read)
}

/// The schema that is asked, and the other one with what only a server can tell to be the same value written as it is there.
pub(crate) async fn read_and_align(
    aside: &DatabaseUrl,
    (service, schema): (&ServiceName, &str),
    live: Schema,
) -> Result<(Schema, Schema), RehearsalError> {
    let failed = |source| RehearsalError::Schema { service: service.clone(), source };
    let mut reading = Reading::open(aside).await?;
    reading.begin().await.map_err(|error| failed(error.into()))?;
    let expected = reading.ask(|connection| Schema::read_within(connection, schema)).await.map_err(failed)?;
    let aligning = reading.ask(|connection| live.aligned_with(&expected, schema, connection));
    let live = aligning.await.map_err(failed)?;
    reading.close().await;
    Ok((expected, live))
}

fn compare(
    deployment: &Deployment,
    (service, schema): (&ServiceName, &str),
    live: Schema,
    expected: Schema,
    accepted: &BTreeSet<String>,
) -> Drift {
    let bookkeeping = deployment.bookkeeping_tables(service);
    let owner = |schema: &Schema| {
        let table = Object { kind: Kind::Table, parent: None, name: bookkeeping[0].clone() };
        schema.get(&table).and_then(|properties| properties.get("owner")).cloned()
    };
    let (live_owner, owner_aside) = (owner(&live), owner(&expected));
    let expected = without_bookkeeping(expected, &bookkeeping).without("grants");
    let live = without_bookkeeping(live, &bookkeeping).without("grants");
    let (expected, live) = match (owner_aside, live_owner) {
        (Some(aside), Some(owner)) => (expected.replacing("owner", &aside, &owner), live),
        _ => (expected.without("owner"), live.without("owner")),
    };
    let its_own: BTreeSet<Object> = live
        .objects()
        .map(|(object, _)| object)
        .filter(|object| expected.get(object).is_some() || deployment.owns(service, &thing(&live, object)))
        .cloned()
        .collect();
    let live = live.retain(|object| its_own.contains(object));
    let is_own = |object: &Object| object.parent.is_none() && live.get(object).is_some();
    let own = expected.objects().map(|(object, _)| object).filter(|object| is_own(object)).cloned().collect();
    let (differences, for_new_rows) = without_triggers(expected.differences(&live));
    let (differences, renamed) = without_renamed(differences, &expected, &live);
    let is_accepted = |Difference { object, .. }: &Difference| {
        let qualified = object.parent.as_ref().map(|parent| format!("{parent}.{}", object.name));
        // An index and a type are named without their table.
        let name = (object.kind != Kind::Column).then(|| object.name.clone());
        [Some(object.to_string()), qualified, name].into_iter().flatten().any(|name| accepted.contains(&name))
    };
    let (accepted, differences): (Vec<_>, Vec<_>) = differences.into_iter().partition(is_accepted);
    let repair = if differences.is_empty() {
        Vec::new()
    } else {
        // What was accepted stays, what only has another name keeps it, and a trigger its place.
        let live = accepted.iter().fold(live, |live, Difference { object, .. }| {
            let live = live.retain(|found| found != object);
            match expected.get(object) {
                Some(properties) => live.with(object.clone(), properties.clone()),
                None => live,
            }
        });
        let expected_one = |object: &Object| expected.get(object).cloned().unwrap_or_default();
        let live = for_new_rows.iter().fold(live, |live, check| {
            let [trigger, function] = in_place_of(check);
            live.retain(|found| *found != trigger && *found != function)
                .with(check.clone(), expected_one(check))
        });
        let alike = renamed.iter().fold(live, |live, Renamed { object, now }| {
            let other = Object { name: now.clone(), ..object.clone() };
            live.retain(|found| *found != other).with(object.clone(), expected_one(object))
        });
        alike.repair(&expected)
    };
    Drift {
        service: service.clone(),
        schema: schema.to_owned(),
        n_migrations: 0,
        n_objects: expected.objects().count(),
        own,
        differences,
        renamed,
        for_new_rows,
        accepted,
        repair,
    }
}

/// What of an object says whose it is.
fn thing(schema: &Schema, object: &Object) -> Thing {
    match (object.kind, schema.relation_of(object)) {
        (_, Some(relation)) => Thing::relation(&relation),
        (Kind::Type, None) => Thing::type_(&object.name),
        (Kind::Function, None) => Thing::function(&object.name),
        (_, None) => Thing::relation(&object.name),
    }
}

/// What is in a schema, without itself and the tables that keep a service's history, here or in an earlier tool.
pub(crate) fn without_bookkeeping(schema: Schema, bookkeeping: &[String]) -> Schema {
    let is_of_one = |object: &Object| {
        let relation = schema.relation_of(object);
        let mut tables = bookkeeping.iter().map(String::as_str).chain(VERSION_TABLES);
        relation.is_some_and(|relation| tables.any(|table| table == relation))
    };
    let left: BTreeSet<Object> =
        schema.objects().map(|(object, _)| object).filter(|object| is_of_one(object)).cloned().collect();
    schema.retain(|object| object.kind != Kind::Schema && !left.contains(object))
}

/// The differences, and apart from them the constraints and indexes that only have another name.
fn without_renamed(
    mut differences: Vec<Difference>,
    expected: &Schema,
    live: &Schema,
) -> (Vec<Difference>, Vec<Renamed>) {
    let mut renamed = Vec::new();
    let is_named = |object: &Object| matches!(object.kind, Kind::Constraint | Kind::Index);
    let removed: Vec<Object> = differences
        .iter()
        .filter(|difference| difference.change == Change::Removed && is_named(&difference.object))
        .map(|difference| difference.object.clone())
        .collect();
    for object in removed {
        let there = differences.iter().position(|difference| {
            let other = &difference.object;
            difference.change == Change::Added
                && (other.kind, &other.parent) == (object.kind, &object.parent)
                && nameless(expected, &object) == nameless(live, other)
        });
        if let Some(there) = there {
            let now = differences.remove(there).object.name;
            differences.retain(|difference| difference.object != object);
            renamed.push(Renamed { object, now });
        }
    }
    (differences, renamed)
}

/// The differences, and apart from them the checks that a trigger replaces.
fn without_triggers(mut differences: Vec<Difference>) -> (Vec<Difference>, Vec<Object>) {
    let is_there = |differences: &[Difference], object: &Object| {
        differences.iter().any(|d| d.object == *object && d.change == Change::Added)
    };
    let checks: Vec<Object> = differences
        .iter()
        .filter(|d| d.change == Change::Removed && d.object.kind == Kind::Constraint)
        .filter(|d| in_place_of(&d.object).iter().all(|object| is_there(&differences, object)))
        .map(|d| d.object.clone())
        .collect();
    for check in &checks {
        let stand_ins = in_place_of(check);
        differences.retain(|d| d.object != *check && !stand_ins.contains(&d.object));
    }
    (differences, checks)
}

/// The trigger and the function that the kit makes in place of a check that rows break.
fn in_place_of(check: &Object) -> [Object; 2] {
    let function = Object { kind: Kind::Function, parent: None, name: format!("{}()", check.name) };
    [Object { kind: Kind::Trigger, ..check.clone() }, function]
}

/// What is known of an object, without its name.
fn nameless(schema: &Schema, object: &Object) -> Properties {
    let mut properties = schema.get(object).cloned().unwrap_or_default();
    if let Some(definition) = properties.get_mut("definition") {
        *definition = definition.replacen(&object.name, "", 1);
    }
    properties
}
