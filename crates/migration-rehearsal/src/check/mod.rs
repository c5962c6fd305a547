//! What the migrations of a service have to pass before they are released, as findings: values to be printed, counted and
//! sent to other tools. Each check runs in databases of its own, on a server of its own.
//!
//! What is compared with files is `generate`'s and `files`' part.

mod alone;
mod interleaved;
mod names;
mod round_trip;
mod trial;

use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use migration_kit::{MigrationName, Service, ServiceName};
use postgres_sandbox::Cluster;

use crate::RehearsalError;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Names are conventional or none is, and in the order of the list.
    Names,
    /// The committed lock file and schema are what the migrations do, and no published migration was edited.
    Files,
    /// No migration does to applications what a rule is against, unless it accepts that with a reason.
    Hazards,
    /// Each migration is applied, reverted and applied again, with equal schemas; one outside a transaction twice.
    RoundTrip,
    /// The service comes to its head beside only what it requires, and leaves nothing outside of its schemas.
    Alone,
    /// Orders that the requirements allow lead to the same schema.
    Interleaved,
}

/// Something that a migration does not keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The migration, if it is one's.
    pub migration: Option<MigrationName>,
    /// What is wrong.
    pub message: String,
}

/// What a check came to for one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// The service.
    pub service: ServiceName,
    /// What was checked.
    pub check: Check,
    /// What is wrong; none if it passed.
    pub findings: Vec<Finding>,
    /// How long it took.
    pub elapsed: Duration,
}

impl Check {
    /// Its name in results.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Names => "names",
            Self::Files => "files",
            Self::Hazards => "hazards",
            Self::RoundTrip => "round-trip",
            Self::Alone => "alone",
            Self::Interleaved => "interleaved",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Finding {
    /// What is wrong with a migration, or with all of them.
    #[must_use]
    pub fn new(migration: Option<MigrationName>, message: impl Into<String>) -> Self {
        Self { migration, message: message.into() }
    }

    fn of(migration: &MigrationName, message: impl Into<String>) -> Self {
        Self { migration: Some(migration.clone()), message: message.into() }
    }

    fn general(message: impl Into<String>) -> Self {
        Self { migration: None, message: message.into() }
    }
}

/// Tries the migrations of these services out; `make` makes all services of the program, since one may require migrations of
/// another.
///
/// # Errors
/// [`RehearsalError`]: there is no server, or it cannot be asked. What a migration does wrong is a finding.
pub async fn check(
    make: &dyn Fn() -> Vec<Service>,
    wanted: &[ServiceName],
) -> Result<Vec<Checked>, RehearsalError> {
    let cluster = Cluster::builder().start()?;
    let mut checked = Vec::new();
    for service in make().iter().filter(|service| wanted.contains(service.name())) {
        checked.push(timed(service.name(), Check::Names, async { Ok(names::check(service)) }).await?);
    }
    // The server works on several at once; what waits for it here costs nothing.
    let tried = wanted.iter().map(|name| async {
        let round_trip = timed(name, Check::RoundTrip, round_trip::check(&cluster, make(), name)).await?;
        let alone = timed(name, Check::Alone, alone::check(&cluster, make(), name)).await?;
        Ok::<_, RehearsalError>([round_trip, alone])
    });
    for tried in join_all(tried).await {
        checked.extend(tried?);
    }
    checked.extend(interleaved::check(&cluster, make, wanted).await?);
    checked.sort_by_key(|checked| (wanted.iter().position(|name| *name == checked.service), checked.check));
    Ok(checked)
}

async fn timed(
    service: &ServiceName,
    check: Check,
    findings: impl Future<Output = Result<Vec<Finding>, RehearsalError>>,
) -> Result<Checked, RehearsalError> {
    let begun = Instant::now();
    let findings = Box::pin(findings).await?;
    Ok(Checked { service: service.clone(), check, findings, elapsed: begun.elapsed() })
}
