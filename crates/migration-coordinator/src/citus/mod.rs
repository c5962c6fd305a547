//! Citus: which nodes there are, how they are, and on which of them each service is. Reads only, and judges nothing.
//!
//! Putting a service on a node is in `place`, spreading its rows over all of them in `rows`. What migrations send differently there is with what sends it, by
//! [`Session::is_distributed`](crate::session::Session::is_distributed).

mod place;
mod rows;

use std::sync::Arc;

use migration_kit::{BOOKKEEPING, ServiceName, bookkeeping, literal};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use crate::deployment::{Deployment, Placed};
use crate::reading::Reading;
use crate::surroundings::each_database;
use crate::survey::SurveyError;

pub use place::{citus_of, distributable, distribute, movable, move_to};
pub use rows::{ByColumn, RowObstacle, RowPlan, distribute_rows, row_plan};

/// The tables `c` of the schema `n`, without partitions, which go where their parents go.
const TABLES: &str =
    "pg_catalog.pg_class c WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND NOT c.relispartition";

/// A database that Citus spreads over nodes.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Citus {
    /// The extension's version.
    pub version: String,
    /// The nodes, the coordinator among them; none where Citus was installed and no node was added.
    pub nodes: Vec<CitusNode>,
    /// The services that were asked for.
    pub services: Vec<CitusService>,
    /// What of them could not be read, and why.
    #[serde(skip)]
    pub unread: Vec<Arc<SurveyError>>,
}

impl Citus {
    /// Where a service is, if it was asked for.
    fn of(&self, service: &ServiceName) -> Option<&CitusService> {
        self.services.iter().find(|at| at.service == service.as_str())
    }
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CitusNode {
    /// Its name or address, as the other nodes know it.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Whether it is the coordinator.
    pub is_coordinator: bool,
    /// Whether it is in use.
    pub is_active: bool,
    /// Whether schemas are put on it.
    pub takes_schemas: bool,
    /// Its `TimeZone`; `None` if it does not answer.
    pub time_zone: Option<String>,
    /// Why it does not answer.
    pub problem: Option<String>,
    /// Its number, which Citus takes as the place to move to.
    #[serde(skip)]
    pub(crate) id: i32,
}

impl CitusNode {
    /// Its address, as it is named in arguments.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct CitusService {
    /// The service.
    pub service: String,
    /// Its schema.
    pub schema: String,
    /// Whether the schema is there.
    pub exists: bool,
    /// Whether its tables are shards on one node; otherwise they are the coordinator's own.
    pub is_distributed: bool,
    /// The node that has its tables, as `HOST:PORT`; `None` for a schema without tables, or one that is not distributed.
    pub node: Option<String>,
    /// The column by which the rows of its tables are spread over the nodes, where they are.
    pub spread_by: Option<String>,
    /// Where its rows are spread: the tables on the coordinator all the same, bookkeeping aside.
    pub left: Vec<String>,
    /// How many tables it has, bookkeeping included.
    pub n_tables: i64,
    /// What they take, nothing where it is not there yet; `None` where our role may not ask, or a node does not answer.
    pub size_bytes: Option<i64>,
    /// Triggers of its tables, as `TABLE.TRIGGER`: Citus does not distribute a table that has one.
    pub triggers: Vec<String>,
    /// Tables without a primary key or a replica identity, which are not moved while they are written to.
    pub without_key: Vec<String>,
    /// Migrations that are not applied and need its tables on the coordinator, where they are; `None` where its version table
    /// could not be read.
    pub needs_one_node: Option<Vec<String>>,
    /// The role that owns it or a table of it, where that may not log in: nodes connect to each other as the current role.
    pub owner_without_login: Option<String>,
}

/// What Citus says of each database, in the order of the deployment: of these services, all if none is named. `None` where none of
/// them lives; within, `None` where there is no Citus.
pub async fn citus(
    deployment: &Deployment,
    services: &[ServiceName],
) -> Vec<Option<Result<Option<Citus>, Arc<SurveyError>>>> {
    let ask = async |reading: &mut Reading<'_>, placed: &[&Placed]| {
        reading.begin().await?;
        read(reading, placed).await
    };
    each_database(deployment, services, ask).await
}

/// The same, in a transaction that has begun.
pub(crate) async fn read(
    reading: &mut Reading<'_>,
    placed: &[&Placed],
) -> Result<Option<Citus>, sqlx::Error> {
    if !reading.has_citus() {
        return Ok(None);
    }
    // Of the extension itself: what the library says is the version that the next update will make of it.
    let version = reading
        .rows(bookkeeping!("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'citus'"))
        .await?;
    let nodes = reading
        .rows(bookkeeping!(
            "SELECT n.nodename::text, n.nodeport, n.groupid = 0, n.isactive, n.shouldhaveshards, n.nodeid, a.success, a.result \
             FROM pg_catalog.pg_dist_node n LEFT JOIN pg_catalog.run_command_on_all_nodes(\
               'SELECT pg_catalog.current_setting(''TimeZone'')', give_warning_for_connection_errors => true) a USING (nodeid) \
             WHERE n.noderole = 'primary' ORDER BY n.groupid"
        ))
        .await?;
    let nodes: Vec<CitusNode> = nodes.iter().map(node).collect::<Result<_, _>>()?;
    let all_answer = nodes.iter().all(|node| node.problem.is_none());
    let (mut services, mut unread) = (Vec::new(), Vec::new());
    for placed in placed {
        services.push(service(reading, placed, all_answer, &mut unread).await?);
    }
    let version = version.first().map_or(Ok(String::new()), |row| row.try_get(0))?;
    let unread = unread.into_iter().map(Arc::new).collect();
    Ok(Some(Citus { version, nodes, services, unread }))
}

fn node(row: &PgRow) -> Result<CitusNode, sqlx::Error> {
    let (answers, said): (Option<bool>, Option<String>) = (row.try_get(6)?, row.try_get(7)?);
    let (time_zone, problem) = match answers {
        Some(true) => (said, None),
        _ => (None, Some(said.unwrap_or_else(|| "it was not asked".to_owned()))),
    };
    Ok(CitusNode {
        host: row.try_get(0)?,
        port: row.try_get(1)?,
        is_coordinator: row.try_get(2)?,
        is_active: row.try_get(3)?,
        takes_schemas: row.try_get(4)?,
        time_zone,
        problem,
        id: row.try_get(5)?,
    })
}

async fn service(
    reading: &mut Reading<'_>,
    placed: &Placed,
    all_answer: bool,
    unread: &mut Vec<SurveyError>,
) -> Result<CitusService, sqlx::Error> {
    let sql = format!(
        "{BOOKKEEPING}SELECT n.oid IS NOT NULL, d.schemaid IS NOT NULL, \
           (SELECT w.nodename || ':' || w.nodeport FROM pg_catalog.pg_dist_partition t \
            JOIN pg_catalog.pg_dist_shard s USING (logicalrelid) JOIN pg_catalog.pg_dist_placement p USING (shardid) \
            JOIN pg_catalog.pg_dist_node w USING (groupid) \
            WHERE t.colocationid = d.colocationid AND w.noderole = 'primary' LIMIT 1), \
           (SELECT count(*) FROM {TABLES}), \
           ARRAY(SELECT r.relname || '.' || g.tgname FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class r ON r.oid = g.tgrelid \
             WHERE r.relnamespace = n.oid AND NOT g.tgisinternal ORDER BY 1), \
           ARRAY(SELECT c.relname::text FROM {TABLES} AND c.relreplident <> 'f' AND NOT EXISTS (\
             SELECT 1 FROM pg_catalog.pg_index i WHERE i.indrelid = c.oid AND (i.indisprimary OR i.indisreplident)) ORDER BY 1), \
           (SELECT min(o.rolname::text) FROM pg_catalog.pg_roles o WHERE NOT o.rolcanlogin AND (o.oid = n.nspowner OR EXISTS (\
             SELECT 1 FROM {TABLES} AND c.relowner = o.oid))), \
           (SELECT min(pg_catalog.column_to_column_name(p.logicalrelid, p.partkey)) FROM pg_catalog.pg_dist_partition p \
             JOIN pg_catalog.pg_class r ON r.oid = p.logicalrelid WHERE r.relnamespace = n.oid AND p.partmethod = 'h'), \
           ARRAY(SELECT c.relname::text FROM {TABLES} AND NOT EXISTS (\
             SELECT 1 FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = c.oid) ORDER BY 1), \
           pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND NOT EXISTS (SELECT 1 FROM {TABLES} \
             AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
         FROM (SELECT 1) AS one LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = {} \
         LEFT JOIN pg_catalog.pg_dist_schema d ON d.schemaid = n.oid",
        literal(&placed.site.schema),
    );
    let rows = reading.rows(&sql).await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let (is_distributed, may_ask) = (row.try_get(1)?, row.try_get::<Option<bool>, _>(9)?.unwrap_or_default());
    let exists: bool = row.try_get(0)?;
    let size_bytes = match (exists, may_ask && all_answer) {
        (false, _) => Some(0),
        (true, false) => None,
        (true, true) => size(reading, &placed.site.schema).await?,
    };
    let spread_by: Option<String> = row.try_get(7)?;
    let mut left: Vec<String> = row.try_get(8)?;
    left.retain(|table| spread_by.is_some() && !placed.site.is_bookkeeping(table));
    let needs_one_node = if is_distributed {
        Some(Vec::new())
    } else {
        needs_one_node(reading, placed).await?.map_err(|error| unread.push(error)).ok()
    };
    Ok(CitusService {
        service: placed.name().to_string(),
        schema: placed.site.schema.clone(),
        exists,
        is_distributed,
        node: row.try_get(2)?,
        spread_by,
        left,
        n_tables: row.try_get(3)?,
        size_bytes,
        triggers: row.try_get(4)?,
        without_key: row.try_get(5)?,
        needs_one_node,
        owner_without_login: row.try_get(6)?,
    })
}

/// The migrations that need one node and that the version table does not have; or why it could not be read, after which the
/// transaction is a new one.
async fn needs_one_node(
    reading: &mut Reading<'_>,
    placed: &Placed,
) -> Result<Result<Vec<String>, SurveyError>, sqlx::Error> {
    let mut needs: Vec<String> = placed.on_one_node().map(ToString::to_string).collect();
    if needs.is_empty() {
        return Ok(Ok(needs));
    }
    let site = &placed.site;
    let service = site.name().clone();
    let table = format!("{}.{}", site.schema, site.version_table);
    let is_there = format!(
        "{BOOKKEEPING}SELECT current_user::text, pg_catalog.has_schema_privilege(n.oid, 'USAGE') \
           AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relname = {}",
        literal(&site.schema),
        literal(&site.version_table)
    );
    let is_there = reading.rows(&is_there).await?;
    let Some(found) = is_there.first() else { return Ok(Ok(needs)) };
    if !found.try_get::<bool, _>(1)? {
        return Ok(Err(SurveyError::Forbidden { service, table, user: found.try_get(0)? }));
    }
    let qualified = site.qualified_version_table();
    let applied = format!("{BOOKKEEPING}SELECT version::text FROM {qualified} WHERE applied_at >= 0");
    match reading.rows(&applied).await {
        Ok(rows) => {
            for row in &rows {
                let name: String = row.try_get(0)?;
                needs.retain(|needed| *needed != name);
            }
            Ok(Ok(needs))
        }
        Err(source @ sqlx::Error::Database(_)) => {
            reading.end().await;
            reading.begin().await?;
            Ok(Err(SurveyError::Table { service, table, source }))
        }
        Err(lost) => Err(lost),
    }
}

/// What the tables of a schema take, wherever they are. A node that does not answer makes it unknown and ends no transaction:
/// Citus then says null, with a warning.
async fn size(reading: &mut Reading<'_>, schema: &str) -> Result<Option<i64>, sqlx::Error> {
    let sql = format!(
        "{BOOKKEEPING}WITH found AS MATERIALIZED (SELECT c.oid, EXISTS (\
             SELECT 1 FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = c.oid) AS is_elsewhere \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE n.nspname = {} AND c.relkind = 'r'), \
         sizes AS (SELECT s.shard_size AS size FROM pg_catalog.citus_shards s JOIN found ON found.oid = s.table_name \
           WHERE found.is_elsewhere \
           UNION ALL SELECT pg_catalog.pg_total_relation_size(found.oid) FROM found WHERE NOT found.is_elsewhere) \
         SELECT CASE WHEN pg_catalog.count(*) = pg_catalog.count(size) THEN coalesce(pg_catalog.sum(size), 0)::int8 END FROM sizes",
        literal(schema)
    );
    reading.rows(&sql).await?.first().map_or(Ok(None), |row| row.try_get(0))
}
