//! Tables that are attached to a service's tables and are not its own: partitions, whose rows are those of its table and in no dump of
//! it. What merely inherits from its tables is another's, with its rows.

use migration_coordinator::{Deployment, Reading, RunError, ServiceFacts, Survey, no_collision};
use migration_kit::ServiceName;
use sqlx::{PgConnection, Row};

use crate::BackupError;
use crate::error::read;
use crate::owned::{Owned, rows};

/// Looks whether services could be backed up, without beginning with it. Reads only.
///
/// # Errors
/// [`BackupError::Partition`] for the first that could not; [`BackupError::Read`] if a database could not be asked.
pub async fn can_be_backed_up(deployment: &Deployment, services: &[ServiceName]) -> Result<(), BackupError> {
    let survey = Survey::take(deployment).await;
    for (database, services) in deployment.by_database(services) {
        let mut reading = Reading::open(&deployment.databases()[database]).await?;
        reading.begin().await.map_err(read(&services[0]))?;
        for service in &services {
            let Some(facts) = survey.service(service) else { continue };
            if facts.schema_exists && no_collision(deployment, facts).is_ok() {
                reading.ask(|connection| of_one(connection, deployment, facts)).await?;
            }
        }
        reading.close().await;
    }
    Ok(())
}

async fn of_one(
    connection: &mut PgConnection,
    deployment: &Deployment,
    facts: &ServiceFacts,
) -> Result<(), BackupError> {
    let service = &facts.service;
    let applied = facts.anything_applied().map_err(RunError::Survey)?;
    let owned = Owned::read(connection, deployment, service, applied).await.map_err(read(service))?;
    has_its_partitions(connection, service, &owned).await
}

/// Whether every partition of a service's tables is its own.
///
/// # Errors
/// [`BackupError::Partition`] with the first that is not.
pub(crate) async fn has_its_partitions(
    connection: &mut PgConnection,
    service: &ServiceName,
    owned: &Owned,
) -> Result<(), BackupError> {
    let sql = format!(
        "WITH own AS (SELECT o.oid::pg_catalog.oid AS oid FROM ({}) AS o(oid)) \
         SELECT n.nspname || '.' || c.relname, home.nspname || '.' || p.relname, \
           CASE WHEN n.oid <> home.oid \
             THEN pg_catalog.format('ALTER TABLE %I.%I SET SCHEMA %I', n.nspname, c.relname, home.nspname) END \
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace home ON home.oid = p.relnamespace \
         WHERE p.relkind = 'p' AND p.oid IN (SELECT oid FROM own) AND c.oid NOT IN (SELECT oid FROM own) ORDER BY 1, 2 LIMIT 1",
        owned.oids()
    );
    let failed = read(service);
    let found = rows(connection, &sql).await.map_err(&failed)?;
    let Some(row) = found.first() else { return Ok(()) };
    let text = |place| row.try_get::<Option<String>, _>(place).map_err(&failed);
    Err(BackupError::Partition {
        service: service.clone(),
        partition: text(0)?.unwrap_or_default(),
        table: text(1)?.unwrap_or_default(),
        moves: text(2)?,
    })
}
