//! What is made in a service's schema while it moves. The fence is on the rows of its tables: who makes another table is not kept from it.
//!
//! Only once the schema has another name for everybody, nothing new comes into it: who makes a relation finds the schema by its name, locks
//! it, and looks for the name again. What was found before holds its lock until it is committed. Functions and types are made without
//! a lock on their schema: one that is committed later than this look stays in the renamed schema.

use std::collections::BTreeSet;

use migration_kit::ServiceName;
use sqlx::{PgConnection, Row};

use crate::BackupError;
use crate::error::read;
use crate::owned::{list, rows};

/// The transaction that makes something in one of these schemas and is not over, in words.
pub(super) async fn making(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<Option<String>, sqlx::Error> {
    let sql = format!(
        "SELECT l.pid FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_namespace n ON n.oid = l.objid \
         WHERE l.locktype = 'object' AND l.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND l.pid <> pg_catalog.pg_backend_pid() \
           AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
           AND n.nspname IN ({}) LIMIT 1",
        list(schemas)
    );
    let found = rows(connection, &sql).await?;
    let words = |pid: i32| format!("the transaction of pid {pid} makes something in its schema");
    Ok(found.first().map(|row| words(row.get(0))))
}

/// What was made in the schemas that a service has left, and did not come to their copies, in words. Nothing where a table of the
/// copies is not in them any more: then only the copies are whole.
pub(super) async fn made(
    here: &mut PgConnection,
    there: &mut PgConnection,
    service: &ServiceName,
    (kept_in, copies): (&[String], &[String]),
) -> Result<Option<String>, BackupError> {
    let failed = read(service);
    let making = making(here, kept_in).await.map_err(&failed)?;
    let (here, there) =
        (objects(here, kept_in).await.map_err(&failed)?, objects(there, copies).await.map_err(failed)?);
    if there.difference(&here).any(|(_, kind, _)| kind == TABLE) {
        return Ok(None);
    }
    let added = here.difference(&there).next();
    Ok(added.map(|(_, kind, name)| format!("+ {kind} {name}")).or(making))
}

/// How a table is called.
const TABLE: &str = "table";

/// Relations but half-built indexes, functions and types in these schemas, each with the place of its schema in the list, its kind and its name.
async fn objects(
    connection: &mut PgConnection,
    schemas: &[String],
) -> Result<BTreeSet<(i32, String, String)>, sqlx::Error> {
    let sql = format!(
        "WITH own AS (SELECT oid, pg_catalog.array_position(ARRAY[{names}]::pg_catalog.text[], nspname::pg_catalog.text) AS place \
           FROM pg_catalog.pg_namespace WHERE nspname IN ({names})) \
         SELECT own.place, CASE WHEN c.relkind IN ('r', 'p', 'f') THEN '{TABLE}' WHEN c.relkind IN ('v', 'm') THEN 'view' \
             WHEN c.relkind IN ('i', 'I') THEN 'index' WHEN c.relkind = 'S' THEN 'sequence' ELSE 'type' END, c.relname::pg_catalog.text \
           FROM own JOIN pg_catalog.pg_class c ON c.relnamespace = own.oid \
           WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_index i WHERE c.relkind = 'i' AND i.indexrelid = c.oid AND NOT i.indisvalid) \
         UNION SELECT own.place, 'function', p.proname::pg_catalog.text FROM own JOIN pg_catalog.pg_proc p ON p.pronamespace = own.oid \
         UNION SELECT own.place, 'type', t.typname::pg_catalog.text FROM own JOIN pg_catalog.pg_type t ON t.typnamespace = own.oid \
           WHERE t.typtype IN ('d', 'e', 'r')",
        names = list(schemas)
    );
    rows(connection, &sql)
        .await?
        .iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}
