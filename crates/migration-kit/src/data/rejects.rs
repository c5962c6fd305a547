//! Rejects: rows and fields that could not be carried over, each with its reason, in `migration_reject_<service>`.
//!
//! An entry without a moved row only tells of a value: its row still stands in its table, and the entry is the same however
//! often the migration runs. An entry with a moved row is the row: it left its table, and `row_data` is all there is.
//! There, each value is kept in PostgreSQL's own text form (`{"id": "5", "tags": "{a,b}", "note": null}`): what the
//! server writes, it reads back the same, for every type. JSON's own numbers, and `jsonb` inside `jsonb`, would not do:
//! they lose the text of a `json` value and the infinities.
//!
//! It decides no reasons and puts no rows back.

use sea_orm::sqlx::{PgConnection, Row};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::SchemaManager;
use serde::Serialize;

use crate::event::Origin;
use crate::session::{self, BOOKKEEPING, db_err, refusal};
use crate::{literal, quote_identifier};

/// One entry of a reject table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// Number of the entry; the order in which they were made.
    pub id: i64,
    /// The migration that made it.
    pub migration: String,
    /// The row's table.
    pub table: String,
    /// The row's key, as the migration wrote it.
    pub key: serde_json::Value,
    /// The field that could not be carried over; empty if the entry is about the whole row.
    pub field: String,
    /// The field's value, as text.
    pub value: Option<String>,
    /// Why it could not be carried over.
    pub reason: String,
    /// Whether the row left its table and stands only here.
    pub moved: bool,
    /// The row: of a moved one all values as text, otherwise what the migration chose to keep.
    pub row: Option<serde_json::Value>,
    /// When the entry was made, UTC, as `2026-01-26T10:00:00Z`.
    pub rejected_at: String,
}

/// How many entries a reject table has for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectCount {
    /// The migration that made them.
    pub migration: String,
    /// The rows' table.
    pub table: String,
    /// The field; empty if the entries are about whole rows.
    pub field: String,
    /// The reason.
    pub reason: String,
    /// Whether the rows left their table.
    pub moved: bool,
    /// How many there are.
    pub n_rejects: u64,
}

/// Name of a service's reject table.
#[must_use]
pub fn table_name(service: &str) -> String {
    format!("migration_reject_{service}")
}

/// Makes the reject table of a service in the current schema of the manager's connection, if there is none: for a
/// migration inside a transaction that writes rejects itself.
///
/// # Errors
/// [`DbErr::Migration`] if there is no current schema; otherwise an error of the server.
pub async fn install(manager: &SchemaManager<'_>, service: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let asked = format!(
        "{BOOKKEEPING}SELECT current_schema()::text AS schema, \
         to_regclass(format('%I.%I', current_schema(), {})) IS NOT NULL AS is_there",
        literal(&table_name(service)),
    );
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), asked)).await?;
    let row = row.ok_or_else(|| DbErr::RecordNotFound("the current schema".to_owned()))?;
    let schema: Option<String> = row.try_get("", "schema")?;
    let schema = schema.ok_or_else(|| refusal("the schema of `search_path` does not exist"))?;
    if row.try_get("", "is_there")? {
        return Ok(());
    }
    db.execute_unprepared(&definition(&schema, service)).await.map(drop)
}

/// Makes the reject table of a service in its schema, if there is none.
///
/// # Errors
/// An error of the server.
pub async fn install_in(connection: &mut PgConnection, schema: &str, service: &str) -> Result<(), DbErr> {
    // Asked first, because `IF NOT EXISTS` needs the right to create even where there is nothing to do.
    if exists(connection, schema, service).await? {
        return Ok(());
    }
    session::execute(connection, definition(schema, service)).await.map(drop)
}

/// The first entries of a service, in the order in which they were made; none if it has no reject table. Only reads.
///
/// # Errors
/// An error of the server.
pub async fn list(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
    limit: u64,
) -> Result<Vec<Reject>, DbErr> {
    if !exists(connection, schema, service).await? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{BOOKKEEPING}SELECT id, migration, table_name, row_key, field, value, reason, moved, row_data, \
         to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM {} ORDER BY id LIMIT {limit}",
        qualified(schema, service),
    );
    let mut rejects = Vec::new();
    for row in session::rows(connection, sql).await? {
        rejects.push(Reject {
            id: row.try_get(0).map_err(db_err)?,
            migration: row.try_get(1).map_err(db_err)?,
            table: row.try_get(2).map_err(db_err)?,
            key: row.try_get(3).map_err(db_err)?,
            field: row.try_get(4).map_err(db_err)?,
            value: row.try_get(5).map_err(db_err)?,
            reason: row.try_get(6).map_err(db_err)?,
            moved: row.try_get(7).map_err(db_err)?,
            row: row.try_get(8).map_err(db_err)?,
            rejected_at: row.try_get(9).map_err(db_err)?,
        });
    }
    Ok(rejects)
}

/// How many entries a service has, by migration, table, field and reason; none if it has no reject table. Only reads.
///
/// # Errors
/// An error of the server.
pub async fn counts(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
) -> Result<Vec<RejectCount>, DbErr> {
    if !exists(connection, schema, service).await? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{BOOKKEEPING}SELECT migration, table_name, field, reason, moved, count(*) FROM {} \
         GROUP BY migration, table_name, field, reason, moved ORDER BY migration, table_name, field, reason, moved",
        qualified(schema, service),
    );
    let mut counts = Vec::new();
    for row in session::rows(connection, sql).await? {
        counts.push(RejectCount {
            migration: row.try_get(0).map_err(db_err)?,
            table: row.try_get(1).map_err(db_err)?,
            field: row.try_get(2).map_err(db_err)?,
            reason: row.try_get(3).map_err(db_err)?,
            moved: row.try_get(4).map_err(db_err)?,
            n_rejects: u64::try_from(row.try_get::<i64, _>(5).map_err(db_err)?).unwrap_or(0),
        });
    }
    Ok(counts)
}

/// The statement that records what a query lists, each (key, field) once. The query is evaluated before anything is
/// written, which also lets it run where the tables are distributed.
pub(crate) fn recording(schema: &str, origin: &Origin, table: &str, query: &str) -> String {
    format!(
        "WITH rejected AS MATERIALIZED ({query}) \
         INSERT INTO {} (migration, table_name, row_key, field, value, reason, row_data) \
         SELECT {}, {}, rejected.key::jsonb, rejected.field::text, rejected.value::text, rejected.reason::text, \
         rejected.row::jsonb FROM rejected ON CONFLICT (migration, table_name, row_key, field) DO NOTHING",
        qualified(schema, &origin.service),
        literal(&origin.migration),
        literal(table),
    )
}

/// Forgets the entries of a migration that are not moved rows.
pub(super) async fn forget(
    connection: &mut PgConnection,
    schema: &str,
    origin: &Origin,
) -> Result<u64, DbErr> {
    if !exists(connection, schema, &origin.service).await? {
        return Ok(0);
    }
    let sql = format!(
        "{BOOKKEEPING}DELETE FROM {} WHERE migration = {} AND NOT moved",
        qualified(schema, &origin.service),
        literal(&origin.migration),
    );
    session::execute(connection, sql).await
}

/// Whether the service has a reject table.
pub(super) async fn exists(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
) -> Result<bool, DbErr> {
    let sql =
        format!("{BOOKKEEPING}SELECT to_regclass({}) IS NOT NULL", literal(&qualified(schema, service)));
    Ok(session::value::<bool>(connection, sql).await? == Some(true))
}

/// The quoted, schema-qualified name of a service's reject table.
pub(super) fn qualified(schema: &str, service: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(&table_name(service)))
}

fn definition(schema: &str, service: &str) -> String {
    let name = table_name(service);
    format!(
        "{BOOKKEEPING}CREATE TABLE IF NOT EXISTS {} (id bigint GENERATED ALWAYS AS IDENTITY, migration varchar NOT NULL, \
         table_name text NOT NULL, row_key jsonb NOT NULL, field text NOT NULL DEFAULT '', value text, \
         reason text NOT NULL, moved boolean NOT NULL DEFAULT false, row_data jsonb, \
         rejected_at timestamptz NOT NULL DEFAULT now(), CONSTRAINT {} PRIMARY KEY (id), \
         CONSTRAINT {} UNIQUE (migration, table_name, row_key, field))",
        qualified(schema, service),
        quote_identifier(&format!("{name}_pkey")),
        quote_identifier(&format!("{name}_key")),
    )
}
