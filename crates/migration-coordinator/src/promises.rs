//! What applied migrations promised, asked inside a transaction of the caller's: of rows and tables that nobody else sees yet.

use std::collections::HashSet;

use migration_kit::{BOOKKEEPING, MigrationName, ServiceName};
use sea_orm::sqlx::postgres::PgConnection;
use sea_orm::sqlx::{self, Row};

use crate::check_result::CheckResult;
use crate::deployment::Deployment;
use crate::session::rows;
use crate::verify::{Difference, differing, question, result};

/// Asks the checks of these applied migrations, which are in the service's version table, on a connection in a transaction whose
/// `search_path` this changes. The service's journal has to exist. Reads only.
///
/// # Errors
/// What the server says: of a service that is not in the deployment, that there is no row.
pub async fn promises(
    deployment: &Deployment,
    service: &ServiceName,
    applied: &[String],
    connection: &mut PgConnection,
) -> Result<Vec<CheckResult>, sqlx::Error> {
    let placed = deployment.placed(service).ok_or(sqlx::Error::RowNotFound)?;
    let path = placed.site.search_path();
    rows(connection, &format!("{BOOKKEEPING}SELECT pg_catalog.set_config('search_path', {path}, true)"))
        .await?;
    let names = placed.service.migrations().map(migration_kit::Listed::name);
    let applied: HashSet<&MigrationName> =
        names.filter(|name| applied.iter().any(|applied| applied == name.as_str())).collect();
    let mut results = Vec::new();
    for (migration, check) in placed.checks_of(&applied, &applied) {
        let answer = rows(connection, &question(check)).await?;
        let row = answer.first().ok_or(sqlx::Error::RowNotFound)?;
        let mut asked = result(migration, check, row.try_get(0)?, row.try_get(1)?);
        if !asked.holds
            && let Some(sql) = differing([check].into_iter(), Some(&placed.site.journal()))
        {
            let mut found = Vec::new();
            for row in rows(connection, &sql).await? {
                let acceptor = (row.try_get(2)?, row.try_get(3)?);
                found.push(Difference::read(row.try_get(0)?, row.try_get(1)?, acceptor));
            }
            asked = asked.unless_accepted(&found);
        }
        results.push(asked);
    }
    Ok(results)
}
