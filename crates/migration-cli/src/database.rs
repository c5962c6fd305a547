//! Where the database comes from: the environment, or else the embedded default, started for the command.

use std::mem::ManuallyDrop;

use anyhow::Context;
use migration_coordinator::{DatabaseUrl, Deployment, Placement};
use migration_kit::Service;
use postgres_sandbox::{Cluster, PersistentCluster, SandboxError};

use crate::environment::Environment;
use crate::exit::Failure;

/// Name of the database in the embedded cluster.
const EMBEDDED_DATABASE: &str = "postgres";

/// What the command line says of the embedded default.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Embedded {
    /// It is not used.
    pub(crate) never: bool,
    /// PostgreSQL may be installed for it.
    pub(crate) install: bool,
}

/// The services placed, and the embedded cluster for as long as it is used.
pub(crate) struct Connected {
    /// Not taken apart at the end, when the process ends anyway: there may be ten thousand migrations.
    pub(crate) deployment: ManuallyDrop<Deployment>,
    /// What is said of the database before anything runs.
    pub(crate) source: Source,
    /// Kept until the command is over: the server stops when its last user is gone.
    _cluster: Option<Cluster>,
}

/// Where the database comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// From the environment.
    Environment,
    /// The private cluster in this directory, as a user would write it, and why it is used.
    Embedded { directory: String, reason: &'static str },
}

/// Places services in the databases that the environment names, and in the embedded default where it names none.
pub(crate) fn connect(
    environment: &Environment,
    services: Vec<Service>,
    embedded: Embedded,
) -> anyhow::Result<Connected> {
    environment.note_misspelt(&services.iter().map(Service::name).collect::<Vec<_>>());
    let mut cluster = None;
    let mut placements = Vec::with_capacity(services.len());
    for service in services {
        let url = match environment.url(service.name())? {
            Some(url) => url,
            None => {
                if cluster.is_none() {
                    cluster = Some(start(environment, embedded)?);
                }
                address_of(cluster.as_ref().expect("it was made just now"))?
            }
        };
        let schema = environment.schema(service.name())?.unwrap_or(service.default_schema()).to_owned();
        placements.push(Placement { service, schema, url });
    }
    let source = match &cluster {
        Some(_) => Source::Embedded {
            directory: environment.relative(&environment.cluster_directory()?).to_string(),
            reason: if environment.has_empty_address() {
                "DATABASE_URL is empty"
            } else {
                "no DATABASE_URL set"
            },
        },
        None => Source::Environment,
    };
    let deployment = Deployment::new(placements).context("the services cannot be coordinated together")?;
    let deployment = deployment
        .allowing(environment.allowed_objects()?)
        .allowing_any_bytes(environment.allows_any_bytes()?);
    let deployment = ManuallyDrop::new(deployment);
    Ok(Connected { deployment, source, _cluster: cluster })
}

/// Address of one service's database, and the embedded cluster if it is in there.
pub(crate) fn address(
    environment: &Environment,
    service: &Service,
    embedded: Embedded,
) -> anyhow::Result<(DatabaseUrl, Option<Cluster>)> {
    environment.note_misspelt(&[service.name()]);
    if let Some(url) = environment.url(service.name())? {
        return Ok((url, None));
    }
    let cluster = start(environment, embedded)?;
    Ok((address_of(&cluster)?, Some(cluster)))
}

fn address_of(cluster: &Cluster) -> anyhow::Result<DatabaseUrl> {
    cluster.url(EMBEDDED_DATABASE).parse().context("the embedded cluster has no address")
}

/// The embedded default, started if it does not run.
fn start(environment: &Environment, embedded: Embedded) -> anyhow::Result<Cluster> {
    let forbidden =
        if embedded.never { Some("`--no-embedded` is given") } else { environment.embedded_forbidden()? };
    if let Some(reason) = forbidden {
        let message = format!(
            "there is no database: `DATABASE_URL` is not set, and no private server is used, since {reason}"
        );
        return Err(Failure::usage(message, "set DATABASE_URL in the environment or in `.env`").into());
    }
    let cluster = cluster(environment)?;
    match cluster.attach() {
        Err(SandboxError::Binaries(missing) | SandboxError::OtherMajor { missing, .. })
            if embedded.install =>
        {
            install(&missing)?;
            Ok(cluster.attach()?)
        }
        attached => Ok(attached?),
    }
}

/// The embedded default, running or not.
pub(crate) fn cluster(environment: &Environment) -> Result<PersistentCluster, Failure> {
    Ok(PersistentCluster::at(environment.cluster_directory()?).with_search(environment.programs()?))
}

/// Installs PostgreSQL with the platform's package manager, after saying so.
fn install(missing: &postgres_sandbox::NotFound) -> anyhow::Result<()> {
    let install = missing.install.as_ref().ok_or_else(|| {
        Failure::usage(missing.to_string(), "install PostgreSQL 15 or later by hand, or set DATABASE_URL")
    })?;
    anstream::eprintln!("installing PostgreSQL: {install}");
    install.run()?;
    Ok(())
}
