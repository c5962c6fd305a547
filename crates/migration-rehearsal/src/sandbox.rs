//! A private server on which all migrations run once, forwards and back, and which reports what they did.
//!
//! They run through the real coordinator, without the lock files that are about to be made from what is seen. Nobody
//! else is on the server, so nothing waits and nothing is tried twice.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use migration_coordinator::{Caller, DatabaseUrl, Deployment, Goal, Placement, Report, RunOptions, run};
use migration_kit::{Phase, Service, ServiceName, qualified};
use migration_plan::{ContractSteps, Selection, TargetPoint, UnknownApplied};
use postgres_sandbox::{Cluster, ClusterBuilder, Database, SandboxError, Search};

use crate::trace::{self, NOTE};
use crate::{RehearsalError, Traced, differing_entities, dump_schema};

/// Every statement goes to the log as JSON, in English, and nobody cleans up beside the migrations.
const SETTINGS: [(&str, &str); 9] = [
    ("logging_collector", "on"),
    ("log_destination", "jsonlog"),
    ("log_directory", "log"),
    ("log_filename", "trace.log"),
    ("log_rotation_age", "0"),
    ("log_rotation_size", "0"),
    ("log_statement", "all"),
    ("lc_messages", "C"),
    ("autovacuum", "off"),
];

/// How long the server may take to write its log out.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the server saw.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rehearsal {
    /// Each migration once per direction, in the order in which they ended.
    pub traced: Vec<Traced>,
    /// Each service and its schema after all migrations, as `pg_dump` writes it.
    pub schemas: Vec<(ServiceName, String)>,
    /// Each service, and how its entities differ from its tables then, one sentence each.
    pub differing_entities: Vec<(ServiceName, Vec<String>)>,
    /// Major version of the server.
    pub major: u32,
}

/// Applies all migrations of all services, contract steps too, then reverts what can be reverted.
///
/// # Errors
/// [`RehearsalError`]: there is no server, a migration fails, or the server's log cannot be read.
pub async fn rehearse(services: Vec<Service>) -> Result<Rehearsal, RehearsalError> {
    let (cluster, database) = start()?;
    let deployment = place(services, &database)?;

    apply(&deployment, &database).await?;
    let (mut schemas, mut entities) = (Vec::new(), Vec::new());
    for (service, schema, _) in deployment.services() {
        // Without migrations it has no schema either, which `pg_dump` would refuse.
        let dump = match service.migrations().next() {
            Some(_) => dump_schema(&database, schema, service.version_table())?,
            None => String::new(),
        };
        schemas.push((service.name().clone(), dump));
        let differing = differing_entities(&database, service, schema).await?;
        entities.push((service.name().clone(), differing));
    }
    revert(&deployment).await?;
    let traced = trace::read(&log(&cluster, &database)?)?;
    Ok(Rehearsal {
        traced,
        schemas,
        differing_entities: entities,
        major: cluster.binaries().server_version().major,
    })
}

/// A server that logs what it is sent, and an empty database on it.
pub(crate) fn start() -> Result<(Cluster, Database), RehearsalError> {
    let cluster = builder().start()?;
    let database = traced(&cluster)?;
    Ok((cluster, database))
}

/// The same, of this major version if one is named, without the database.
pub(crate) fn start_of(major: Option<u32>) -> Result<Cluster, RehearsalError> {
    let Some(major) = major else { return Ok(builder().start()?) };
    let found = Search::from_environment().only_major(major).run();
    let binaries = found.map_err(|missing| SandboxError::Binaries(Box::new(missing)))?;
    Ok(builder().binaries(binaries).start()?)
}

/// An empty database in which what happens is noted.
pub(crate) fn traced(cluster: &Cluster) -> Result<Database, RehearsalError> {
    let database = cluster.create_database()?;
    database.psql(include_str!("trace.sql"))?;
    Ok(database)
}

fn builder() -> ClusterBuilder {
    SETTINGS
        .iter()
        .fold(Cluster::builder().in_memory(), |builder, (name, value)| builder.setting(name, value))
}

/// All services in one database, each in the schema of its choice.
pub(crate) fn place(services: Vec<Service>, database: &Database) -> Result<Deployment, RehearsalError> {
    let mut placements = Vec::new();
    for service in services {
        let schema = service.default_schema().to_owned();
        placements.push(Placement { schema, url: url(database), service: service.with_lock_file("") });
    }
    Ok(Deployment::new(placements)?)
}

async fn apply(deployment: &Deployment, database: &Database) -> Result<(), RehearsalError> {
    let goal = |contract| Goal::Apply { selections: Vec::new(), contract, unknown: UnknownApplied::Refuse };
    carry_out(deployment, &goal(ContractSteps::HoldBack)).await?;
    // What comes after a contract step was held back with it, and one after that soaks anew.
    loop {
        let_soak(deployment, database)?;
        let report = carry_out(deployment, &goal(ContractSteps::Apply)).await?;
        match (report.done.is_empty(), report.held_back.first()) {
            (false, _) => {}
            (true, None) => return Ok(()),
            (true, Some(held_back)) => return Err(RehearsalError::HeldBack { id: held_back.id.clone() }),
        }
    }
}

/// Lets the longest soak time pass, as far as the version tables tell.
fn let_soak(deployment: &Deployment, database: &Database) -> Result<(), RehearsalError> {
    for (service, schema, _) in deployment.services() {
        let soaks = service.known().migrations.into_iter().map(|migration| match migration.phase {
            Phase::Contract { soak } => soak.as_secs(),
            Phase::Expand => 0,
        });
        // A service without migrations has no version table.
        let Some(soak) = soaks.max() else { continue };
        let (table, soak) = (qualified(schema, service.version_table()), soak + 1);
        database.psql(&format!("UPDATE {table} SET applied_at = applied_at - {soak}"))?;
    }
    Ok(())
}

/// Reverts each service to its last migration that cannot be reverted, or wholly.
async fn revert(deployment: &Deployment) -> Result<(), RehearsalError> {
    let selection = |service: &Service| {
        let known = service.known().migrations;
        let last = known.iter().rfind(|migration| migration.irreversible.is_some());
        let point = last.map_or(TargetPoint::Base, |last| TargetPoint::Name(last.name.to_string()));
        Selection { service: service.name().clone(), target: Some(point) }
    };
    let selections = deployment.services().map(|(service, _, _)| selection(service)).collect();
    carry_out(deployment, &Goal::Revert { selections }).await.map(drop)
}

pub(crate) async fn carry_out(deployment: &Deployment, goal: &Goal) -> Result<Report, RehearsalError> {
    // A run is a large future: on the heap, it leaves the stack to what it calls.
    let mut report = Box::pin(run(deployment, goal, &options())).await?;
    match report.failures.pop() {
        Some(failure) => Err(failure.into()),
        None => Ok(report),
    }
}

/// The address of a database of the sandbox.
pub(crate) fn url(database: &Database) -> DatabaseUrl {
    database.url().parse().expect("the sandbox makes well-formed addresses")
}

/// All migrations of what is selected, contract steps too; of all services, if nothing is.
pub(crate) fn everything(selections: Vec<Selection>) -> Goal {
    Goal::Apply { selections, contract: ContractSteps::IgnoreSoak, unknown: UnknownApplied::Refuse }
}

/// No other session is on the server, and nothing is there to be lost.
pub(crate) fn options() -> RunOptions {
    RunOptions::new(Caller::new("migration-rehearsal"))
        .with_wait(Duration::ZERO)
        .with_jobs(4)
        .with_data_loss()
}

/// The log, once the server has written all of it: another process of the server collects and writes it.
pub(crate) fn log(cluster: &Cluster, database: &Database) -> Result<String, RehearsalError> {
    const END: &str = "the end";
    database.psql(&format!("DO $$ BEGIN RAISE LOG '{NOTE}{END}'; END $$"))?;
    let file = cluster.data_directory().join("log").join("trace.json");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(&file).map_err(RehearsalError::reading(&file))?;
        let is_end = |line: &str| line.contains(&format!("\"message\":\"{NOTE}{END}\""));
        if let Some(index) = text.lines().position(is_end) {
            return Ok(text.lines().take(index).collect::<Vec<_>>().join("\n"));
        }
        if Instant::now() > deadline {
            return Err(RehearsalError::LogUnfinished);
        }
        thread::sleep(Duration::from_millis(20));
    }
}
