//! Rows that are too large for JSON, as which rejects are kept: which one it was, and what to do.
//!
//! PostgreSQL says only that some value was too large. It does not decide what becomes of the row: it stays as it was.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use crate::quote::{literal, quote_identifier};
use crate::session::{self, BOOKKEEPING, refusal, sqlstate};
use crate::table::{Column, Table};

/// SQLSTATE of `program_limit_exceeded`: of JSON above 256 MB, and of an index entry that is too large.
const PROGRAM_LIMIT_EXCEEDED: &str = "54000";
/// Smaller rows are not too large for JSON, which has numbers in six times the space at most.
const LARGE_BYTES: i64 = 40 << 20;

/// The error of a batch, which names the largest of these rows if one of them was too large.
pub(super) async fn named(
    connection: &mut PgConnection,
    table: &Table,
    key: &[Column],
    rows: &str,
    error: DbErr,
) -> DbErr {
    if sqlstate(&error).as_deref() != Some(PROGRAM_LIMIT_EXCEEDED) {
        return error;
    }
    match largest(connection, table, key, rows).await {
        Ok(Some((row, n_bytes))) if n_bytes > LARGE_BYTES => refusal(format!(
            "row {row} of `{}` has {} MB and does not fit into the rejects, which PostgreSQL keeps as JSON of 256 MB at most; \
             it was not changed: shorten it, or keep it elsewhere",
            table.name,
            n_bytes >> 20,
        )),
        _ => error,
    }
}

/// The key of the largest of these rows, and its size in bytes.
async fn largest(
    connection: &mut PgConnection,
    table: &Table,
    key: &[Column],
    rows: &str,
) -> Result<Option<(String, i64)>, DbErr> {
    let columns = table.columns(connection).await?;
    let size = |column: &Column| {
        format!("COALESCE(octet_length(source.{}::text), 0)::bigint", quote_identifier(&column.name))
    };
    let named = |column: &Column| {
        format!("{}, left(source.{}::text, 100)", literal(&column.name), quote_identifier(&column.name))
    };
    let key = match key {
        [] => "'ctid', source.ctid::text".to_owned(),
        key => key.iter().map(named).collect::<Vec<_>>().join(", "),
    };
    let sql = format!(
        "{BOOKKEEPING}SELECT jsonb_build_object({key})::text, {} AS n_bytes FROM {} AS source WHERE ({rows}) \
         ORDER BY n_bytes DESC LIMIT 1",
        columns.iter().map(size).collect::<Vec<_>>().join(" + "),
        table.qualified,
    );
    let found = session::rows(connection, sql).await?;
    let Some(found) = found.first() else { return Ok(None) };
    Ok(Some((found.try_get(0).map_err(session::db_err)?, found.try_get(1).map_err(session::db_err)?)))
}
