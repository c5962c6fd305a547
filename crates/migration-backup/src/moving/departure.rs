//! What is left where a service was: its schema under another name, and in place of its version table something that every program which
//! asks for it meets.

use migration_coordinator::MoveMark;
use migration_kit::{ServiceName, literal, qualified, quote_identifier};
use sqlx::PgConnection;

use crate::BackupError;
use crate::error::{read, written};
use crate::owned::{Owned, send};
use crate::restore::replace::{execute, rename};
use crate::restore::{MOVED, comment};

/// The function that says where the service is to whoever reads the version table with another program.
const SAYS: &str = "moved_away";

/// Renames the service's schemas and leaves the mark, in the transaction of the fence.
pub(super) async fn depart(
    connection: &mut PgConnection,
    service: &ServiceName,
    (owned, kept_in): (&Owned, &[String]),
    version_table: &str,
    mark: &MoveMark,
) -> Result<(), BackupError> {
    for (schema, kept_in) in owned.schemas.iter().zip(kept_in) {
        for sql in rename(connection, schema, kept_in).await.map_err(read(service))? {
            execute(connection, service, &sql).await?;
        }
        let comment = literal(&comment(service, MOVED));
        let sql = format!("COMMENT ON SCHEMA {} IS {comment}", quote_identifier(kept_in));
        execute(connection, service, &sql).await?;
    }
    let schema = &owned.schemas[0];
    let (says, view) = (qualified(schema, SAYS), qualified(schema, version_table));
    // sea-orm makes its table only if there is none, and then reads it: so it fails as well, and makes nothing.
    let body = format!(
        "BEGIN RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = {}; END",
        literal(&format!("service {service}: {mark}"))
    );
    let statements = [
        format!("CREATE FUNCTION {says}() RETURNS boolean LANGUAGE plpgsql AS {}", literal(&body)),
        format!(
            "CREATE VIEW {view} AS SELECT ''::text AS version, 0::pg_catalog.int8 AS applied_at WHERE {says}()"
        ),
        format!("COMMENT ON VIEW {view} IS {}", literal(&mark.to_string())),
    ];
    for sql in statements {
        send(connection, &sql).await.map_err(written(service))?;
    }
    Ok(())
}
