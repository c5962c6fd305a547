//! Several services of one database as they are at one moment, while nobody migrates them: what a backup needs.
//!
//! It writes nothing. The locks are on one session, the moment on another one, whose snapshot other programs can take.

use std::future::Future;
use std::time::Duration;

use migration_kit::{ServiceName, bookkeeping};
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, Row};

use crate::cancel::Cancellation;
use crate::connect_error::ConnectError;
use crate::database::DatabaseUrl;
use crate::deployment::{Deployment, Placed};
use crate::interrupt::Ended;
use crate::lock::LockedSession;
use crate::reading::Reading;
use crate::session::Session;
use crate::survey::{ServiceFacts, Survey};
use crate::upkeep::{self, UpkeepError};

/// How the session that holds the locks is called.
const APPLICATION: &str = "migrate backup";

/// Some services at one moment.
pub struct Moment<'d> {
    reading: Reading<'d>,
    snapshot: String,
    facts: Vec<ServiceFacts>,
}

impl<'d> Moment<'d> {
    /// Begins one, of which these facts are true for as long as the caller holds the migration locks of their services. A table lock
    /// of others is waited for as long as `wait` says.
    ///
    /// # Errors
    /// [`ConnectError`] if there is no connection; within, what the server says.
    pub async fn open(
        url: &'d DatabaseUrl,
        facts: Vec<ServiceFacts>,
        wait: Duration,
    ) -> Result<Result<Self, sqlx::Error>, ConnectError> {
        let mut reading = Reading::open_within(url, wait).await?;
        let beginning = async {
            reading.begin().await?;
            reading.export().await
        };
        Ok(beginning.await.map(|snapshot| Self { reading, snapshot, facts }))
    }

    /// Ends it.
    pub async fn close(self) {
        self.reading.close().await;
    }

    /// The snapshot, as other sessions and `pg_dump` take it, for as long as this value lives.
    #[must_use]
    pub fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// What is recorded of the services, in the order in which they were named.
    #[must_use]
    pub fn facts(&self) -> &[ServiceFacts] {
        &self.facts
    }

    /// Asks as [`Reading::ask`] does.
    pub async fn ask<'c, T, F: Future<Output = T> + 'c>(
        &'c mut self,
        question: impl FnOnce(&'c mut PgConnection) -> F,
    ) -> T {
        self.reading.ask(question).await
    }

    /// Rows of one question.
    ///
    /// # Errors
    /// What the server says.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        self.reading.rows(sql).await
    }
}

/// Does something that only reads to services of one database, with the migration lock of each, at one moment. A table lock of
/// others is waited for as long as `wait` says, too.
///
/// # Errors
/// [`UpkeepError`] if it did not begin or was stopped; what it returns itself is the caller's.
pub async fn at_one_moment<T>(
    deployment: &Deployment,
    services: &[ServiceName],
    wait: Duration,
    cancellation: &Cancellation,
    work: impl AsyncFnOnce(&mut Moment<'_>) -> T,
) -> Result<Option<T>, UpkeepError> {
    let mut placed = Vec::new();
    for service in services {
        placed.push(upkeep::find(deployment, service)?);
    }
    let Some(first) = placed.first().copied() else { return Ok(None) };
    let url = &deployment.databases()[first.site.database];
    let interrupted = || UpkeepError::Interrupted { service: first.name().clone() };
    let search_path = first.site.own_search_path();
    let opening = Box::pin(Session::open(url, APPLICATION, &search_path, None));
    let session = cancellation.unless_cancelled(opening).await.ok_or_else(interrupted)??;
    let working = Box::pin(async {
        let holding = Box::pin(hold(&session, deployment, &placed, wait));
        let facts = cancellation.unless_cancelled(holding).await.ok_or_else(interrupted)??;
        let failed =
            |source| UpkeepError::Read { service: first.name().clone(), source: upkeep::driver(source) };
        let mut moment = Moment::open(url, facts, wait).await?.map_err(failed)?;
        let done = cancellation.unless_cancelled(work(&mut moment)).await;
        moment.close().await;
        done.map(Some).ok_or_else(interrupted)
    });
    let done = session.cancellable(url, cancellation, working).await;
    session.close().await;
    match done {
        Ended::Finished(done) | Ended::Stopped(Some(done)) => done,
        Ended::Stopped(None) | Ended::Unanswered => Err(interrupted()),
    }
}

/// Takes the locks of all services, in the order of their names, and reads what is recorded of them.
async fn hold(
    session: &Session,
    deployment: &Deployment,
    placed: &[&Placed],
    wait: Duration,
) -> Result<Vec<ServiceFacts>, UpkeepError> {
    let failed =
        |source| UpkeepError::Read { service: placed[0].name().clone(), source: upkeep::driver(source) };
    let standby = bookkeeping!("SELECT pg_catalog.pg_is_in_recovery()");
    if session.rows(standby).await.map_err(failed)?.first().is_some_and(|row| row.get(0)) {
        let database = deployment.databases()[placed[0].site.database].to_string();
        return Err(UpkeepError::ReadOnly { database });
    }
    let mut in_order = placed.to_vec();
    in_order.sort_by_key(|placed| placed.name());
    for placed in in_order {
        LockedSession::take(session, placed, wait).await?;
    }
    let sites: Vec<_> = placed.iter().map(|placed| &placed.site).collect();
    Survey::take_on(session, deployment, &sites, wait).await.map_err(failed)
}
