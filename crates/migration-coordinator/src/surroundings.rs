//! What surrounds the services in their databases and has surprised others: rights that hide or show rows, event triggers that
//! run for every statement, settings that would change what SQL means.
//!
//! It reads catalogs only, and judges nothing.

use std::sync::Arc;

use migration_kit::{BOOKKEEPING, ServiceName, bookkeeping, literal, settings};
use sea_orm::sqlx::{self, Row};

use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::survey::SurveyError;

/// What surrounds the services of one database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Surroundings {
    /// Whether our role is a superuser.
    pub superuser: bool,
    /// Whether our role sees all rows, whatever row-level security says.
    pub bypasses_row_security: bool,
    /// Whether our role may create temporary tables, which migrations in steps need.
    pub may_create_temporary: bool,
    /// Event triggers that are enabled.
    pub event_triggers: Vec<EventTrigger>,
    /// Settings of role or database that our sessions override.
    pub overridden_settings: Vec<OverriddenSetting>,
    /// Tables in the services' schemas that have row-level security.
    pub row_security: Vec<SecuredTable>,
}

/// An event trigger.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct EventTrigger {
    /// Its name.
    pub name: String,
    /// When it fires: `ddl_command_end`.
    pub event: String,
    /// Its function, with its schema.
    pub function: String,
}

/// A setting of role or database that our sessions override.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct OverriddenSetting {
    /// Its name.
    pub name: String,
    /// What it is set to.
    pub value: String,
    /// Whose it is: `role`, `database`, or `role in database`.
    pub of: String,
    /// What our sessions set.
    pub ours: &'static str,
    /// What the other value would do.
    pub reason: &'static str,
}

/// A table with row-level security.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SecuredTable {
    /// The service whose schema it is in.
    pub service: String,
    /// Its name.
    pub table: String,
    /// Whether its owner is subject to it too.
    pub forced: bool,
}

/// What surrounds these services (all, if none are named), for each database in the order of the deployment; `None` where none
/// of them lives.
pub async fn surroundings(
    deployment: &Deployment,
    services: &[ServiceName],
) -> Vec<Option<Result<Surroundings, Arc<SurveyError>>>> {
    each_database(deployment, services, read).await
}

/// Asks each database that has any of these services, all if none is named; `None` where none lives.
pub(crate) async fn each_database<T>(
    deployment: &Deployment,
    services: &[ServiceName],
    ask: impl AsyncFn(&mut Reading<'_>, &[&Placed]) -> Result<T, sqlx::Error>,
) -> Vec<Option<Result<T, Arc<SurveyError>>>> {
    let mut all = Vec::new();
    for (index, url) in deployment.databases().iter().enumerate() {
        let asked = |placed: &&Placed| {
            placed.site.database == index && (services.is_empty() || services.contains(placed.name()))
        };
        let asked: Vec<&Placed> = deployment.placements().iter().filter(asked).collect();
        if asked.is_empty() {
            all.push(None);
            continue;
        }
        let read = async {
            let mut reading = Reading::open(url).await?;
            let read = ask(&mut reading, &asked).await;
            reading.end().await;
            reading.close().await;
            read.map_err(|source| SurveyError::Query { database: url.to_string(), source })
        };
        all.push(Some(read.await.map_err(Arc::new)));
    }
    all
}

async fn read(reading: &mut Reading<'_>, placed: &[&Placed]) -> Result<Surroundings, sqlx::Error> {
    const ROLE: &str = bookkeeping!(
        "SELECT rolsuper, rolsuper OR rolbypassrls, \
        pg_catalog.has_database_privilege(pg_catalog.current_database(), 'TEMPORARY') \
        FROM pg_catalog.pg_roles WHERE rolname = current_user"
    );
    const EVENT_TRIGGERS: &str = bookkeeping!(
        "SELECT e.evtname::text, e.evtevent::text, \
        n.nspname || '.' || p.proname FROM pg_catalog.pg_event_trigger e \
        JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
        WHERE e.evtenabled <> 'D' ORDER BY e.evtname"
    );
    reading.begin().await?;
    let role = reading.rows(ROLE).await?;
    let role = role.first().ok_or(sqlx::Error::RowNotFound)?;
    let event_triggers = reading.rows(EVENT_TRIGGERS).await?;
    let event_triggers = event_triggers.iter().map(|row| {
        Ok(EventTrigger { name: row.try_get(0)?, event: row.try_get(1)?, function: row.try_get(2)? })
    });
    let tables = reading.rows(&row_security(placed)).await?;
    let tables = tables.iter().map(|row| {
        Ok(SecuredTable { service: row.try_get(0)?, table: row.try_get(1)?, forced: row.try_get(2)? })
    });
    Ok(Surroundings {
        superuser: role.try_get(0)?,
        bypasses_row_security: role.try_get(1)?,
        may_create_temporary: role.try_get(2)?,
        event_triggers: event_triggers.collect::<Result<_, sqlx::Error>>()?,
        row_security: tables.collect::<Result<_, sqlx::Error>>()?,
        overridden_settings: overridden_settings(reading).await?,
    })
}

fn row_security(placed: &[&Placed]) -> String {
    let schemas: Vec<String> = placed
        .iter()
        .map(|placed| format!("({}, {})", literal(placed.name().as_str()), literal(&placed.site.schema)))
        .collect();
    format!(
        "{BOOKKEEPING}SELECT s.service, c.relname::text, c.relforcerowsecurity \
         FROM (VALUES {}) AS s(service, schema) JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema \
         JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid \
         WHERE c.relkind IN ('r', 'p') AND c.relrowsecurity ORDER BY s.service, c.relname",
        schemas.join(", ")
    )
}

/// The settings of the role that logged in and of the database that we set otherwise.
async fn overridden_settings(reading: &mut Reading<'_>) -> Result<Vec<OverriddenSetting>, sqlx::Error> {
    const SETTINGS: &str = bookkeeping!(
        "SELECT split_part(c.setting, '=', 1), \
        substr(c.setting, strpos(c.setting, '=') + 1), \
        CASE WHEN s.setdatabase = 0 THEN 'role' WHEN s.setrole = 0 THEN 'database' ELSE 'role in database' END \
        FROM pg_catalog.pg_db_role_setting s CROSS JOIN unnest(s.setconfig) AS c(setting) \
        WHERE s.setrole IN (0, (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = session_user)) \
          AND s.setdatabase IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
        ORDER BY 1, 3"
    );
    let mut overridden = Vec::new();
    for row in reading.rows(SETTINGS).await? {
        let (name, value): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let ours = settings::PINNED.iter().find(|pinned| pinned.name.eq_ignore_ascii_case(&name));
        if let Some(pinned) = ours.filter(|pinned| !pinned.value.eq_ignore_ascii_case(&value)) {
            let (ours, reason) = (pinned.value, pinned.reason);
            overridden.push(OverriddenSetting { name, value, of: row.try_get(2)?, ours, reason });
        }
    }
    Ok(overridden)
}
