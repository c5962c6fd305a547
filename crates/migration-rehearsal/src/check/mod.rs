//! What the migrations of a service have to pass before they are released, as findings: values to be printed, counted and
//! sent to other tools. Each check runs in databases of its own, on a server of its own.
//!
//! What is compared with files is `generate`'s and `files`' part.

mod alone;
mod interleaved;
mod names;
mod round_trip;
mod rows;
mod trial;

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use migration_kit::{MigrationName, Service, ServiceName};
use postgres_sandbox::Cluster;

use crate::RehearsalError;
use crate::hazards::Hazard;

pub use round_trip::{Ground, round_trips};
pub use trial::Outcome;

/// What is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Check {
    /// Names are conventional or none is, and in the order of the list.
    Names,
    /// The committed lock file and schema are what the migrations do, and no published migration was edited.
    Files,
    /// The entities that the service declares are the tables that its migrations make.
    Entities,
    /// No migration does to applications what a rule is against, unless it accepts that with a reason.
    Hazards,
    /// Each migration is applied, reverted and applied again, with equal schemas; one outside a transaction twice.
    RoundTrip,
    /// The service comes to its head beside only what it requires, and leaves nothing outside of its schemas.
    Alone,
    /// Each migration is applied to tables that have rows.
    Rows,
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
    /// Hazards that were found by trying.
    pub hazards: Vec<Hazard>,
    /// Tables for which no row could be made, so that they were empty.
    pub empty: Vec<String>,
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
            Self::Entities => "entities",
            Self::Hazards => "hazards",
            Self::RoundTrip => "round-trip",
            Self::Alone => "alone",
            Self::Rows => "rows",
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
/// another. Checks that are skipped cost nothing.
///
/// # Errors
/// [`RehearsalError`]: there is no server, or it cannot be asked. What a migration does wrong is a finding.
pub async fn check(
    make: &dyn Fn() -> Vec<Service>,
    wanted: &[ServiceName],
    skipped: &[Check],
) -> Result<Vec<Checked>, RehearsalError> {
    let is_wanted = &|check| !skipped.contains(&check);
    let cluster = &Cluster::builder().in_memory().start()?;
    let mut checked = Vec::new();
    for service in make().iter().filter(|service| wanted.contains(service.name())) {
        let begun = Instant::now();
        checked.push(Checked::since(begun, service.name(), Check::Names, names::check(service)));
    }
    // A service without migrations has no schema, and there is nothing to try.
    let has_some = |service: &Service| service.migrations().next().is_some();
    let with_some: Vec<ServiceName> =
        make().iter().filter(|service| has_some(service)).map(|service| service.name().clone()).collect();
    // The server works on several at once; what waits for it here costs nothing.
    let tried = wanted.iter().filter(|name| with_some.contains(name)).map(|name| async move {
        let mut checked = Vec::new();
        if is_wanted(Check::RoundTrip) {
            let begun = Instant::now();
            let found = Box::pin(round_trip::check(cluster, make(), name)).await?;
            checked.push(Checked::since(begun, name, Check::RoundTrip, found));
        }
        if is_wanted(Check::Rows) {
            let begun = Instant::now();
            let tried = Box::pin(rows::check(cluster, make(), name)).await?;
            let rows::Tried { findings, hazards, empty } = tried;
            let found = Checked::since(begun, name, Check::Rows, findings);
            checked.push(Checked { hazards, empty, ..found });
        }
        if !is_wanted(Check::Alone) && !is_wanted(Check::Interleaved) {
            return Ok::<_, RehearsalError>((name, checked, None));
        }
        let begun = Instant::now();
        let (found, head) = Box::pin(alone::check(cluster, make(), name)).await?;
        checked.push(Checked::since(begun, name, Check::Alone, found));
        Ok((name, checked, head))
    });
    let mut heads = BTreeMap::new();
    for tried in join_all(tried).await {
        let (name, found, head) = tried?;
        checked.extend(found);
        heads.extend(head.map(|head| (name, head)));
    }
    if is_wanted(Check::Interleaved) {
        checked.extend(interleaved::check(cluster, make, &heads).await?);
    }
    checked.retain(|checked| is_wanted(checked.check));
    checked.sort_by_key(|checked| (wanted.iter().position(|name| *name == checked.service), checked.check));
    Ok(checked)
}

impl Checked {
    fn since(begun: Instant, service: &ServiceName, check: Check, findings: Vec<Finding>) -> Self {
        Self {
            service: service.clone(),
            check,
            findings,
            hazards: Vec::new(),
            empty: Vec::new(),
            elapsed: begun.elapsed(),
        }
    }
}
