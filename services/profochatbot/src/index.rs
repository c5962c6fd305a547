//! Indexes that a phase adds, as data: built and dropped concurrently, and verified, from one list.

use std::collections::BTreeSet;

use migration_kit::{Check, Details, Online};
use sea_orm_migration::prelude::DbErr;

/// One index.
pub(crate) struct Index {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    filter: Option<&'static str>,
}

/// An index over all rows.
pub(crate) const fn index(
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
) -> Index {
    Index { name, table, columns, filter: None }
}

impl Index {
    /// Restricts the index to the rows that meet the condition.
    pub(crate) const fn filtered(mut self, condition: &'static str) -> Self {
        self.filter = Some(condition);
        self
    }
}

/// Builds the indexes, one after the other, then gathers statistics of their tables: columns that were added and filled
/// have none, and later steps ask by them.
pub(crate) async fn create(online: &Online, indexes: &[Index]) -> Result<(), DbErr> {
    for Index { name, table, columns, filter } in indexes {
        let index = online.create_index(name).on(table).columns(columns.iter().copied());
        match filter {
            Some(condition) => index.filter(condition).run().await?,
            None => index.run().await?,
        }
    }
    let tables: BTreeSet<&str> = indexes.iter().map(|index| index.table).collect();
    for table in tables {
        online.execute(&format!("ANALYZE {table}")).await?;
    }
    Ok(())
}

/// Drops the indexes, the last one first.
pub(crate) async fn drop(online: &Online, indexes: &[Index]) -> Result<(), DbErr> {
    for index in indexes.iter().rev() {
        online.drop_index(index.name).await?;
    }
    Ok(())
}

/// Adds to `details` that the indexes are valid.
pub(crate) fn verify(details: Details, indexes: &[Index]) -> Details {
    indexes.iter().fold(details, |details, index| details.verify(Check::index(index.name)))
}
