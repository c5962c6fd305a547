//! What is in a table, so short that two places or two moments can be compared.

/// Asks how many rows a table has, as `int8`, and for the sum of a hash of each, as text: the same for the same rows in whatever order,
/// and another if one is there twice. `table` is its name as SQL has it. What is compared has to write values as text the same way.
#[must_use]
pub fn contents_question(table: &str) -> String {
    format!(
        "SELECT count(*), coalesce(sum(pg_catalog.hashtextextended((whole.*)::text, 0)::numeric), 0)::text FROM {table} AS whole"
    )
}
