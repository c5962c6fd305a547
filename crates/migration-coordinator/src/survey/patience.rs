//! How long a survey waits for tables that others keep locked, and what it says of those that they do not give up.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use migration_kit::ServiceName;
use migration_kit::table_lock::{LockMode, TableLock, TableLockError, holders};

use super::SurveyError;
use super::ask::Asking;
use super::histories::Part;
use crate::reading;
use crate::site::Site;

/// How long a survey waits, from its beginning: as long as a command that shows for all services, longer or shorter for those that
/// a run is patient for.
#[derive(Debug, Clone)]
pub(crate) struct Patience<'a> {
    begun: Instant,
    services: BTreeSet<&'a ServiceName>,
    longest: Duration,
}

impl<'a> Patience<'a> {
    /// That of a command that shows.
    pub(crate) fn usual() -> Self {
        Self { begun: Instant::now(), services: BTreeSet::new(), longest: reading::PATIENCE }
    }

    /// So long for these services; no service is waited for longer than by a command that shows unless it is among them.
    pub(crate) fn of(services: impl IntoIterator<Item = &'a ServiceName>, longest: Duration) -> Self {
        Self { begun: Instant::now(), services: services.into_iter().collect(), longest }
    }

    /// How long everything is asked for together.
    pub(super) fn at_first(&self) -> Duration {
        self.longest.min(reading::PATIENCE)
    }

    /// How much is left for a service.
    pub(super) fn left(&self, service: &ServiceName) -> Duration {
        let whole = if self.services.contains(service) { self.longest } else { self.at_first() };
        whole.saturating_sub(self.begun.elapsed())
    }

    /// That a table is still locked, and by whom if that can be seen.
    pub(super) async fn is_over(&self, asking: &mut Asking<'_>, part: Part, sites: &[&Site]) -> SurveyError {
        let (service, table) = part.names(sites);
        let (schema, relation) = part.relation(sites);
        let lock = TableLock::new(schema, relation, LockMode::AccessShare);
        let waited = self.begun.elapsed();
        let holders = match asking {
            Asking::Alone(reading) => {
                let lock = std::slice::from_ref(&lock);
                reading.ask(|connection| holders(connection, lock)).await
            }
            Asking::Working { session, .. } => session.holders(std::slice::from_ref(&lock)).await,
        };
        // A transaction that waits for it too does not hold it.
        let holder = holders.unwrap_or_default().into_iter().find(|holder| holder.granted);
        let source = TableLockError::GaveUp {
            relation: table.clone(),
            mode: lock.mode,
            waited,
            blocker: holder.map(Box::new),
        };
        SurveyError::Locked { service, table, source }
    }
}
