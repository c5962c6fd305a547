//! The migration lock: one run at a time, per service.
//!
//! A session-level advisory lock on the very session that runs the migrations: the lock ends with that session's
//! process, and so never before the statement it protects. It is tried, never waited for inside PostgreSQL: a session that
//! waits in `pg_advisory_lock` holds a snapshot, and `CREATE INDEX CONCURRENTLY` waits for that snapshot for ever.

use std::time::{Duration, Instant};

use futures_timer::Delay;
use migration_kit::ServiceName;
use migration_plan::{Hint, Offer};
use sea_orm::sqlx;

use crate::deployment::{Deployment, Placed};
use crate::event;
use crate::holder::Holder;
use crate::session::{Session, Writer};
use crate::survey::{ServiceFacts, Survey, holder_on};

/// First pause between two attempts; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How often a run that waits says for whom.
const SAY_EVERY: Duration = Duration::from_secs(5);

/// Why a migration lock was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another session holds it.
    #[error("`{service}`: another run holds the migration lock{}", held_by(holder.as_ref()))]
    Busy {
        /// The service.
        service: ServiceName,
        /// Who holds it, if that could be seen.
        holder: Option<Holder>,
    },
    /// The server could not be asked.
    #[error("`{service}`: the migration lock could not be asked for")]
    Query {
        /// The service.
        service: ServiceName,
        /// What the server says.
        #[source]
        source: sqlx::Error,
    },
}

impl LockError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::Busy { .. } => {
                Some(Hint::from("wait longer with ") + Offer::WaitLonger + ", or see " + Offer::Locks)
            }
            Self::Query { .. } => None,
        }
    }
}

/// A session that holds the migration lock of a service, and works for that service alone. Every path that changes a
/// service takes one: without it, a session can only read.
pub(crate) struct LockedSession<'a> {
    writer: Writer<'a>,
    placed: &'a Placed,
}

impl<'a> LockedSession<'a> {
    /// Takes the lock, asking every 50 ms, then less often up to every 500 ms (with jitter), until `patience` has passed.
    ///
    /// # Errors
    /// [`LockError::Busy`] with the holder after `patience`; [`LockError::Query`] if the server cannot be asked.
    pub(crate) async fn take(
        session: &'a Session,
        placed: &'a Placed,
        patience: Duration,
    ) -> Result<Self, LockError> {
        let service = placed.name();
        let failed = |source| LockError::Query { service: service.clone(), source };
        let begun = Instant::now();
        let mut said: Option<Instant> = None;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(writer) = session.try_lock(&placed.site.lock_key()).await.map_err(failed)? {
                if said.is_some() {
                    event::lock_acquired(service, begun.elapsed());
                }
                return Ok(Self { writer, placed });
            }
            let tired = begun.elapsed() >= patience;
            if tired || said.is_none_or(|when| when.elapsed() >= SAY_EVERY) {
                let holder = holder_on(session, &placed.site).await.map_err(failed)?;
                if tired {
                    return Err(LockError::Busy { service: service.clone(), holder });
                }
                event::lock_waiting(service, holder.as_ref(), begun.elapsed());
                said = Some(Instant::now());
            }
            Delay::new(pause.mul_f64(0.75 + fastrand::f64() / 2.0)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The service whose lock is held.
    pub(crate) fn placed(&self) -> &'a Placed {
        self.placed
    }

    /// What there is of the service, read anew under the lock; tables that others keep locked are waited for this long.
    pub(crate) async fn survey(
        &self,
        deployment: &Deployment,
        patience: Duration,
    ) -> Result<ServiceFacts, sqlx::Error> {
        let asked = Survey::take_on(self.session(), deployment, &[&self.placed.site], patience).await;
        Ok(asked?.swap_remove(0))
    }

    /// What writes.
    pub(crate) fn writer(&self) -> Writer<'a> {
        self.writer
    }

    /// The session, for reading.
    pub(crate) fn session(&self) -> &'a Session {
        self.writer.session()
    }
}

fn held_by(holder: Option<&Holder>) -> String {
    holder.map_or_else(String::new, |holder| {
        format!(": pid {} (`{}`, {})", holder.pid, holder.application, holder.host)
    })
}
