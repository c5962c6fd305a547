//! Verifying: asking a server whether what a migration promised still holds.
//!
//! Checks are data (`migration_kit::Check`); here they are asked, inside a migration's transaction before it commits,
//! or any time later in a `READ ONLY` one.

use std::fmt;

use migration_kit::{Check, CheckKind, MigrationName, ServiceName};
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Row};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::bookkeeping::search_path;
use crate::deployment::{Deployment, Placed};
use crate::session;
use crate::survey::{Access, Survey, SurveyError};

/// How many violating rows are shown; a check selects no more of a row than its reader may see.
const SHOWN: usize = 3;

/// What the server said of one check.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CheckResult {
    /// Migration that promised it.
    pub migration: String,
    /// What should hold.
    pub says: String,
    /// Whether it holds.
    pub holds: bool,
    /// Number of violating rows, the figure of a report, or the server's error.
    pub found: String,
    /// Whether it is a figure for the reader, which always holds.
    pub report: bool,
}

impl fmt::Display for CheckResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.says, self.found)
    }
}

/// What verifying one service found.
#[derive(Debug)]
pub struct ServiceVerification {
    /// The service.
    pub service: ServiceName,
    /// One entry a check of an applied migration, or why the service could not be asked.
    pub results: Result<Vec<CheckResult>, SurveyError>,
}

/// The query that answers a check with one row of two columns: whether it holds, and what was found. A check may end
/// in a comment, hence the line break after it.
pub(crate) fn question(check: &Check) -> String {
    let sql = check.sql.trim().trim_end_matches(';');
    match check.kind {
        CheckKind::None => format!(
            "/* migrate */ WITH violation AS MATERIALIZED ({sql}\n) SELECT count(*) = 0, CASE count(*) WHEN 0 THEN 'none' \
             ELSE count(*) || CASE count(*) WHEN 1 THEN ' row: ' ELSE ' rows: ' END || (SELECT string_agg(shown::text, ', ') \
             FROM (SELECT violation AS shown FROM violation LIMIT {SHOWN}) AS first) END FROM violation"
        ),
        CheckKind::Holds => format!(
            "/* migrate */ SELECT coalesce(bool_and(coalesce(answer, false)), false), \
             CASE WHEN bool_and(coalesce(answer, false)) THEN 'yes' ELSE 'no' END FROM ({sql}\n) AS asked(answer)"
        ),
        CheckKind::Report => format!(
            "/* migrate */ SELECT true, coalesce(string_agg(figure::text, ', '), '') FROM ({sql}\n) AS asked(figure)"
        ),
    }
}

/// Asks checks inside the migration's own transaction, whose `search_path` is the service's schema.
pub(crate) async fn ask<C: ConnectionTrait>(
    tx: &C,
    migration: &MigrationName,
    checks: &[Check],
) -> Result<Vec<CheckResult>, DbErr> {
    let mut results = Vec::with_capacity(checks.len());
    for check in checks {
        let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, question(check))).await?;
        let row = row.ok_or_else(|| DbErr::Custom(format!("the check `{}` returned no row", check.says)))?;
        results.push(result(migration, check, row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    }
    Ok(results)
}

/// Asks every check of every applied migration of these services (all, if none are named).
pub async fn verify(deployment: &Deployment, services: &[ServiceName]) -> Vec<ServiceVerification> {
    let survey = Survey::take(deployment).await;
    let mut verifications = Vec::new();
    for placed in deployment.placements() {
        if services.is_empty() || services.contains(placed.name()) {
            let applied: Vec<MigrationName> = survey
                .service(placed.name())
                .map(|facts| facts.applied.iter().map(|applied| applied.name.clone()).collect())
                .unwrap_or_default();
            let forbidden = survey.service(placed.name()).is_some_and(|f| f.access == Access::Forbidden);
            let results = if forbidden {
                Err(SurveyError::Forbidden { service: placed.name().clone() })
            } else {
                verify_service(deployment, placed, &applied).await
            };
            verifications.push(ServiceVerification { service: placed.name().clone(), results });
        }
    }
    verifications
}

async fn verify_service(
    deployment: &Deployment,
    placed: &Placed,
    applied: &[MigrationName],
) -> Result<Vec<CheckResult>, SurveyError> {
    let url = &deployment.databases()[placed.database];
    let mut connection = session::connect_to_read(url).await?;
    let mut results = Vec::new();
    for (name, migration) in placed.service.migrations().filter(|(name, _)| applied.contains(name)) {
        for check in migration.details().checks {
            if check.until.as_ref().is_none_or(|until| !applied.contains(until)) {
                results.push(ask_alone(&mut connection, placed, name, &check).await);
            }
        }
    }
    Ok(results)
}

/// A transaction for each check, so that one that fails to run does not take the others with it.
async fn ask_alone(
    connection: &mut PgConnection,
    placed: &Placed,
    migration: &MigrationName,
    check: &Check,
) -> CheckResult {
    let answer = async {
        session::rows(connection, "/* migrate */ BEGIN TRANSACTION READ ONLY").await?;
        let path = format!("/* migrate */ SET LOCAL search_path = {}", search_path(placed));
        session::rows(connection, &path).await?;
        let rows = session::rows(connection, &question(check)).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok::<_, sqlx::Error>((row.try_get(0)?, row.try_get(1)?))
    }
    .await;
    // Nothing was written; a connection that cannot roll back will say so at the next check.
    drop(session::rows(connection, "/* migrate */ ROLLBACK").await);
    match answer {
        Ok((holds, found)) => result(migration, check, holds, found),
        Err(error) => result(migration, check, false, format!("could not be asked: {error}")),
    }
}

fn result(migration: &MigrationName, check: &Check, holds: bool, found: String) -> CheckResult {
    CheckResult {
        migration: migration.to_string(),
        says: check.says.clone(),
        holds,
        found,
        report: check.kind == CheckKind::Report,
    }
}
