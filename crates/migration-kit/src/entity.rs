//! What a service's sea-orm entities say of its tables, as statements for a server to judge.

use sea_orm::sea_query::{PostgresQueryBuilder, Table};
use sea_orm::{DbBackend, EntityTrait, Iterable, Schema};

/// The table that an entity describes.
#[derive(Debug, Clone)]
pub struct EntityTable {
    table: String,
    create: fn(&str, &str) -> String,
}

impl EntityTable {
    /// The table of an entity.
    pub fn of<E: EntityTrait>(entity: E) -> Self {
        Self { table: entity.table_name().to_owned(), create: create::<E> }
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
}

fn create<E: EntityTrait>(schema: &str, table: &str) -> String {
    let mut create = Table::create();
    create.table((schema.to_owned(), table.to_owned()));
    let columns = Schema::new(DbBackend::Postgres);
    for column in E::Column::iter() {
        create.col(columns.get_column_def::<E>(column));
    }
    create.to_string(PostgresQueryBuilder)
}
