//! Columns that a phase adds to tables in use, as data: added, dropped and verified from one list.

use migration_kit::{Check, Details, Online};
use sea_orm_migration::prelude::DbErr;

/// What rows get that exist when the column is added, and what rows get that come later.
#[derive(Clone, Copy)]
pub(crate) enum Filled {
    /// Nothing, unless the application says otherwise.
    Null,
    /// This value, also in rows that exist: the column is NOT NULL and its default metadata-only.
    Always(&'static str),
    /// This value from now on. Rows that exist keep NULL: their time was never known, and it is not that of the migration.
    FromNowOn(&'static str),
}

/// One column of a table that exists.
pub(crate) struct Column {
    /// The table.
    pub(crate) table: &'static str,
    /// The column.
    pub(crate) name: &'static str,
    /// Its type, as `format_type` writes it.
    pub(crate) type_: &'static str,
    /// Its values.
    pub(crate) filled: Filled,
}

/// A column.
pub(crate) const fn column(
    table: &'static str,
    name: &'static str,
    type_: &'static str,
    filled: Filled,
) -> Column {
    Column { table, name, type_, filled }
}

/// Adds the columns, each for itself.
pub(crate) async fn add(online: &Online, columns: &[Column]) -> Result<(), DbErr> {
    for Column { table, name, type_, filled } in columns {
        let addition = online.add_column(table, name, type_);
        match filled {
            Filled::Null => addition.run().await?,
            Filled::Always(value) => addition.not_null().default(*value).run().await?,
            Filled::FromNowOn(value) => {
                addition.run().await?;
                online.set_default(table, name, value).await?;
            }
        }
    }
    Ok(())
}

/// Drops the columns, each for itself, the last one first.
pub(crate) async fn drop(online: &Online, columns: &[Column]) -> Result<(), DbErr> {
    for column in columns.iter().rev() {
        online.drop_column(column.table, column.name).await?;
    }
    Ok(())
}

/// Adds to `details` that the columns exist and have their type.
pub(crate) fn verify(details: Details, columns: &[Column]) -> Details {
    columns.iter().fold(details, |details, column| {
        let type_ = match column.filled {
            Filled::Always(_) => format!("{} not null", column.type_),
            Filled::Null | Filled::FromNowOn(_) => column.type_.to_owned(),
        };
        details.verify(Check::column(column.table, column.name, &type_))
    })
}
