//! The statements of a run as scripts: the migrations run on a server of their own, and what they sent there is written down.
//!
//! The server begins with an empty database. What is applied already is applied there first, and is no part of a script.

use std::collections::BTreeMap;

use migration_coordinator::{Deployment, Goal, Placement, plan};
use migration_kit::{MigrationName, Service, ServiceName, quote_identifier};
use migration_plan::HeldBack;
use postgres_sandbox::Database;

use crate::sandbox::{self, carry_out, everything, url};
use crate::script::{self, Recorded, Script};
use crate::{RehearsalError, trace};

/// A service, and the schema that a script is to name.
pub struct Placing {
    /// The service.
    pub service: Service,
    /// The schema.
    pub schema: String,
}

/// What is applied before a script runs.
#[derive(Debug, Clone)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// What is applied once this goal is reached from nothing.
    Reached(Goal),
    /// These migrations of each service; none of a service that is not named.
    Applied(BTreeMap<ServiceName, Vec<MigrationName>>),
}

/// The scripts that bring a goal about, and what they leave out.
#[derive(Debug)]
pub struct Scripts {
    /// In the order in which they are to be run: one per service, more where services wait for one another in turns.
    pub scripts: Vec<Script>,
    /// Pending migrations that are left out.
    pub held_back: Vec<HeldBack>,
}

/// Carries a goal out on a server of its own and writes down what was sent, for a history that names this tool. `again` are
/// the services once more.
///
/// # Errors
/// [`RehearsalError`]: there is no server, there is no plan, or a migration fails.
pub async fn scripts(
    services: Vec<Placing>,
    again: Vec<Placing>,
    before: &Before,
    goal: &Goal,
    tool: &str,
) -> Result<Scripts, RehearsalError> {
    let (cluster, database) = sandbox::start()?;
    match before {
        Before::Nothing => {}
        Before::Reached(before) => {
            let deployment = place(again, &database, Placing::unlocked)?;
            carry_out(&deployment, before).await?;
        }
        Before::Applied(applied) => {
            let applied = |placing: Placing| {
                let names = applied.get(placing.service.name()).map(Vec::as_slice).unwrap_or_default();
                let service = placing.service.retain(|name| names.contains(name));
                Placing { service, ..placing }.unlocked()
            };
            let deployment = place(again, &database, applied)?;
            carry_out(&deployment, &everything(Vec::new())).await?;
        }
    }
    let deployment = place(services, &database, |placing| placing)?;
    let planned = Box::pin(plan(&deployment, goal)).await?;
    let mut report = Box::pin(planned.carry_out(&sandbox::options())).await?;
    if let Some(failure) = report.failures.pop() {
        return Err(failure.into());
    }
    let log = sandbox::log(&cluster, &database)?;
    let applied = planned
        .survey()
        .services
        .iter()
        .map(|facts| (facts.service.clone(), facts.applied.iter().map(|row| row.name.clone()).collect()));
    let recorded = Recorded {
        deployment: &deployment,
        applied: applied.collect(),
        traced: trace::read(&log)?,
        extensions: extensions(&deployment, &log)?,
        extension_schemas: schemas_of_extensions(&database)?,
        tool,
    };
    let scripts = script::write(&recorded, planned.plan().steps())?;
    Ok(Scripts { scripts, held_back: planned.plan().held_back().to_vec() })
}

impl Placing {
    /// Without what is known of its migrations' checksums and locks, which are none of another list.
    fn unlocked(self) -> Self {
        Self { service: self.service.with_lock_file(""), ..self }
    }
}

fn place(
    services: Vec<Placing>,
    database: &Database,
    change: impl Fn(Placing) -> Placing,
) -> Result<Deployment, RehearsalError> {
    let placed = services.into_iter().map(change);
    let placed = placed.map(|Placing { service, schema }| Placement { service, schema, url: url(database) });
    Ok(Deployment::new(placed.collect())?)
}

/// The statements that made the extensions which each service declares.
fn extensions(
    deployment: &Deployment,
    log: &str,
) -> Result<BTreeMap<ServiceName, Vec<String>>, RehearsalError> {
    let made = trace::extensions(log)?;
    let of = |service: &Service| {
        let names: Vec<String> = service.extensions().iter().map(|name| quote_identifier(name)).collect();
        let is_its = |sql: &&String| names.iter().any(|name| sql.contains(name));
        (service.name().clone(), made.iter().filter(is_its).cloned().collect())
    };
    Ok(deployment.services().map(|(service, ..)| of(service)).collect())
}

/// The schemas that hold extensions, quoted, which are in the `search_path` of every migration.
fn schemas_of_extensions(database: &Database) -> Result<Vec<String>, RehearsalError> {
    let schemas = database.psql(
        "SELECT DISTINCT pg_catalog.quote_ident(n.nspname) FROM pg_catalog.pg_extension x \
         JOIN pg_catalog.pg_namespace n ON n.oid = x.extnamespace WHERE n.nspname <> 'pg_catalog' ORDER BY 1",
    )?;
    Ok(schemas.lines().map(str::to_owned).collect())
}
