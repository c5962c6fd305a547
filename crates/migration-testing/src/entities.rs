//! Whether a service's sea-orm entities are the tables that its migrations make.
//!
//! The server makes the columns that the entities describe, beside those of the migrations, and says of both what types they
//! have; so its spelling of types cancels out. Keys, defaults and relations are not compared: an entity need not have them.

use std::fmt::Write;

use migration_kit::{Service, quote_identifier};
use postgres_schema::{Properties, Schema};
use sea_orm::sea_query::{PostgresQueryBuilder, Table};
use sea_orm::{DbBackend, EntityTrait, Iterable};

use crate::{Scratch, fail};

/// The schema in which the server makes the columns of the entities.
const ENTITIES: &str = "entities";

/// What an entity says of its table.
#[derive(Debug, Clone)]
pub struct EntityTable {
    table: String,
    create: String,
}

impl EntityTable {
    /// The table of an entity.
    pub fn of<E: EntityTrait>(entity: E) -> Self {
        let table = entity.table_name().to_owned();
        let mut create = Table::create();
        create.table((ENTITIES, table.clone()));
        let schema = sea_orm::Schema::new(DbBackend::Postgres);
        for column in E::Column::iter() {
            create.col(schema.get_column_def::<E>(column));
        }
        Self { table, create: create.to_string(PostgresQueryBuilder) }
    }
}

/// Compares entities with the tables that a service's migrations make, all of them applied:
///
/// - each column of an entity exists, with a type that is read and written in the same way, and takes null if the field does;
/// - each column that takes no null and has no default is in the entity, which could not insert a row otherwise.
///
/// # Panics
/// With each difference.
pub async fn conformance_of_entities(service: Service, entities: impl IntoIterator<Item = EntityTable>) {
    let scratch = Scratch::new(service).await;
    scratch.up_contract().await;
    scratch.execute(&format!("CREATE SCHEMA {}", quote_identifier(ENTITIES))).await;
    let entities: Vec<EntityTable> = entities.into_iter().collect();
    for entity in &entities {
        scratch.execute(&entity.create).await;
    }
    let mut connection = scratch.db().get_postgres_connection_pool().acquire().await;
    let connection = connection.as_mut().unwrap_or_else(|error| fail(error));
    let described = Schema::read(connection, ENTITIES).await.unwrap_or_else(|error| fail(&error));
    let made = scratch.schema().await;
    let mut differences = String::new();
    for EntityTable { table, .. } in &entities {
        for difference in compare(table, &described, &made) {
            writeln!(differences, "`{table}`: {difference}").expect("writing to a string cannot fail");
        }
    }
    assert!(differences.is_empty(), "the entities are not the tables at head:\n{differences}");
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

fn property<'p>(column: &'p Properties, name: &str) -> &'p str {
    column.get(name).map_or("", String::as_str)
}

fn takes_null(column: &Properties) -> bool {
    !column.contains_key("not null")
}

/// A type without its length and its schema, and under one name where the driver reads and writes several in the same way.
fn kind(written: &str) -> String {
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
