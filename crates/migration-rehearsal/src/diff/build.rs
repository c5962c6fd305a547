//! The two schemas that are compared, in one database: what migrations made, and beside it what the entities describe.

use std::collections::BTreeMap;

use migration_kit::{EntityDefinition, Service, quote_identifier};
use postgres_sandbox::{Database, SandboxError};
use postgres_schema::{Kind, Object, Schema};

use super::ColumnName;
use super::change::{EntityChange, EntityDifference};
use crate::RehearsalError;
use crate::drift::{self, read_and_align};
use crate::entities::ENTITIES;
use crate::sandbox::url;

/// Both schemas.
pub(super) struct Built {
    /// The entities, in the order of the service.
    pub(super) entities: Vec<Entity>,
    /// What migrations made, with the columns that entities renamed under their new names.
    pub(super) made: Schema,
    /// What the entities describe, with the service's own names written without a schema as there.
    pub(super) described: Schema,
    /// The columns that entities renamed.
    pub(super) renamed: Vec<EntityDifference>,
}

/// A table, and its columns in the order of the entity.
pub(super) struct Entity {
    pub(super) table: String,
    pub(super) columns: Vec<String>,
}

/// Builds the entities of a service beside its tables, which are in this schema of the database.
pub(super) async fn build(
    database: &Database,
    service: &Service,
    schema: &str,
    chosen: &BTreeMap<ColumnName, String>,
) -> Result<Built, RehearsalError> {
    let definitions: Vec<(&str, EntityDefinition)> =
        service.entities().iter().map(|entity| (entity.name(), entity.definition_in(ENTITIES))).collect();
    let renamed = rename(database, (service, schema), &definitions, chosen).await?;
    let aside = quote_identifier(ENTITIES);
    database.psql(&format!("CREATE SCHEMA {aside}"))?;
    let path = format!("SET search_path = {aside}, {}, public, extensions;\n", quote_identifier(schema));
    let run = |table: &str, statements: &[&String]| {
        let sql = statements.iter().fold(path.clone(), |sql, statement| sql + statement + ";\n");
        database.psql(&sql).map(drop).map_err(|source| match source {
            SandboxError::Failed { .. } => {
                RehearsalError::Entity { service: service.name().clone(), table: table.to_owned(), source }
            }
            other => other.into(),
        })
    };
    // Several entities may have columns of one enum type.
    let mut types: Vec<&String> = Vec::new();
    for (table, definition) in &definitions {
        let new: Vec<&String> = definition.types.iter().filter(|create| !types.contains(create)).collect();
        types.extend(&new);
        let all = new.into_iter().chain([&definition.table]).chain(&definition.indexes);
        run(table, &all.collect::<Vec<_>>())?;
    }
    // When all tables are there. What refers to a table of another service is that service's name for it, not a key.
    for (table, definition) in &definitions {
        let is_own = |referenced: &str| definitions.iter().any(|(table, _)| *table == referenced);
        let keys = definition.foreign_keys.iter().filter(|key| is_own(&key.referenced));
        run(table, &keys.map(|key| &key.create).collect::<Vec<_>>())?;
    }
    let database_url = url(database);
    let described = drift::read(&database_url, service.name(), ENTITIES).await?;
    let described = unqualified(described, schema).retain(|object| object.kind != Kind::Schema);
    let (made, described) = read_and_align(&database_url, (service.name(), schema), described).await?;
    database.psql(&format!("SET client_min_messages = warning; DROP SCHEMA {aside} CASCADE"))?;
    let entity = |(table, definition): (&str, EntityDefinition)| Entity {
        table: table.to_owned(),
        columns: definition.columns.into_iter().map(|column| column.name).collect(),
    };
    Ok(Built { entities: definitions.into_iter().map(entity).collect(), made, described, renamed })
}

/// Gives columns the names that the entities say, or that were chosen, where they have their earlier ones.
async fn rename(
    database: &Database,
    (service, schema): (&Service, &str),
    definitions: &[(&str, EntityDefinition)],
    chosen: &BTreeMap<ColumnName, String>,
) -> Result<Vec<EntityDifference>, RehearsalError> {
    let made = drift::read(&url(database), service.name(), schema).await?;
    let mut renamed = Vec::new();
    for (table, definition) in definitions {
        for column in &definition.columns {
            let is_it = |((of, _), name): &(&ColumnName, &String)| of == table && **name == column.name;
            let chosen = chosen.iter().find(is_it).map(|((_, earlier), _)| earlier);
            let Some(earlier) = chosen.or(column.renamed_from.as_ref()) else { continue };
            let of = |name: &str| Object {
                kind: Kind::Column,
                parent: Some((*table).to_owned()),
                name: name.to_owned(),
            };
            let is_field = definition.columns.iter().any(|column| column.name == *earlier);
            if is_field || made.get(&of(earlier)).is_none() || made.get(&of(&column.name)).is_some() {
                continue;
            }
            database.psql(&format!(
                "ALTER TABLE {} RENAME COLUMN {} TO {}",
                migration_kit::qualified(schema, table),
                quote_identifier(earlier),
                quote_identifier(&column.name)
            ))?;
            let change = EntityChange::Renamed { to: column.name.clone() };
            renamed.push(EntityDifference { object: of(earlier), change });
        }
    }
    Ok(renamed)
}

/// What is of the service's schema, written as in that schema.
fn unqualified(described: Schema, schema: &str) -> Schema {
    let prefixes = [format!("{}.", quote_identifier(schema)), format!("{schema}.")];
    let objects: Vec<_> =
        described.objects().map(|(object, properties)| (object.clone(), properties.clone())).collect();
    objects.into_iter().fold(described, |described, (object, mut properties)| {
        for (property, value) in &mut properties {
            for prefix in &prefixes {
                match property.as_str() {
                    "type" if value.starts_with(prefix.as_str()) => *value = value[prefix.len()..].to_owned(),
                    "default" => *value = value.replace(&format!("::{prefix}"), "::"),
                    _ => {}
                }
            }
        }
        described.with(object, properties)
    })
}
