//! A service that is not to be found under its name: its schemas under other names, and in place of its version table something
//! that every program which asks for it meets. It is left where a service was, and hides a copy until that is in use.

use migration_coordinator::{Deployment, MoveMark};
use migration_kit::{ServiceName, literal, qualified, quote_identifier};
use sqlx::{PgConnection, Row};

use crate::BackupError;
use crate::aside::{Aside, commented, own_comment};
use crate::error::{read, written};
use crate::owned::{list, rows, send};
use crate::restore::replace::{execute, rename};

/// The function that says where the service is to whoever reads the version table with another program.
const SAYS: &str = "moved_away";

/// Renames the service's schemas and leaves the mark, within a transaction.
pub(super) async fn depart(
    connection: &mut PgConnection,
    (deployment, service): (&Deployment, &ServiceName),
    (schemas, kept_in): (&[String], &[String]),
    (aside, mark): (Aside, &MoveMark),
) -> Result<(), BackupError> {
    for (schema, kept_in) in schemas.iter().zip(kept_in) {
        let own = commented(connection, schema).await.map_err(read(service))?;
        for sql in rename(connection, schema, kept_in).await.map_err(read(service))? {
            execute(connection, service, &sql).await?;
        }
        execute(connection, service, &aside.comment(service, kept_in, own.as_deref())).await?;
    }
    let [says, view] = stand_ins(deployment, service);
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

/// Puts under the service's name what [`depart`] has given other names and this mark: from then on it is in use. Gives the schemas into
/// which was put what others have made meanwhile where it belongs.
///
/// # Errors
/// [`BackupError::MoveUnknown`] if it is not there: another run has ended the move, or begun it anew.
pub(super) async fn reveal(
    connection: &mut PgConnection,
    (deployment, service): (&Deployment, &ServiceName),
    (schemas, hidden): (&[String], &[String]),
    is_its_mark: impl Fn(&MoveMark) -> bool,
) -> Result<Vec<String>, BackupError> {
    let failed = read(service);
    let is_it = marked(connection, deployment, service)
        .await
        .map_err(&failed)?
        .is_some_and(|mark| is_its_mark(&mark));
    let n_hidden =
        format!("SELECT count(*) FROM pg_catalog.pg_namespace WHERE nspname IN ({})", list(hidden));
    let n_hidden: i64 =
        rows(connection, &n_hidden).await.map_err(&failed)?.first().map_or(0, |row| row.get(0));
    if !is_it || usize::try_from(n_hidden) != Ok(schemas.len()) {
        return Err(BackupError::MoveUnknown {
            service: service.clone(),
            what: "another run was at work on it",
        });
    }
    let [says, view] = stand_ins(deployment, service);
    execute(connection, service, &format!("DROP VIEW {view}")).await?;
    execute(connection, service, &format!("DROP FUNCTION {says}()")).await?;
    let mut set_aside = Vec::new();
    let others = Aside::BeforeMove.schemas(service, schemas.len());
    for ((schema, hidden), other) in schemas.iter().zip(hidden).zip(others) {
        let sql = format!(
            "SELECT 1 FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_namespace n ON n.oid = d.refobjid \
             WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass AND n.nspname = {} LIMIT 1",
            literal(schema)
        );
        let name = quote_identifier(schema);
        if rows(connection, &sql).await.map_err(&failed)?.is_empty() {
            execute(connection, service, &format!("DROP SCHEMA {name}")).await?;
        } else {
            let aside = quote_identifier(&other);
            execute(connection, service, &format!("ALTER SCHEMA {name} RENAME TO {aside}")).await?;
            execute(connection, service, &Aside::BeforeMove.comment(service, &other, None)).await?;
            set_aside.push(other);
        }
        let hidden_name = quote_identifier(hidden);
        execute(connection, service, &format!("ALTER SCHEMA {hidden_name} RENAME TO {name}")).await?;
        let own = commented(connection, schema).await.map_err(&failed)?;
        execute(connection, service, &own_comment(service, schema, own.as_deref())).await?;
    }
    Ok(set_aside)
}

/// What the version table of a service is marked with.
pub(crate) async fn marked(
    connection: &mut PgConnection,
    deployment: &Deployment,
    service: &ServiceName,
) -> Result<Option<MoveMark>, sqlx::Error> {
    let Some((placed, schema, _)) = deployment.service(service) else { return Ok(None) };
    MoveMark::find(connection, schema, placed.version_table()).await
}

/// The function and the view that are in a service's place, as SQL has their names.
fn stand_ins(deployment: &Deployment, service: &ServiceName) -> [String; 2] {
    let placed = deployment.service(service);
    let (schema, table) = placed.map_or(("", ""), |(service, schema, _)| (schema, service.version_table()));
    [qualified(schema, SAYS), qualified(schema, table)]
}
