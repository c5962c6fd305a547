//! Tables of others that are attached to a service's tables: they inherit from them, or are partitions of them. What a migration does to
//! the one it does to the other, its rows and its columns.
//!
//! It reads catalogs only. Temporary tables do not count: only the session that has made one reaches it.

use std::collections::BTreeMap;
use std::fmt;

use migration_kit::{BOOKKEEPING, ServiceName};
use sea_orm::sqlx::{self, Row};

use crate::belongings::{Thing, name_of};
use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::site::text_array;
use crate::survey::SurveyError;

/// A table of others that is attached to one of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The table, with its schema.
    pub table: String,
    /// Who owns it: a service, or a role of the database.
    pub owner: String,
    /// The table of the service, with its schema.
    pub to: String,
    /// Whether it is a partition of that; else it inherits from it.
    pub is_partition: bool,
    /// What to do about it, with the statement.
    pub remedy: String,
}

impl fmt::Display for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = if self.is_partition { "is a partition of" } else { "inherits from" };
        write!(f, "table `{}` of {} {is} `{}`", self.table, self.owner, self.to)
    }
}

/// The tables that are attached to those of services, and neither their own nor declared nor allowed. Only services with some are there.
pub(crate) async fn attached_to(
    deployment: &Deployment,
    services: &[ServiceName],
) -> Result<BTreeMap<ServiceName, Vec<Attached>>, SurveyError> {
    let mut found: BTreeMap<ServiceName, Vec<Attached>> = BTreeMap::new();
    for (database, services) in deployment.by_database(services) {
        let url = &deployment.databases()[database];
        let placed: Vec<&Placed> = services.iter().filter_map(|name| deployment.placed(name)).collect();
        let mut reading = Reading::open(url).await?;
        let asked = of_database(&mut reading, deployment, database, &placed, &mut found).await;
        reading.close().await;
        asked.map_err(|source| SurveyError::Query { database: url.to_string(), source })?;
    }
    Ok(found)
}

async fn of_database(
    reading: &mut Reading<'_>,
    deployment: &Deployment,
    database: usize,
    placed: &[&Placed],
    found: &mut BTreeMap<ServiceName, Vec<Attached>>,
) -> Result<(), sqlx::Error> {
    reading.begin().await?;
    for row in reading.rows(&question(placed)).await? {
        let [home, parent, parent_bears, schema, name, bears]: [String; 6] = [
            row.try_get(0)?,
            row.try_get(1)?,
            row.try_get(2)?,
            row.try_get(3)?,
            row.try_get(4)?,
            row.try_get(5)?,
        ];
        let of = deployment.owner_of(database, &home, &Thing::relation(&parent_bears));
        let Some(placed) = placed.iter().find(|placed| of == Some(placed.name())) else { continue };
        let owner = deployment.owner_of(database, &schema, &Thing::relation(&bears));
        let table = format!("{schema}.{name}");
        let mut migrations = placed.service.migrations();
        if owner == of
            || deployment.allows(&table)
            || migrations.any(|listed| listed.details().touches.contains(&table))
        {
            continue;
        }
        let (role, is_partition, sql): (String, bool, String) =
            (row.try_get(6)?, row.try_get(7)?, row.try_get(8)?);
        let does = match is_partition && schema != home {
            true => "makes it the service's own",
            false => "parts it from that",
        };
        found.entry(placed.name().clone()).or_default().push(Attached {
            table,
            owner: owner.map_or_else(|| format!("role `{role}`"), |service| format!("service `{service}`")),
            to: format!("{home}.{parent}"),
            is_partition,
            remedy: format!("`{sql};` {does}"),
        });
    }
    Ok(())
}

/// Asks for all that is attached to tables in the schemas of these services and may be of others.
fn question(placed: &[&Placed]) -> String {
    let own = placed.iter().map(|placed| &placed.site.schema);
    let schemas = own.chain(placed.iter().flat_map(|placed| placed.service.further_schemas()));
    let shared = placed.iter().filter(|placed| placed.site.shares_schema());
    format!(
        "{BOOKKEEPING}SELECT home.nspname::text, p.relname::text, {bears_parent}, n.nspname::text, c.relname::text, {bears}, \
           pg_catalog.pg_get_userbyid(c.relowner)::text, c.relispartition, \
           CASE WHEN NOT c.relispartition \
               THEN pg_catalog.format('ALTER TABLE %I.%I NO INHERIT %I.%I', n.nspname, c.relname, home.nspname, p.relname) \
             WHEN n.oid = home.oid \
               THEN pg_catalog.format('ALTER TABLE %I.%I DETACH PARTITION %I.%I', home.nspname, p.relname, n.nspname, c.relname) \
             ELSE pg_catalog.format('ALTER TABLE %I.%I SET SCHEMA %I', n.nspname, c.relname, home.nspname) END \
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
         JOIN pg_catalog.pg_namespace home ON home.oid = p.relnamespace JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE home.nspname = ANY ({schemas}) AND (n.oid <> home.oid OR home.nspname = ANY ({shared})) \
           AND c.relkind IN ('r', 'p', 'f') AND c.relpersistence <> 't' ORDER BY 4, 5, 1, 2",
        bears_parent = name_of("p"),
        bears = name_of("c"),
        schemas = text_array(schemas),
        shared = text_array(shared.map(|placed| &placed.site.schema)),
    )
}
