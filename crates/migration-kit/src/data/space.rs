//! The space that a table takes, and giving it back.
//!
//! An update leaves the old version of its row behind. [`vacuum`] makes that space usable again for the table and is
//! without blocking an application; only [`reclaim`] returns it to the disk, under a lock that stops the application.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};
use serde::Serialize;

use crate::event::Origin;
use crate::quote_identifier;
use crate::session::{self, BOOKKEEPING, db_err};
use crate::table::Table;
use crate::table_lock::{self, LockMode, TableLock};

/// How much space a table takes on disk, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct TableSize {
    /// Its rows.
    pub table_bytes: u64,
    /// Its indexes.
    pub index_bytes: u64,
    /// Its long values, which are kept apart, with their index.
    pub toast_bytes: u64,
    /// All of it, maps of free space included.
    pub total_bytes: u64,
    /// About how many dead versions of rows are in it.
    pub n_dead_rows: u64,
}

/// How much space the table takes; a partitioned table takes what its partitions do. Only reads.
///
/// # Errors
/// [`DbErr::Migration`] if the table does not exist; otherwise an error of the server.
pub async fn table_size(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<TableSize, DbErr> {
    let table = Table::find(connection, schema, table).await?;
    let sizes = if table.is_distributed {
        // What Citus gives of a table includes its partitions. Of dead rows it says nothing.
        format!(
            "SELECT citus_relation_size({name}), citus_total_relation_size({name}) - citus_table_size({name}), \
             citus_table_size({name}) - citus_relation_size({name}), citus_total_relation_size({name}), 0::bigint",
            name = table.literal()
        )
    } else {
        format!(
            "WITH parts AS ({}) \
             SELECT coalesce(sum(pg_relation_size(part)), 0)::bigint, coalesce(sum(pg_indexes_size(part)), 0)::bigint, \
             coalesce(sum(pg_total_relation_size(nullif(c.reltoastrelid, 0))), 0)::bigint, \
             coalesce(sum(pg_total_relation_size(part)), 0)::bigint, \
             coalesce(sum(pg_stat_get_dead_tuples(part)), 0)::bigint FROM parts JOIN pg_class c ON c.oid = part",
            parts(&table)
        )
    };
    let sql = format!("{BOOKKEEPING}{sizes}");
    let Some(row) = session::rows(connection, sql).await?.pop() else { return Ok(TableSize::default()) };
    let figure = |index: usize| -> Result<u64, DbErr> {
        Ok(u64::try_from(row.try_get::<i64, _>(index).map_err(db_err)?).unwrap_or(0))
    };
    Ok(TableSize {
        table_bytes: figure(0)?,
        index_bytes: figure(1)?,
        toast_bytes: figure(2)?,
        total_bytes: figure(3)?,
        n_dead_rows: figure(4)?,
    })
}

/// About how many bytes [`reclaim`] would give back: what rows and long values take, less what a sample of them says that they
/// would take. Indexes are left out, which it makes smaller too. `None` where the rows may not be read, or are on another node of
/// Citus. Only reads.
///
/// # Errors
/// [`DbErr::Migration`] if the table does not exist; otherwise an error of the server.
pub async fn reclaimable(
    connection: &mut PgConnection,
    schema: &str,
    table: &str,
) -> Result<Option<u64>, DbErr> {
    /// Blocks that are read, at most.
    const SAMPLE: u64 = 2_000;
    /// Of a row beside its values: header, pointer and padding.
    const PER_ROW: u32 = 32;
    /// What parts of long values take beside them, in hundredths.
    const OVERHEAD: u64 = 104;
    let table = Table::find(connection, schema, table).await?;
    if table.is_distributed {
        return Ok(None);
    }
    let sql = format!(
        "{BOOKKEEPING}WITH parts AS ({}) \
         SELECT has_table_privilege({name}::regclass, 'SELECT') AND NOT row_security_active({name}::regclass), \
         coalesce(sum(pg_relation_size(part)), 0)::bigint / current_setting('block_size')::bigint, \
         coalesce(sum(pg_table_size(part)), 0)::bigint FROM parts",
        parts(&table),
        name = table.literal(),
    );
    let Some(row) = session::rows(connection, sql).await?.pop() else { return Ok(None) };
    if !row.try_get::<bool, _>(0).map_err(db_err)? {
        return Ok(None);
    }
    let figure = |index: usize| -> Result<u64, DbErr> {
        Ok(u64::try_from(row.try_get::<i64, _>(index).map_err(db_err)?).unwrap_or(0))
    };
    let (n_blocks, n_bytes) = (figure(1)?, figure(2)?);
    let columns = table.columns(connection).await?;
    let values: String = columns
        .iter()
        .map(|column| format!(" + coalesce(pg_column_size({}), 0)", quote_identifier(&column.name)))
        .collect();
    let sampled = SAMPLE.min(n_blocks);
    let sql = format!(
        "{BOOKKEEPING}SELECT coalesce(sum({PER_ROW}{values}), 0)::bigint FROM {} TABLESAMPLE SYSTEM (100.0 * {} / {})",
        table.qualified,
        sampled.max(1),
        n_blocks.max(1),
    );
    let taken = session::value::<i64>(connection, sql).await?.unwrap_or(0);
    let needed = u64::try_from(taken).unwrap_or(0) * n_blocks.max(1) / sampled.max(1) * OVERHEAD / 100;
    Ok(Some(n_bytes.saturating_sub(needed)))
}

/// Frees the space of dead rows for new ones.
///
/// It blocks no session, does not wait where another vacuum or a schema change is at work on the table (it is then left to
/// them), and does not cut off empty blocks at the table's end, because that takes ACCESS EXCLUSIVE.
///
/// # Errors
/// [`DbErr::Migration`] if the table does not exist; otherwise an error of the server.
pub async fn vacuum(connection: &mut PgConnection, schema: &str, table: &str) -> Result<(), DbErr> {
    let table = Table::find(connection, schema, table).await?;
    let sql = format!("{BOOKKEEPING}VACUUM (SKIP_LOCKED, TRUNCATE FALSE) {}", table.qualified);
    session::execute_unlimited(connection, sql).await
}

/// Writes the table anew without its dead rows and gives the space back to the disk; of a partitioned table, each
/// partition by itself.
///
/// **Lock:** ACCESS EXCLUSIVE on the table for the whole rewrite: nobody reads or writes it meanwhile. It is asked for as
/// migrations ask (`table_lock`), so that no session waits behind it before the rewrite begins. It needs as much free space as
/// the table takes when it is done.
///
/// # Errors
/// [`DbErr::Migration`] if the table does not exist, or the lock could not be acquired; otherwise an error of the server.
pub async fn reclaim(
    connection: &mut PgConnection,
    service: &str,
    schema: &str,
    table: &str,
) -> Result<(), DbErr> {
    let table = Table::find(connection, schema, table).await?;
    let origin = Origin { service: service.to_owned(), migration: "space --reclaim".to_owned() };
    let names = format!(
        "{BOOKKEEPING}SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.oid IN ({}) AND c.relkind = 'r' ORDER BY 1, 2",
        parts(&table),
    );
    for part in session::rows(connection, names).await? {
        let text = |column: usize| part.try_get::<String, _>(column).map_err(db_err);
        let lock = TableLock::new(&text(0)?, &text(1)?, LockMode::AccessExclusive);
        let sql = format!("{BOOKKEEPING}VACUUM (FULL) {}", lock.qualified());
        table_lock::take_alone(connection, lock, origin.clone(), &sql).await?;
    }
    session::execute_unlimited(connection, format!("{BOOKKEEPING}ANALYZE {}", table.qualified)).await
}

/// [`vacuum`] between the batches of a backfill: it leaves the index entries of dead rows to the next autovacuum. What
/// keeps the table small is the rows' own space, and that takes 3 s instead of 15 after 250,000 of 1,000,000 rows.
pub(super) async fn vacuum_rows(connection: &mut PgConnection, table: &Table) -> Result<(), DbErr> {
    let sql =
        format!("{BOOKKEEPING}VACUUM (SKIP_LOCKED, TRUNCATE FALSE, INDEX_CLEANUP OFF) {}", table.qualified);
    session::execute_unlimited(connection, sql).await
}

/// Query for the table and, if it is partitioned, its partitions.
fn parts(table: &Table) -> String {
    let table = table.literal();
    format!("SELECT {table}::regclass AS part UNION SELECT relid FROM pg_partition_tree({table}::regclass)")
}
