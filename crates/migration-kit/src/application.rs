//! How an application finds its service's tables.

use sea_orm::ConnectOptions;

use crate::quote_identifier;

/// Options for an application's connections: tables without a schema, as entities name them, are those of this schema and
/// of no other, whatever another team has in `public`. sea-orm's `set_schema_search_path` puts another schema in its place.
pub fn connect_options(url: impl Into<String>, schema: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options.set_schema_search_path(quote_identifier(schema));
    options
}
