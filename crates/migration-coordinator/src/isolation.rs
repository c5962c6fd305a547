//! What a migration touched that is not its service's, asked of the server before the migration commits.
//!
//! Tables: PostgreSQL keeps every lock until the transaction ends, so `pg_locks` knows each table that was written
//! (`ROW EXCLUSIVE`) or altered (anything stronger), a dropped one included; a savepoint that was rolled back gave its
//! locks up. The few changes that take no lock on a table (`GRANT`, functions, types, schemas, extensions) show as
//! catalog rows whose `xmin` is one of this transaction's own ids, which `pg_locks` lists too. Neither needs a
//! superuser or an event trigger, and a session beside us cannot be mistaken for us.
//!
//! It says what was touched; rolling back is the caller's part. Statements outside a transaction are not seen.

use std::fmt;
use std::sync::Arc;

use migration_kit::{MigrationName, literal};
use sea_orm::sqlx::Row;
use sea_orm::{ConnectionTrait, DbErr, QueryResult, RuntimeErr};

use crate::bookkeeping::{is_bookkeeping, search_path, statement};
use crate::deployment::{Deployment, Placed};
use crate::session;

/// An object outside of what the service owns, and what the migration did to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Kind of the object: `table`, `function`, `type`, `schema`, …
    pub kind: String,
    /// Name with its schema, as one would write it.
    pub object: String,
    /// What was done: `altered`, `written to`, `dropped`, `created or replaced`.
    pub did: String,
    /// Who owns it: a service, a team, or a role of the database.
    pub owner: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` of {} was {}", self.kind, self.object, self.owner, self.did)
    }
}

/// Kinds of `pg_class.relkind` that a user knows by another word than `table`.
const RELATION_KIND: &str = "CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' \
                             WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END";

/// Asks what this transaction touched outside of what the service owns or declared, and sets `search_path` back to
/// the service's schema: the migration may have changed it, and its checks run next.
pub(crate) async fn violations<C: ConnectionTrait>(
    tx: &C,
    deployment: &Deployment,
    placed: &Placed,
    migration: &MigrationName,
) -> Result<Vec<Violation>, DbErr> {
    let declared: Vec<String> = placed
        .service
        .migration(migration)
        .map(|m| m.details().touches.iter().map(|object| (*object).to_owned()).collect())
        .unwrap_or_default();
    let whole_schema = !placed.shares_schema();
    let values = [placed.schema.clone().into(), search_path(placed).into(), whole_schema.into()];
    let rows = tx.query_all_raw(statement(&query(), values)).await?;
    let mut touched = Vec::new();
    let mut dropped = Vec::new();
    for row in &rows {
        match Touched::read(row)? {
            Some(object) if object.role.is_none() => dropped.push(object),
            Some(object) => touched.push(object),
            None => {}
        }
    }
    touched.extend(name_the_dropped(dropped, deployment, placed).await?);
    Ok(touched.into_iter().filter_map(|object| judge(object, deployment, placed, &declared)).collect())
}

/// An object that the transaction touched and that may not be the service's.
struct Touched {
    kind: String,
    schema: String,
    name: String,
    /// `None` for an object that is gone: only its number is left.
    role: Option<String>,
    did: String,
    created: bool,
    oid: i64,
    catalog: i64,
}

impl Touched {
    fn read(row: &QueryResult) -> Result<Option<Self>, DbErr> {
        let Some(kind) = row.try_get_by::<Option<String>, _>("kind")? else { return Ok(None) };
        Ok(Some(Self {
            kind,
            schema: row.try_get_by("schema")?,
            name: row.try_get_by("name")?,
            role: row.try_get_by("role")?,
            did: row.try_get_by("did")?,
            created: row.try_get_by("created")?,
            oid: row.try_get_by("oid")?,
            catalog: row.try_get_by("catalog")?,
        }))
    }
}

fn judge(
    touched: Touched,
    deployment: &Deployment,
    placed: &Placed,
    declared: &[String],
) -> Option<Violation> {
    let object = if touched.schema.is_empty() {
        touched.name.clone()
    } else {
        format!("{}.{}", touched.schema, touched.name)
    };
    if declared.contains(&object) || (touched.schema == placed.schema && owns(placed, &touched)) {
        return None;
    }
    let owner = owner(deployment, placed, &touched);
    Some(Violation { kind: touched.kind, object, did: touched.did, owner })
}

/// Whether an object in the service's own schema is the service's. In a schema that it shares, only the tables that it
/// names, what is named after them, and what this transaction created are.
fn owns(placed: &Placed, touched: &Touched) -> bool {
    if !placed.shares_schema() || touched.created || is_bookkeeping(placed, &touched.name) {
        return true;
    }
    placed.service.tables().iter().any(|table| {
        touched.name.strip_prefix(table).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

fn owner(deployment: &Deployment, placed: &Placed, touched: &Touched) -> String {
    let external =
        placed.service.externals().iter().find(|e| e.schema == touched.schema && e.table == touched.name);
    if let Some(external) = external {
        return external.owner.to_owned();
    }
    match deployment.owner_of_schema(placed.database, &touched.schema).filter(|owner| *owner != placed.name())
    {
        Some(service) => format!("service `{service}`"),
        None => format!("role `{}`", touched.role.as_deref().unwrap_or("unknown")),
    }
}

/// Looks dropped objects up from outside, where they still stand until we commit. What is not found there came and went
/// within the transaction, or is storage that went with its table.
async fn name_the_dropped(
    dropped: Vec<Touched>,
    deployment: &Deployment,
    placed: &Placed,
) -> Result<Vec<Touched>, DbErr> {
    let Some(first) = dropped.first() else { return Ok(Vec::new()) };
    let did = first.did.clone();
    let objects: Vec<String> =
        dropped.iter().map(|object| format!("({}, {})", object.catalog, object.oid)).collect();
    let sql = format!(
        "/* migrate */ SELECT i.type, coalesce(i.schema, ''), coalesce(i.name, i.identity), \
           coalesce(pg_get_userbyid(coalesce((SELECT relowner FROM pg_class c WHERE c.oid = d.oid), \
             (SELECT proowner FROM pg_proc p WHERE p.oid = d.oid), (SELECT typowner FROM pg_type t WHERE t.oid = d.oid))), 'unknown')::text \
         FROM (VALUES {}) AS d(catalog, oid), pg_identify_object(d.catalog::oid, d.oid::oid, 0) AS i \
         WHERE i.type IS NOT NULL AND i.identity IS NOT NULL AND i.type NOT IN ('index', 'toast table') \
           AND coalesce(i.schema, '') NOT LIKE 'pg\\_t%'",
        objects.join(", ")
    );
    let url = &deployment.databases()[placed.database];
    let mut outside = session::connect_to_read(url).await.map_err(|e| DbErr::Custom(e.to_string()))?;
    let rows = session::rows(&mut outside, &sql)
        .await
        .map_err(|e| DbErr::Query(RuntimeErr::SqlxError(Arc::new(e))))?;
    Ok(rows
        .iter()
        .map(|row| Touched {
            kind: row.get(0),
            schema: row.get(1),
            name: row.get(2),
            role: Some(row.get(3)),
            did: did.clone(),
            created: false,
            oid: 0,
            catalog: 0,
        })
        .collect())
}

/// The question. `$1` is the service's schema, `$2` the `search_path` to set, `$3` whether all of the schema is its own.
fn query() -> String {
    let counters = |catalog: &str| {
        let oid = literal(&format!("pg_catalog.{catalog}"));
        format!(
            "(SELECT pg_stat_get_xact_tuples_inserted({oid}::regclass) + pg_stat_get_xact_tuples_updated({oid}::regclass) > 0)"
        )
    };
    let outside = "n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp\\_%' \
                   AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'";
    let other = |kind: &str,
                 catalog: &str,
                 alias: &str,
                 name: &str,
                 owner: &str,
                 did: &str,
                 condition: &str| {
        format!(
            "SELECT '{kind}', n.nspname::text, {name}::text, pg_get_userbyid({alias}.{owner})::text, '{did}', false, \
                    {alias}.oid::int8, '{catalog}'::regclass::oid::int8 \
             FROM {catalog} {alias} JOIN pg_namespace n ON n.oid = {alias}.{condition} CROSS JOIN mine \
             WHERE {} AND {alias}.xmin = ANY (mine.xids) AND {outside}",
            counters(catalog)
        )
    };
    let functions =
        other("function", "pg_proc", "p", "p.proname", "proowner", "created or replaced", "pronamespace");
    let types = format!(
        "{} AND t.typrelid = 0 AND t.typtype IN ('e', 'd', 'r', 'b') AND t.typelem = 0",
        other("type", "pg_type", "t", "t.typname", "typowner", "created or altered", "typnamespace")
    );
    format!(
        "/* migrate */ WITH held AS MATERIALIZED (\
           SELECT locktype, relation, transactionid, classid, objid, mode FROM pg_locks \
           WHERE pid = pg_backend_pid() AND granted), \
         mine AS MATERIALIZED (SELECT coalesce(array_agg(transactionid), '{{}}') AS xids FROM held \
           WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock'), \
         locked AS MATERIALIZED (SELECT relation, bool_or(mode <> 'RowExclusiveLock') AS altered FROM held \
           WHERE locktype = 'relation' AND mode NOT IN ('AccessShareLock', 'RowShareLock') GROUP BY relation), \
         relations AS (SELECT coalesce(i.indrelid, l.relation) AS oid, l.altered FROM locked l \
             LEFT JOIN pg_index i ON i.indexrelid = l.relation \
           UNION ALL SELECT coalesce(i.indrelid, c.oid), true FROM pg_class c CROSS JOIN mine \
             LEFT JOIN pg_index i ON i.indexrelid = c.oid WHERE c.xmin = ANY (mine.xids)), \
         touched(kind, schema, name, role, did, created, oid, catalog) AS (\
           SELECT {RELATION_KIND}, n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text, \
                  CASE WHEN bool_or(r.altered) THEN 'altered' ELSE 'written to' END, \
                  EXISTS (SELECT FROM pg_type t WHERE t.oid = c.reltype AND t.xmin = ANY ((SELECT xids FROM mine)::xid[])) \
                    OR EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = -1 \
                               AND a.xmin = ANY ((SELECT xids FROM mine)::xid[])), \
                  c.oid::int8, 'pg_class'::regclass::oid::int8 \
           FROM relations r JOIN pg_class c ON c.oid = r.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
           WHERE {outside} GROUP BY c.oid, c.relkind, n.nspname, c.relname, c.relowner, c.reltype \
           UNION ALL SELECT 'table', '', '', NULL, 'dropped', false, relation::int8, 'pg_class'::regclass::oid::int8 \
           FROM locked WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) \
           UNION ALL SELECT 'object', '', '', NULL, 'dropped', false, objid::int8, classid::int8 FROM held \
           WHERE locktype = 'object' AND mode = 'AccessExclusiveLock' \
             AND NOT EXISTS (SELECT FROM pg_proc WHERE oid = objid AND classid = 'pg_proc'::regclass) \
             AND NOT EXISTS (SELECT FROM pg_type WHERE oid = objid AND classid = 'pg_type'::regclass) \
             AND NOT EXISTS (SELECT FROM pg_namespace WHERE oid = objid AND classid = 'pg_namespace'::regclass) \
             AND classid IN ('pg_proc'::regclass, 'pg_type'::regclass, 'pg_namespace'::regclass, 'pg_extension'::regclass) \
           UNION ALL {functions} \
           UNION ALL {types} \
           UNION ALL SELECT 'type', n.nspname::text, t.typname::text, pg_get_userbyid(t.typowner)::text, 'altered', false, \
                  t.oid::int8, 'pg_type'::regclass::oid::int8 FROM pg_enum e JOIN pg_type t ON t.oid = e.enumtypid \
                  JOIN pg_namespace n ON n.oid = t.typnamespace CROSS JOIN mine \
           WHERE {enums} AND e.xmin = ANY (mine.xids) AND {outside} \
           UNION ALL SELECT 'schema', '', n.nspname::text, pg_get_userbyid(n.nspowner)::text, 'created or altered', false, \
                  n.oid::int8, 'pg_namespace'::regclass::oid::int8 FROM pg_namespace n CROSS JOIN mine \
           WHERE n.xmin = ANY (mine.xids) AND {outside} AND n.nspname <> $1 \
           UNION ALL SELECT 'extension', '', x.extname::text, pg_get_userbyid(x.extowner)::text, 'created or altered', false, \
                  x.oid::int8, 'pg_extension'::regclass::oid::int8 FROM pg_extension x CROSS JOIN mine \
           WHERE x.xmin = ANY (mine.xids)) \
         SELECT set_config('search_path', $2, true), t.kind, coalesce(t.schema, '') AS schema, coalesce(t.name, '') AS name, \
                t.role, coalesce(t.did, '') AS did, coalesce(t.created, false) AS created, coalesce(t.oid, 0) AS oid, \
                coalesce(t.catalog, 0) AS catalog \
         FROM (SELECT 1) AS always LEFT JOIN (\
           SELECT DISTINCT * FROM touched WHERE NOT ($3 AND schema = $1)) AS t ON true",
        enums = counters("pg_enum"),
    )
}
