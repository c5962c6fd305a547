//! Extensions of PostgreSQL that services need: made once for the database, before the services that need them.
//!
//! Two services that make the same extension at the same moment fail, and one that lies in a service's own schema is not
//! found by the others. So those that are declared are made here, under an advisory lock of their own that is asked for and
//! never waited for inside PostgreSQL. One that is there already stays as and where it is. An extension that a migration
//! makes by itself is that migration's affair.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use futures_timer::Delay;
use migration_kit::{BOOKKEEPING, ServiceName, bookkeeping, literal, quote_identifier};
use migration_plan::{Direction, Plan};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{RunError, RunOptions};
use crate::bookkeeping::stays;
use crate::deployment::Deployment;
use crate::event;
use crate::interrupt::Ended;
use crate::lock::LockError;
use crate::reading::Reading;
use crate::session::{Session, Writer};

/// Pause between two attempts to take the lock: making an extension takes some 50 ms.
const PAUSE: Duration = Duration::from_millis(50);

/// Name of the lock.
const LOCK: &str = "migrate:extensions";

/// Where extensions are made: in `public`, which is in everybody's `search_path` by default.
const HOME: &str = bookkeeping!(
    "SELECT CASE WHEN pg_catalog.to_regnamespace('public') IS NULL THEN 'extensions' ELSE 'public' END"
);

/// Makes the extensions that the services of the plan declare and that are not there.
///
/// # Errors
/// [`RunError::NoExtension`] if the server has no such extension, [`RunError::Extension`] if it could not be made,
/// [`RunError::Lock`] if another run was making some for too long.
pub(super) async fn provide(
    deployment: &Deployment,
    plan: &Plan,
    options: &RunOptions,
) -> Result<(), RunError> {
    for (database, needed) in needed(deployment, plan) {
        let url = &deployment.databases()[database];
        let opening = Box::pin(Session::open(url, "migrate extensions", "pg_catalog", None));
        let opened = options.cancellation.unless_cancelled(opening).await;
        let session = opened.ok_or(RunError::Interrupted)??;
        let database = url.to_string();
        let providing = Box::pin(provide_in(&session, &database, &needed, options));
        let provided = session.cancellable(url, &options.cancellation, providing).await;
        session.close().await;
        match provided {
            Ended::Finished(provided) => provided?,
            Ended::Stopped(_) | Ended::Unanswered => return Err(RunError::Interrupted),
        }
    }
    Ok(())
}

/// Refuses a plan whose services need an extension that the server does not have. Whether our role may make one that it has is known only
/// when it tries: some servers let more roles do so than PostgreSQL does.
///
/// # Errors
/// [`RunError::NoExtension`]; [`RunError::Survey`] if a database could not be asked.
pub(super) async fn available(deployment: &Deployment, plan: &Plan) -> Result<(), RunError> {
    for (database, needed) in needed(deployment, plan) {
        let url = &deployment.databases()[database];
        let mut reading = Reading::open(url).await?;
        let rows = async {
            reading.begin().await?;
            reading.rows(&question(&needed)).await
        }
        .await;
        reading.close().await;
        let rows = rows.map_err(|source| RunError::unread(url, source))?;
        missing(&rows, &url.to_string(), &needed)?;
    }
    Ok(())
}

/// Extensions, each with a service that needs it.
type Needed<'d> = BTreeMap<&'d str, &'d ServiceName>;

/// What the services need of which the plan applies something, for each database.
fn needed<'d>(deployment: &'d Deployment, plan: &Plan) -> BTreeMap<usize, Needed<'d>> {
    let mut needed: BTreeMap<usize, Needed<'_>> = BTreeMap::new();
    let applied = plan.steps().iter().filter(|step| step.direction == Direction::Apply);
    let applied: BTreeSet<&ServiceName> = applied.map(|step| &step.id.service).collect();
    for placed in applied.into_iter().filter_map(|name| deployment.placed(name)) {
        for extension in placed.service.extensions() {
            needed.entry(placed.site.database).or_default().entry(extension).or_insert(placed.name());
        }
    }
    needed
}

async fn provide_in(
    session: &Session,
    database: &str,
    needed: &Needed<'_>,
    options: &RunOptions,
) -> Result<(), RunError> {
    let begun = Instant::now();
    let failed = |extension: &str, source| RunError::Extension {
        service: needed[extension].clone(),
        extension: extension.to_owned(),
        database: database.to_owned(),
        source,
    };
    let writer = loop {
        // Looked for first: a run that needs nothing new waits for none that does.
        let missing = ask(session, database, needed).await?;
        let Some(first) = missing.first() else { return Ok(()) };
        let asked = session.try_lock(LOCK).await;
        if let Some(writer) = asked.map_err(|source| failed(first.name, source))? {
            break writer;
        }
        if begun.elapsed() >= options.wait {
            return Err(LockError::Busy { service: needed[first.name].clone(), holder: None }.into());
        }
        let pause = Delay::new(PAUSE.mul_f64(0.75 + fastrand::f64() / 2.0));
        options.cancellation.unless_cancelled(pause).await.ok_or(RunError::Interrupted)?;
    };
    // Under the lock once more: whoever held it until now has made some.
    for Missing { name, has_own_schema } in ask(session, database, needed).await? {
        make(writer, name, has_own_schema).await.map_err(|source| failed(name, source))?;
        event::extension_created(needed[name], name, database);
    }
    Ok(())
}

async fn make(writer: Writer<'_>, name: &str, has_own_schema: bool) -> Result<(), sqlx::Error> {
    // An extension with a schema of its own makes that, and takes no other.
    let mut place = String::new();
    if !has_own_schema {
        let rows = writer.session().rows(HOME).await?;
        let home: String = rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        if home != "public" {
            writer
                .execute(&format!("{BOOKKEEPING}{}CREATE SCHEMA IF NOT EXISTS {home}", stays(writer)))
                .await?;
            writer.execute(&format!("{BOOKKEEPING}GRANT USAGE ON SCHEMA {home} TO PUBLIC")).await?;
        }
        place = format!(" SCHEMA {home}");
    }
    let name = quote_identifier(name);
    writer.execute(&format!("{BOOKKEEPING}CREATE EXTENSION IF NOT EXISTS {name}{place} CASCADE")).await
}

/// An extension that is not there.
struct Missing<'d> {
    name: &'d str,
    has_own_schema: bool,
}

async fn ask<'d>(
    session: &Session,
    database: &str,
    needed: &Needed<'d>,
) -> Result<Vec<Missing<'d>>, RunError> {
    let rows = session.rows(&question(needed)).await;
    missing(&rows.map_err(|source| RunError::unread(&database, source))?, database, needed)
}

/// Asks which of them are not there. One that is there is found without a look at the server's files.
fn question(needed: &Needed<'_>) -> String {
    let names: Vec<String> = needed.keys().map(|name| format!("({})", literal(name))).collect();
    format!(
        "{BOOKKEEPING}SELECT w.name, v.name IS NOT NULL AS is_available, v.schema IS NOT NULL AS has_own_schema \
         FROM (VALUES {}) AS w(name) \
         LEFT JOIN LATERAL (SELECT v.name, v.schema FROM pg_catalog.pg_available_extension_versions v \
           WHERE v.name = w.name LIMIT 1) AS v ON true \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extname = w.name)",
        names.join(", ")
    )
}

fn missing<'d>(rows: &[PgRow], database: &str, needed: &Needed<'d>) -> Result<Vec<Missing<'d>>, RunError> {
    let mut missing = Vec::with_capacity(rows.len());
    for (name, service) in needed {
        let Some(row) = rows.iter().find(|row| row.get::<&str, _>(0) == *name) else { continue };
        if !row.get::<bool, _>(1) {
            let (service, extension) = ((*service).clone(), (*name).to_owned());
            return Err(RunError::NoExtension { service, extension, database: database.to_owned() });
        }
        missing.push(Missing { name, has_own_schema: row.get(2) });
    }
    Ok(missing)
}
