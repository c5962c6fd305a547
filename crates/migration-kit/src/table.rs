//! What the catalog says of a table: that it exists, its columns, its key, about how many rows it has.
//!
//! It only asks, and remembers nothing: a table may change between two steps of a migration.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use crate::missing::MissingTable;
use crate::nodes::{self, HAS_CITUS};
use crate::quote::{literal, qualified, regclass};
use crate::session::{self, BOOKKEEPING, Limits, db_err};

/// A table that exists.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    /// Its name, as the migration gave it.
    pub(crate) name: String,
    /// Its quoted, schema-qualified name.
    pub(crate) qualified: String,
    /// Whether it is partitioned: it then has no blocks of its own.
    pub(crate) is_partitioned: bool,
    /// Whether its rows are on another node, so that this one knows neither its size nor its statistics.
    pub(crate) is_distributed: bool,
}

/// A column and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    /// Its name.
    pub(crate) name: String,
    /// Its type, without a length: a cast to `varchar(3)` would cut silently, an assignment refuses.
    pub(crate) type_: String,
    /// Whether its value is computed from other columns.
    pub(crate) is_generated: bool,
}

impl Table {
    /// Finds the table, which may be partitioned.
    ///
    /// # Errors
    /// [`MissingTable`] if there is no such table.
    pub(crate) async fn find(connection: &mut PgConnection, schema: &str, name: &str) -> Result<Self, DbErr> {
        let qualified = qualified(schema, name);
        let sql = format!(
            "{BOOKKEEPING}SELECT relkind = 'p', {HAS_CITUS} FROM pg_class WHERE oid = {} AND relkind IN ('r', 'p')",
            regclass(&qualified),
        );
        let found = session::rows(connection, sql).await?;
        let found = found.first().ok_or_else(|| MissingTable::error(name, schema))?;
        let [is_partitioned, has_citus]: [bool; 2] =
            [found.try_get(0).map_err(db_err)?, found.try_get(1).map_err(db_err)?];
        let is_distributed = has_citus
            && session::value(connection, nodes::is_table_distributed(&qualified)).await? == Some(true);
        Ok(Self { name: name.to_owned(), qualified, is_partitioned, is_distributed })
    }

    /// These limits, for a transaction that works on the table.
    pub(crate) fn limits(&self, limits: Limits) -> Limits {
        Limits { is_distributed: self.is_distributed, ..limits }
    }

    /// The columns of the primary key in its order; none if the table has no primary key.
    pub(crate) async fn primary_key(&self, connection: &mut PgConnection) -> Result<Vec<Column>, DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT a.attname::text, format_type(a.atttypid, -1), a.attgenerated <> '' FROM pg_index i \
             CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, position) \
             JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum \
             WHERE i.indrelid = {}::regclass AND i.indisprimary AND k.position <= i.indnkeyatts ORDER BY k.position",
            self.literal(),
        );
        columns(connection, sql).await
    }

    /// The columns in their order.
    pub(crate) async fn columns(&self, connection: &mut PgConnection) -> Result<Vec<Column>, DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT attname::text, format_type(atttypid, -1), attgenerated <> '' FROM pg_attribute \
             WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            self.literal(),
        );
        columns(connection, sql).await
    }

    /// How closely the order of a column follows the order of the rows in the table, from -1 to 1, by the statistics that
    /// `ANALYZE` gathers; `None` if there are none.
    pub(crate) async fn correlation(
        &self,
        connection: &mut PgConnection,
        column: &Column,
    ) -> Result<Option<f32>, DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT correlation FROM pg_stats WHERE format('%I.%I', schemaname, tablename)::regclass = \
             {}::regclass AND attname = {} AND NOT inherited",
            self.literal(),
            literal(&column.name),
        );
        session::value(connection, sql).await
    }

    /// About how many rows the table has: the planner's estimate, counted where that is cheap.
    pub(crate) async fn n_rows(&self, connection: &mut PgConnection) -> Result<u64, DbErr> {
        const CHEAP_TO_COUNT: u64 = 50_000;
        let explain = format!("{BOOKKEEPING}EXPLAIN (FORMAT JSON) SELECT 1 FROM {}", self.qualified);
        let plan: Option<serde_json::Value> = session::value(connection, explain).await?;
        let estimate =
            plan.as_ref().and_then(|plan| plan.pointer("/0/Plan/Plan Rows")?.as_u64()).unwrap_or(0);
        if estimate > CHEAP_TO_COUNT {
            return Ok(estimate);
        }
        let count = format!("{BOOKKEEPING}SELECT count(*) FROM {}", self.qualified);
        let counted = session::value::<i64>(connection, count).await?.unwrap_or(0);
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    /// How many blocks the table's rows take now.
    pub(crate) async fn n_blocks(&self, connection: &mut PgConnection) -> Result<u64, DbErr> {
        let size = if self.is_distributed { "citus_relation_size" } else { "pg_relation_size" };
        let sql = format!(
            "{BOOKKEEPING}SELECT {size}({}::regclass) / current_setting('block_size')::bigint",
            self.literal(),
        );
        let counted = session::value::<i64>(connection, sql).await?.unwrap_or(0);
        Ok(u64::try_from(counted).unwrap_or(0))
    }

    /// The qualified name as a string literal, to be cast to `regclass`.
    pub(crate) fn literal(&self) -> String {
        literal(&self.qualified)
    }
}

async fn columns(connection: &mut PgConnection, sql: String) -> Result<Vec<Column>, DbErr> {
    let mut columns = Vec::new();
    for row in session::rows(connection, sql).await? {
        columns.push(Column {
            name: row.try_get(0).map_err(db_err)?,
            type_: row.try_get(1).map_err(db_err)?,
            is_generated: row.try_get(2).map_err(db_err)?,
        });
    }
    Ok(columns)
}
