//! Whether a service's sea-orm entities are the tables that its migrations make.
//!
//! The server makes the columns that the entities describe, beside those of the migrations, and says of both what types they
//! have; so its spelling of types cancels out. Keys, defaults and relations are not compared: an entity need not have them.

use migration_kit::{EntityTable, Service, quote_identifier};
use postgres_sandbox::Database;
use postgres_schema::{Properties, Schema};

use crate::RehearsalError;
use crate::drift;
use crate::sandbox::url;

/// The schema in which the server makes the columns of the entities.
pub(crate) const ENTITIES: &str = "entities of the service";

/// How the entities of a service differ from its tables, which are in this schema of a database of the rehearsal's own, one
/// sentence each:
///
/// - each column of an entity exists, with a type that is read and written in the same way, and takes null if the field does;
/// - each column that takes no null and has no default is in the entity, which could not insert a row otherwise.
///
/// # Errors
/// [`RehearsalError`]: the server does not make the columns, or cannot be asked.
pub async fn differing_entities(
    database: &Database,
    service: &Service,
    schema: &str,
) -> Result<Vec<String>, RehearsalError> {
    if service.entities().is_empty() {
        return Ok(Vec::new());
    }
    let aside = quote_identifier(ENTITIES);
    let columns: String =
        service.entities().iter().map(|entity| format!("{};\n", entity.columns_in(ENTITIES))).collect();
    database.psql(&format!(
        "CREATE SCHEMA {aside}; SET search_path = {}, public, extensions;\n{columns}",
        quote_identifier(schema)
    ))?;
    let database_url = url(database);
    let described = drift::read(&database_url, service.name(), ENTITIES).await?;
    let made = drift::read(&database_url, service.name(), schema).await?;
    database.psql(&format!("SET client_min_messages = warning; DROP SCHEMA {aside} CASCADE"))?;
    let of = |entity: &EntityTable| {
        let table = entity.name().to_owned();
        compare(&table, &described, &made).into_iter().map(move |says| format!("`{table}`: {says}"))
    };
    Ok(service.entities().iter().flat_map(of).collect())
}

/// What is wrong with the entity of a table, one sentence each.
fn compare(table: &str, described: &Schema, made: &Schema) -> Vec<String> {
    if made.columns(table).next().is_none() {
        return vec!["there is no such table".to_owned()];
    }
    let find = |schema: &Schema, name: &str| {
        schema.columns(table).find(|(column, _)| *column == name).map(|(_, properties)| properties.clone())
    };
    let mut differences = Vec::new();
    for (name, field) in described.columns(table) {
        let Some(column) = find(made, name) else {
            differences.push(format!("there is no column `{name}`"));
            continue;
        };
        let (described, made) = (property(field, "type"), property(&column, "type"));
        if kind(described) != kind(made) {
            differences.push(format!("`{name}` is of type {made}, and its field of {described}"));
        }
        match (takes_null(field), takes_null(&column)) {
            (true, false) => differences.push(format!("`{name}` takes no null, and its field does")),
            (false, true) => differences.push(format!("`{name}` takes null, and its field does not")),
            (true, true) | (false, false) => {}
        }
    }
    for (name, column) in made.columns(table) {
        let is_filled =
            ["default", "generated", "identity"].iter().any(|filled| column.contains_key(*filled));
        if find(described, name).is_none() && !takes_null(column) && !is_filled {
            differences.push(format!("`{name}` takes no null, has no default, and is no field"));
        }
    }
    differences
}

pub(crate) fn property<'p>(column: &'p Properties, name: &str) -> &'p str {
    column.get(name).map_or("", String::as_str)
}

pub(crate) fn takes_null(column: &Properties) -> bool {
    !column.contains_key("not null")
}

/// A type without its length and its schema, and under one name where the driver reads and writes several in the same way.
pub(crate) fn kind(written: &str) -> String {
    let (element, array) = written.split_once("[]").map_or((written, ""), |(element, _)| (element, "[]"));
    let mut name = element.to_owned();
    if let (Some(from), Some(to)) = (element.find('('), element.find(')')) {
        name.replace_range(from..=to, "");
    }
    let unqualified = name.rsplit_once('.').map_or(name.as_str(), |(_, name)| name);
    let name = match unqualified {
        "character varying" | "character" | "citext" | "name" => "text",
        "jsonb" => "json",
        other => other,
    };
    format!("{name}{array}")
}
