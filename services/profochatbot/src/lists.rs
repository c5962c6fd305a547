//! What the service's lists of indexes and foreign keys have in common, beyond the kit's.

use std::collections::BTreeSet;

use migration_kit::{Check, ForeignKey, Index, OnDelete, Online};
use sea_orm_migration::prelude::DbErr;

/// A foreign key whose rows are deleted together with the row to which they refer.
pub(crate) const fn cascading(
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    referenced: &'static str,
) -> ForeignKey {
    ForeignKey::new(name, table, columns, referenced).on_delete(OnDelete::Cascade)
}

/// Builds the indexes, then gathers statistics of their tables: columns that were added and filled have none, and later
/// steps ask by them.
pub(crate) async fn create_indexes(online: &Online, indexes: &[Index]) -> Result<(), DbErr> {
    online.create_indexes(indexes).await?;
    let tables: BTreeSet<&str> = indexes.iter().map(Index::table).collect();
    for table in tables {
        online.execute(&format!("ANALYZE {table}")).await?;
    }
    Ok(())
}

/// No row has, in these columns that an index gets together, more text than it takes: asked before the index is built, which
/// would fail with a number of bytes and no row. An index takes 2704 bytes; beside the texts it has two numbers at most.
pub(crate) fn fits_index(table: &str, key: &str, columns: &[&str]) -> Check {
    // Measured as it is stored: an index has long text compressed, as the table.
    let sizes: Vec<String> =
        columns.iter().map(|column| format!("COALESCE(pg_column_size({table}.{column}), 0)")).collect();
    Check::none(
        format!(
            "no row of `{table}` has more than 2600 bytes in {}, which an index does not take",
            columns.iter().map(|column| format!("`{column}`")).collect::<Vec<_>>().join(" and "),
        ),
        format!("SELECT {table}.{key} FROM {table} WHERE {} > 2600", sizes.join(" + ")),
    )
}
