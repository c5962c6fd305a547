//! What the service's lists of indexes and foreign keys have in common, beyond the kit's.

use std::collections::BTreeSet;

use migration_kit::{ForeignKey, Index, OnDelete, Online};
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
