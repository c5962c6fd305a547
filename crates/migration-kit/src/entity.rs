//! What a service's sea-orm entities say of its tables, as statements for a server to judge.

use sea_orm::sea_query::{
    ColumnDef, ForeignKeyAction, Index, IndexCreateStatement, PostgresQueryBuilder, Table,
    TableCreateStatement, TableName, TableRef,
};
use sea_orm::{DbBackend, EntityTrait, Iterable, PrimaryKeyToColumn, RelationTrait, Schema};

use crate::{qualified, quote_identifier};

/// The table that an entity describes.
#[derive(Debug, Clone)]
pub struct EntityTable {
    table: String,
    create: fn(&str, &str) -> String,
    definition: fn(&str, &str) -> EntityDefinition,
}

/// All that an entity says of its table, as statements that make it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityDefinition {
    /// Makes each enum type that a column is of. Its name is without a schema.
    pub types: Vec<String>,
    /// Makes the table with its columns, their defaults, unique columns and the primary key.
    pub table: String,
    /// Makes the indexes, those of keys over several columns included.
    pub indexes: Vec<String>,
    /// The foreign keys of its relations.
    pub foreign_keys: Vec<EntityForeignKey>,
    /// The columns in the order of the entity.
    pub columns: Vec<EntityColumn>,
}

/// A foreign key of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityForeignKey {
    /// The table to which it refers.
    pub referenced: String,
    /// Makes it.
    pub create: String,
}

/// A column of an entity.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntityColumn {
    /// Its name.
    pub name: String,
    /// The name that it had before, if the entity says so: `renamed_from`.
    pub renamed_from: Option<String>,
}

impl EntityTable {
    /// The table of an entity.
    pub fn of<E: EntityTrait>(entity: E) -> Self {
        Self { table: entity.table_name().to_owned(), create: create::<E>, definition: definition::<E> }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.table
    }

    /// A statement that makes a table with the entity's columns, and nothing else, in this schema. Enums are the service's.
    #[must_use]
    pub fn columns_in(&self, schema: &str) -> String {
        (self.create)(schema, &self.table)
    }

    /// All that the entity says, as statements that make it in this schema, which is the first in `search_path`.
    #[must_use]
    pub fn definition_in(&self, schema: &str) -> EntityDefinition {
        (self.definition)(schema, &self.table)
    }
}

fn create<E: EntityTrait>(schema: &str, table: &str) -> String {
    with_columns::<E>(schema, table).to_string(PostgresQueryBuilder)
}

fn with_columns<E: EntityTrait>(schema: &str, table: &str) -> TableCreateStatement {
    let mut create = Table::create();
    create.table((schema.to_owned(), table.to_owned()));
    for mut column in columns::<E>() {
        create.col(&mut column);
    }
    create
}

fn columns<E: EntityTrait>() -> impl Iterator<Item = ColumnDef> {
    let schema = Schema::new(DbBackend::Postgres);
    E::Column::iter().map(move |column| schema.get_column_def::<E>(column))
}

fn definition<E: EntityTrait>(schema: &str, table: &str) -> EntityDefinition {
    let described = Schema::new(DbBackend::Postgres);
    let types = described.create_enum_from_entity(E::default());
    let mut create = with_columns::<E>(schema, table);
    // A key of one column is part of that column.
    if E::PrimaryKey::iter().count() > 1 {
        let mut key = Index::create();
        for column in E::PrimaryKey::iter() {
            key.col(column.into_column());
        }
        create.primary_key(key.primary());
    }
    let index = |mut index: IndexCreateStatement| {
        index.table((schema.to_owned(), table.to_owned())).to_string(PostgresQueryBuilder)
    };
    EntityDefinition {
        types: types.iter().map(|create| create.to_string(PostgresQueryBuilder)).collect(),
        table: create.to_string(PostgresQueryBuilder),
        indexes: described.create_index_from_entity(E::default()).into_iter().map(index).collect(),
        foreign_keys: foreign_keys::<E>(schema, table),
        columns: columns::<E>().map(|column| named(&column)).collect(),
    }
}

fn foreign_keys<E: EntityTrait>(schema: &str, table: &str) -> Vec<EntityForeignKey> {
    let relations = E::Relation::iter().map(|relation| relation.def());
    // The other side of a relation has the key, or nobody.
    let keys = relations.filter(|relation| !relation.is_owner && !relation.skip_fk);
    let key = |relation: sea_orm::RelationDef| {
        let TableRef::Table(TableName(_, referenced), _) = &relation.to_tbl else { return None };
        let referenced = referenced.to_string();
        let list = |columns: &sea_orm::Identity| {
            columns.iter().map(|column| quote_identifier(&column.to_string())).collect::<Vec<_>>().join(", ")
        };
        let action = |on: &str, action: &Option<ForeignKeyAction>| {
            action.as_ref().map(|action| format!(" ON {on} {}", sql_of(action))).unwrap_or_default()
        };
        let create = format!(
            "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({}){}{}",
            qualified(schema, table),
            list(&relation.from_col),
            quote_identifier(&referenced),
            list(&relation.to_col),
            action("UPDATE", &relation.on_update),
            action("DELETE", &relation.on_delete),
        );
        Some(EntityForeignKey { referenced, create })
    };
    keys.filter_map(key).collect()
}

fn sql_of(action: &ForeignKeyAction) -> &'static str {
    match action {
        ForeignKeyAction::Restrict => "RESTRICT",
        ForeignKeyAction::Cascade => "CASCADE",
        ForeignKeyAction::SetNull => "SET NULL",
        ForeignKeyAction::SetDefault => "SET DEFAULT",
        // PostgreSQL has no other.
        _ => "NO ACTION",
    }
}

/// sea-orm gives the earlier name at the end of the comment.
fn named(column: &ColumnDef) -> EntityColumn {
    let comment = column.get_column_spec().comment.as_deref().unwrap_or_default();
    let earlier = comment.rsplit_once("renamed_from \"").and_then(|(_, rest)| rest.strip_suffix('"'));
    EntityColumn { name: column.get_column_name(), renamed_from: earlier.map(str::to_owned) }
}
