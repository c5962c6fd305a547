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

/// Texts of the single-tenant application's rows that indexes get where they are: table, its key, columns of one index.
const INDEXED: [(&str, &str, &[&str]); 6] = [
    ("run", "run_id", &["course_id"]),
    ("course_element", "course_element_id", &["course_id", "element_type"]),
    ("courseparticipants", "courseparticipant_id", &["course_id", "username"]),
    ("conversation", "conversation_id", &["course_id", "element_id"]),
    ("conversation", "conversation_id", &["role"]),
    ("gen_settings", "id", &["s_key"]),
];

/// No row of these tables has more text than an index takes, in the columns that one gets together. Asked before the first row is
/// touched, and once more before the indexes are built, which would fail with a number of bytes and no row.
pub(crate) fn fit_indexes<'t>(tables: &'t [&'t str]) -> impl Iterator<Item = Check> + 't {
    INDEXED
        .iter()
        .filter(|(table, ..)| tables.contains(table))
        .map(|(table, key, columns)| fits_index(table, key, columns))
}

/// An index takes 2704 bytes; beside the texts it has two numbers at most.
fn fits_index(table: &str, key: &str, columns: &[&str]) -> Check {
    let named: Vec<String> = columns.iter().map(|column| format!("`{column}`")).collect();
    let named = named.join(" and ");
    Check::none(
        format!(
            "no row of `{table}` has more than 2600 bytes in {named}, which an index does not take: shorten it, or keep the row elsewhere"
        ),
        format!("SELECT {table}.{key} FROM {table} WHERE {}", is_too_long(table, columns)),
    )
}

/// The condition that the texts in these columns are too long for an index together, measured as they are stored: an index has
/// long text compressed, as the table.
pub(crate) fn is_too_long(table: &str, columns: &[&str]) -> String {
    let sizes: Vec<String> =
        columns.iter().map(|column| format!("COALESCE(pg_column_size({table}.{column}), 0)")).collect();
    format!("{} > 2600", sizes.join(" + "))
}
