//! What concerns a service's data and is no migration: its rejects, the size of its tables, giving space back, tasks.
//!
//! Reading runs in a `READ ONLY` transaction; what changes something does so under the migration lock, and what changes what belongs to
//! a service once it is known there that nothing of others is taken for it. It is long because all reasons for not doing so are in one enum.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use migration_kit::rejects::{self, Reject, RejectCounts};
use migration_kit::space::{self, TableSize};
use migration_kit::{BOOKKEEPING, ServiceName, bookkeeping, literal, qualified};
use migration_plan::{Hint, Offer};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};
use sea_orm::{DatabaseConnection, DbErr};

use crate::belongings::{Applied, Thing};
use crate::cancel::Cancellation;
use crate::connect_error::ConnectError;
use crate::deployment::{Deployment, Placed};
use crate::interrupt::Ended;
use crate::lock::{LockError, LockedSession};
use crate::move_mark::MoveMark;
use crate::reading::Reading;
use crate::run::{RunError, not_of_others};
use crate::session::Session;
use crate::survey::{ServiceFacts, Survey, SurveyError};

/// Why upkeep was not done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UpkeepError {
    /// There is no such service.
    #[error("there is no service `{service}`")]
    UnknownService {
        /// The name as given.
        service: ServiceName,
    },
    /// There is no connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The migration lock was not taken.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// Nothing can be written there.
    #[error("`{database}` is read-only: a standby, or set so")]
    ReadOnly {
        /// The database.
        database: String,
    },
    /// Something could not be read.
    #[error("`{service}`: the database could not be read")]
    Read {
        /// The service.
        service: ServiceName,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// The database refused something, was busy, or ended the session.
    #[error("`{service}`: the database answered with an error")]
    Database {
        /// The service.
        service: ServiceName,
        /// What the database says.
        #[source]
        source: DbErr,
    },
    /// What was decided fits nothing that is wrong.
    #[error("`{service}`: {message}")]
    NothingToMend {
        /// The service.
        service: ServiceName,
        /// Why it does not fit.
        message: String,
    },
    /// Roles are not possible as they were asked for.
    #[error("`{service}`: {message}")]
    Roles {
        /// The service.
        service: ServiceName,
        /// Why not.
        message: String,
    },
    /// The history could not be read, so that nothing can be decided about it.
    #[error("the history cannot be read")]
    Unread(#[source] Arc<SurveyError>),
    /// The history is not what it was when the decision was made.
    #[error("`{service}`: another run has changed its history meanwhile")]
    Moved {
        /// The service.
        service: ServiceName,
    },
    /// The database is on one node.
    #[error("`{database}` is PostgreSQL on one node: the extension `citus` is not in it")]
    NotCitus {
        /// The database.
        database: String,
    },
    /// It cannot move into another schema, or to another node.
    #[error("`{service}`: {message}")]
    Relocation {
        /// The service.
        service: ServiceName,
        /// What blocks it.
        message: String,
    },
    /// What arrived where it was copied to is not what was there. Nothing was kept.
    #[error("`{service}`: {message}")]
    NotCopied {
        /// The service.
        service: ServiceName,
        /// What differs.
        message: String,
    },
    /// It cannot be on another node, to which Citus connects as the owner of what is changed.
    #[error(
        "`{service}`: `{owner}` owns tables of it and may not log in, as which nodes connect to each other"
    )]
    NoLogin {
        /// The service.
        service: ServiceName,
        /// The owner.
        owner: String,
    },
    /// What bears the service's names is of others.
    #[error(transparent)]
    OfOthers(Box<RunError>),
    /// It was stopped.
    #[error("`{service}`: interrupted")]
    Interrupted {
        /// The service.
        service: ServiceName,
    },
}

/// The first entries of a service's reject table.
///
/// # Errors
/// [`UpkeepError`] if the service is unknown or its database cannot be read.
pub async fn rejected(
    deployment: &Deployment,
    service: &ServiceName,
    limit: u64,
) -> Result<Vec<Reject>, UpkeepError> {
    let placed = find(deployment, service)?;
    let mut reading = reading(deployment, placed).await?;
    let listed =
        reading.ask(|asked| rejects::list(asked, &placed.site.schema, service.as_str(), limit)).await;
    listed.map_err(|source| UpkeepError::Read { service: service.clone(), source })
}

/// How many entries a service's reject table has, by migration, table, field and reason.
///
/// # Errors
/// [`UpkeepError`] if the service is unknown or its database cannot be read.
pub async fn reject_counts(
    deployment: &Deployment,
    service: &ServiceName,
) -> Result<RejectCounts, UpkeepError> {
    let placed = find(deployment, service)?;
    let mut reading = reading(deployment, placed).await?;
    let counted = reading.ask(|asked| rejects::counts(asked, &placed.site.schema, service.as_str())).await;
    counted.map_err(|source| UpkeepError::Read { service: service.clone(), source })
}

/// A service's reject table that is not there, although checks of its applied migrations ask it, with its schema.
///
/// # Errors
/// [`UpkeepError`] if the service is unknown, or its database or its history cannot be read.
pub async fn lost_rejects(
    deployment: &Deployment,
    service: &ServiceName,
) -> Result<Option<String>, UpkeepError> {
    let placed = find(deployment, service)?;
    let table = rejects::table_name(service.as_str());
    let qualified = qualified(&placed.site.schema, &table);
    let asked = format!("{BOOKKEEPING}SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(&qualified));
    let mut connection = reading(deployment, placed).await?;
    let rows = connection.rows(&asked).await;
    let failed = |error| UpkeepError::Read { service: service.clone(), source: driver(error) };
    let is_there = rows.and_then(|rows| rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0));
    connection.close().await;
    if is_there.map_err(failed)? {
        return Ok(None);
    }
    let survey = Survey::take(deployment).await;
    let Some(facts) = survey.service(service) else { return Ok(None) };
    if let Some(error) = facts.unread.clone() {
        return Err(UpkeepError::Unread(error));
    }
    let applied = facts.applied.iter().map(|row| &row.name).collect();
    // What only looks whether the table is there does without it.
    let looks = format!("to_regclass('{table}'");
    let needs = |sql: &str| sql.replace(&looks, "").contains(&table);
    let is_needed = placed.checks_of(&applied, &applied).any(|(_, check)| needs(&check.question()));
    Ok(is_needed.then(|| format!("{}.{table}", placed.site.schema)))
}

/// A table and its space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableSpace {
    /// Its name.
    pub table: String,
    /// Whether the service names it as its own, or names none: another program may have put a table into its schema.
    pub is_own: bool,
    /// What it takes.
    pub size: TableSize,
    /// About how many bytes [`reclaim`] would give back; `None` where its rows may not be read.
    pub reclaimable_bytes: Option<u64>,
}

/// The space of each table in a service's schema (of its own ones, where it shares the schema), largest first.
///
/// # Errors
/// [`UpkeepError`] if the service is unknown or its database cannot be read.
pub async fn table_sizes(
    deployment: &Deployment,
    service: &ServiceName,
) -> Result<Vec<TableSpace>, UpkeepError> {
    let placed = find(deployment, service)?;
    let failed = |source| UpkeepError::Read { service: service.clone(), source };
    let mut reading = reading(deployment, placed).await?;
    let sql = format!(
        "{BOOKKEEPING}SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1",
        literal(&placed.site.schema)
    );
    let rows = reading.rows(&sql).await.map_err(driver).map_err(failed)?;
    let (named, shares) = (placed.service.tables(), placed.site.shares_schema());
    // Where its history cannot be read, what bears its names is shown.
    let applied = match shares {
        true => {
            Survey::of(deployment, &placed.site).await.ok().and_then(|facts| facts.anything_applied().ok())
        }
        false => None,
    };
    let mut sizes = Vec::new();
    for table in rows.iter().map(|row| row.get::<String, _>(0)) {
        let is_own = named.contains(&table) || named.is_empty() && !shares;
        let is_its =
            || deployment.has(service, applied.unwrap_or(Applied::Something), &Thing::relation(&table));
        if shares && !(is_own && is_its()) {
            continue;
        }
        let schema = &placed.site.schema;
        let size = reading.ask(|asked| space::table_size(asked, schema, &table)).await.map_err(failed)?;
        let reclaimable = reading.ask(|asked| space::reclaimable(asked, schema, &table)).await;
        sizes.push(TableSpace { table, is_own, size, reclaimable_bytes: reclaimable.map_err(failed)? });
    }
    sizes.sort_by_key(|space| std::cmp::Reverse(space.size.total_bytes));
    Ok(sizes)
}

/// Writes a table anew and gives its space back: `ACCESS EXCLUSIVE` for the whole rewrite, which begins when no other
/// session blocks it. Sizes before and after.
///
/// # Errors
/// [`UpkeepError`]; a table that does not exist is refused before anything is locked.
pub async fn reclaim(
    deployment: &Deployment,
    service: &ServiceName,
    table: &str,
    wait: Duration,
    cancellation: &Cancellation,
) -> Result<(TableSize, TableSize), UpkeepError> {
    let schema = find(deployment, service)?.site.schema.clone();
    on_its_own(deployment, service, wait, cancellation, |db, _| async move {
        let pool = db.get_postgres_connection_pool();
        let mut connection = pool.acquire().await.map_err(driver)?;
        let before = space::table_size(&mut connection, &schema, table).await?;
        space::reclaim(&mut connection, service.as_str(), &schema, table).await?;
        let after = space::table_size(&mut connection, &schema, table).await?;
        Ok::<_, DbErr>((before, after))
    })
    .await?
    .map_err(|source| UpkeepError::Database { service: service.clone(), source })
}

/// Where a service has to be for something to be done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In use where it is placed: neither moved away nor a copy.
    InUse,
    /// Anywhere.
    Any,
}

/// Does something to a service's data, on a session that holds its migration lock; `search_path` is its schema.
///
/// # Errors
/// [`UpkeepError`] if it did not begin or was stopped; what it returns itself is the caller's.
pub async fn under_lock<T, E, F: Future<Output = Result<T, E>>>(
    place: Place,
    deployment: &Deployment,
    service: &ServiceName,
    wait: Duration,
    cancellation: &Cancellation,
    work: impl FnOnce(DatabaseConnection) -> F,
) -> Result<Result<T, E>, UpkeepError> {
    let work = async |locked: &LockedSession<'_>| work(locked.writer().db().clone()).await;
    locked(place, deployment, find(deployment, service)?, wait, cancellation, work).await
}

/// Does something to what belongs to a service where it is in use, on a session that holds its migration lock, once it is known
/// under that lock that nothing which bears the service's names is of others.
///
/// # Errors
/// As [`under_lock`]; [`UpkeepError::OfOthers`].
pub async fn on_its_own<T, E, F: Future<Output = Result<T, E>>>(
    deployment: &Deployment,
    service: &ServiceName,
    wait: Duration,
    cancellation: &Cancellation,
    work: impl FnOnce(DatabaseConnection, Applied) -> F,
) -> Result<Result<T, E>, UpkeepError> {
    let work = async |locked: &LockedSession<'_>, applied: Applied| {
        work(locked.writer().db().clone(), applied).await
    };
    own(deployment, find(deployment, service)?, wait, cancellation, work).await
}

/// The same on the session itself.
pub(crate) async fn own<T, E>(
    deployment: &Deployment,
    placed: &Placed,
    wait: Duration,
    cancellation: &Cancellation,
    work: impl AsyncFnOnce(&LockedSession<'_>, Applied) -> Result<T, E>,
) -> Result<Result<T, E>, UpkeepError> {
    let work = async |locked: &LockedSession<'_>| {
        let applied = if placed.site.shares_schema() {
            let facts = locked.survey(deployment, wait).await;
            let failed =
                |source| UpkeepError::Read { service: placed.name().clone(), source: driver(source) };
            of_no_others(deployment, &facts.map_err(failed)?)?
        } else {
            Applied::Something
        };
        Ok::<_, UpkeepError>(work(locked, applied).await)
    };
    Box::pin(locked(Place::InUse, deployment, placed, wait, cancellation, work)).await?
}

/// The same question for what is only shown: asked without the lock.
pub(crate) async fn look_whose(deployment: &Deployment, placed: &Placed) -> Result<Applied, UpkeepError> {
    if !placed.site.shares_schema() {
        return Ok(Applied::Something);
    }
    let facts = Survey::of(deployment, &placed.site).await;
    of_no_others(deployment, &facts.map_err(|error| UpkeepError::Unread(Arc::new(error)))?)
}

fn of_no_others(deployment: &Deployment, facts: &ServiceFacts) -> Result<Applied, UpkeepError> {
    not_of_others(deployment, facts).map_err(|error| UpkeepError::OfOthers(Box::new(error)))?;
    facts.anything_applied().map_err(UpkeepError::Unread)
}

/// Does something to a service on a session that holds its migration lock; `search_path` is its schema. What is done all the same
/// when it is stopped, is done.
pub(crate) async fn locked<T, E>(
    place: Place,
    deployment: &Deployment,
    placed: &Placed,
    wait: Duration,
    cancellation: &Cancellation,
    work: impl AsyncFnOnce(&LockedSession<'_>) -> Result<T, E>,
) -> Result<Result<T, E>, UpkeepError> {
    let service = placed.name();
    let url = &deployment.databases()[placed.site.database];
    let application = placed.site.application(None);
    let interrupted = || UpkeepError::Interrupted { service: service.clone() };
    let search_path = placed.site.own_search_path();
    let opening = Box::pin(Session::open(url, &application, &search_path, None));
    let session = cancellation.unless_cancelled(opening).await.ok_or_else(interrupted)??;
    let locked = async {
        let read_only = bookkeeping!("SELECT pg_catalog.current_setting('transaction_read_only') = 'on'");
        let failed = |source| UpkeepError::Read { service: service.clone(), source: driver(source) };
        if session.rows(read_only).await.map_err(failed)?.first().is_some_and(|row| row.get(0)) {
            return Err(UpkeepError::ReadOnly { database: url.to_string() });
        }
        let taking = LockedSession::take(&session, placed, wait);
        let taken = cancellation.unless_cancelled(taking).await;
        let locked = taken.ok_or_else(interrupted)??;
        if place == Place::InUse {
            judge_place(service, session.rows(&placed.site.mark_question()).await)?;
        }
        Ok(work(&locked).await)
    };
    let done = session.cancellable(url, cancellation, locked).await;
    session.close().await;
    match done {
        Ended::Finished(done) | Ended::Stopped(Some(done @ Ok(Ok(_)))) => done,
        Ended::Stopped(_) | Ended::Unanswered => Err(interrupted()),
    }
}

impl UpkeepError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::UnknownService { .. } => Some(Hint::from(Offer::Status(None)) + " lists the services"),
            Self::Connect(error) => Some(error.hint()),
            Self::ReadOnly { .. } => Some("connect to the primary".into()),
            Self::Lock(LockError::Busy { .. }) => {
                Some(Hint::from("see ") + Offer::Locks + ", and try again when the other run is over")
            }
            Self::NothingToMend { service, .. } => {
                Some(Hint::from(Offer::Repair(service.clone())) + " shows what is wrong, and what mends it")
            }
            Self::NoLogin { service, .. } => {
                Some(Hint::from(Offer::Roles(service.clone())) + " shows the statements that let it")
            }
            Self::Unread(error) => error.hint(),
            Self::OfOthers(error) => error.hint(),
            Self::Lock(LockError::Query { .. })
            | Self::Read { .. }
            | Self::Database { .. }
            | Self::Relocation { .. }
            | Self::Roles { .. } => None,
            Self::NotCopied { .. } => {
                Some("look what a node does to rows that are inserted there, such as a trigger, and run it again".into())
            }
            Self::NotCitus { .. } => Some(
                "connect to the coordinator of a Citus, or make it one with `CREATE EXTENSION citus` where the server loads the library"
                    .into(),
            ),
            Self::Moved { .. } | Self::Interrupted { .. } => Some("run it again".into()),
        }
    }
}

pub(crate) fn find<'d>(deployment: &'d Deployment, service: &ServiceName) -> Result<&'d Placed, UpkeepError> {
    deployment.placed(service).ok_or_else(|| UpkeepError::UnknownService { service: service.clone() })
}

/// Whether a service is in use where it is placed, by the answer to [`MoveMark::question`].
pub(crate) fn judge_place(
    service: &ServiceName,
    answer: Result<Vec<PgRow>, sqlx::Error>,
) -> Result<(), UpkeepError> {
    let marked = answer.and_then(|rows| MoveMark::answer(&rows));
    match marked.map_err(|error| UpkeepError::Read { service: service.clone(), source: driver(error) })? {
        Some(mark) => Err(UpkeepError::Unread(SurveyError::of_mark(service.clone(), mark).into())),
        None => Ok(()),
    }
}

/// A connection in a `READ ONLY` transaction that ends with it, to where the service is in use.
async fn reading<'d>(deployment: &'d Deployment, placed: &Placed) -> Result<Reading<'d>, UpkeepError> {
    let failed = |error| UpkeepError::Read { service: placed.name().clone(), source: driver(error) };
    let mut reading = Reading::open(&deployment.databases()[placed.site.database]).await?;
    reading.begin().await.map_err(failed)?;
    judge_place(placed.name(), reading.rows(&placed.site.mark_question()).await)?;
    Ok(reading)
}

pub(crate) fn driver(error: sqlx::Error) -> DbErr {
    DbErr::Query(sea_orm::RuntimeErr::SqlxError(std::sync::Arc::new(error)))
}
