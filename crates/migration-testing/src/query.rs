//! Connections whose `search_path` is a service's schema, and queries with their rows as text.

use std::sync::Arc;

use migration_kit::{Service, quote_identifier};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, AssertSqlSafe, Row, ValueRef};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbErr, RuntimeErr};

/// Connections for a test's own queries.
const N_CONNECTIONS: u32 = 5;

/// The name by which the server knows a test's own sessions.
pub(crate) const APPLICATION: &str = "migration-testing";

/// Opens a pool, as this role or as the one that the address names.
pub(crate) async fn connect(
    url: &str,
    schemas: &[&str],
    role: Option<&str>,
) -> Result<DatabaseConnection, DbErr> {
    connect_as(APPLICATION, url, schemas, role).await
}

async fn connect_as(
    application: &'static str,
    url: &str,
    schemas: &[&str],
    role: Option<&str>,
) -> Result<DatabaseConnection, DbErr> {
    let role = role.map(str::to_owned);
    let search_path = schemas.iter().copied().map(quote_identifier).collect::<Vec<_>>().join(",");
    let mut options = ConnectOptions::new(url);
    options.max_connections(N_CONNECTIONS).sqlx_logging(false);
    options.map_sqlx_postgres_opts(move |options| {
        let options = match &role {
            Some(role) => options.username(role),
            None => options,
        };
        // Without a statement cache, because a migration changes what a cached statement returns.
        options
            .options([("search_path", search_path.as_str()), ("TimeZone", "UTC")])
            .application_name(application)
            .statement_cache_capacity(0)
    });
    Database::connect(options).await
}

/// Opens a pool for migrations of a service that run without the coordinator.
pub(crate) async fn connect_as_plain(url: &str, service: &Service) -> Result<DatabaseConnection, DbErr> {
    // Where there are extensions, the application's path leads to them too; in a new database they are in `public`.
    let path: &[&str] = if service.extensions().is_empty() { &[] } else { &["public"] };
    connect_as("plain", url, &[&[service.default_schema()], path].concat(), None).await
}

/// The rows of a query, fields parted by `|`, with `∅` for null.
pub(crate) async fn rows(db: &DatabaseConnection, sql: &str) -> Result<Vec<String>, DbErr> {
    let sql = AssertSqlSafe(sql.to_owned());
    // The simple protocol: values arrive as text, whatever their type.
    let rows = sqlx::raw_sql(sql).fetch_all(db.get_postgres_connection_pool()).await.map_err(query_error)?;
    rows.iter().map(text).collect()
}

fn text(row: &PgRow) -> Result<String, DbErr> {
    let field = |index| {
        let value = row.try_get_raw(index).map_err(query_error)?;
        if value.is_null() {
            return Ok("∅".to_owned());
        }
        let text = value.as_str().map_err(|source| DbErr::Type(source.to_string()))?;
        Ok(text.to_owned())
    };
    let fields: Result<Vec<String>, DbErr> = (0..row.len()).map(field).collect();
    Ok(fields?.join("|"))
}

fn query_error(source: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(source)))
}
