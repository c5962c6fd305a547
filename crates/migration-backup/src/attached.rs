//! Tables that are attached to a service's tables and are not its own: partitions, whose rows are those of its table and in no dump of
//! it. What merely inherits from its tables is another's, with its rows. And the other way: tables of others that have a service's as
//! a partition, or to inherit from them.

use migration_coordinator::{Deployment, Reading, RunError, ServiceFacts, Survey, no_collision};
use migration_kit::ServiceName;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};

use crate::BackupError;
use crate::connections::Needed;
use crate::error::read;
use crate::owned::{Owned, rows};

/// Looks whether services could be backed up, without beginning with it. Reads only.
///
/// # Errors
/// [`BackupError::Partition`] for the first that could not; [`BackupError::Connections`] if the role may have too few; [`BackupError::Read`] if a database could not be asked.
pub async fn can_be_backed_up(deployment: &Deployment, services: &[ServiceName]) -> Result<(), BackupError> {
    let survey = Survey::take(deployment).await;
    for (database, services) in deployment.by_database(services) {
        let url = &deployment.databases()[database];
        Needed::by_backup(None).may_be_had(url, &services[0]).await?;
        let mut reading = Reading::open(url).await?;
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

/// A table of the service's that is in one of others: a partition of it, or one that inherits from it.
pub(crate) struct InOther {
    table: String,
    pub(crate) parent: String,
    is_partition: bool,
    /// The statement that parts them.
    parts: String,
}

/// Whether no table of others has one of the service's as a partition, or to inherit from it. What is set aside would stay attached
/// beside what takes its place.
///
/// # Errors
/// [`BackupError::AttachedToOther`] with the first that is.
pub(crate) async fn is_in_no_other(
    connection: &mut PgConnection,
    service: &ServiceName,
    owned: &Owned,
) -> Result<(), BackupError> {
    let found = in_others(connection, owned).await.map_err(read(service))?;
    let Some(InOther { table, parent, is_partition, parts }) = found.into_iter().next() else {
        return Ok(());
    };
    Err(BackupError::AttachedToOther { service: service.clone(), table, parent, is_partition, parts })
}

/// The tables of the service's that are in those of others.
pub(crate) async fn in_others(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<InOther>, sqlx::Error> {
    let sql = format!(
        "WITH own AS (SELECT o.oid::pg_catalog.oid AS oid FROM ({}) AS o(oid)) \
         SELECT n.nspname || '.' || c.relname, home.nspname || '.' || p.relname, c.relispartition, \
           CASE WHEN c.relispartition \
             THEN pg_catalog.format('ALTER TABLE %I.%I DETACH PARTITION %I.%I', home.nspname, p.relname, n.nspname, c.relname) \
             ELSE pg_catalog.format('ALTER TABLE %I.%I NO INHERIT %I.%I', n.nspname, c.relname, home.nspname, p.relname) END \
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace home ON home.oid = p.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'f') AND c.oid IN (SELECT oid FROM own) AND p.oid NOT IN (SELECT oid FROM own) \
         ORDER BY 1, 2",
        owned.oids()
    );
    let found = |row: &PgRow| {
        let (table, parent) = (row.try_get(0)?, row.try_get(1)?);
        Ok(InOther { table, parent, is_partition: row.try_get(2)?, parts: row.try_get(3)? })
    };
    rows(connection, &sql).await?.iter().map(found).collect()
}
