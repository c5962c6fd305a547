//! Texts and names as parts of a statement: the one place of the kit that quotes.

/// Quotes a text as an SQL string literal; needs `standard_conforming_strings = on`, the default since 9.1.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quotes a name as an SQL identifier.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Schema and name as one SQL identifier.
#[must_use]
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(name))
}

/// The number of the relation of this quoted name, as an SQL expression; null if there is none.
pub(crate) fn regclass(quoted: &str) -> String {
    format!("to_regclass({})", literal(quoted))
}

/// Names, joined by commas, as an SQL expression in which the server quotes them as it does in definitions: only where it must.
///
/// Invariant: there is a name. An expression of none would be empty.
pub(crate) fn quoted_by_the_server(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("quote_ident({})", literal(name))).collect();
    quoted.join(" || ', ' || ")
}
