//! Reading a schema from the server's catalogs.

use std::collections::BTreeMap;

use sqlx::{Connection, PgConnection, Row};

use crate::{Kind, Object, Properties, Schema};

/// Why a schema could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemaError {
    /// There is no schema of this name, or the role may not use it.
    #[error("there is no schema `{schema}`, or the role may not use it")]
    Missing {
        /// The schema.
        schema: String,
    },
    /// The server rejected a statement, or the connection was lost.
    #[error("the catalogs could not be read")]
    Query(#[from] sqlx::Error),
    /// The server described something that this version does not know.
    #[error("the catalogs have a kind of object that is not known: `{kind}`")]
    Kind {
        /// The kind.
        kind: String,
    },
}

impl SchemaError {
    /// Whether another transaction keeps a table locked, for longer than the session waits (`lock_not_available`).
    #[must_use]
    pub fn is_locked(&self) -> bool {
        let Self::Query(error) = self else { return false };
        error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("55P03")
    }
}

impl Schema {
    /// Reads a schema; inside a transaction, as that transaction sees it.
    ///
    /// # Errors
    /// [`SchemaError::Missing`] if the role sees no such schema, [`SchemaError::Query`] if a statement fails.
    pub async fn read(connection: &mut PgConnection, schema: &str) -> Result<Self, SchemaError> {
        let mut tx = connection.begin().await?;
        sqlx::query("SET TRANSACTION READ ONLY").execute(&mut *tx).await?;
        let schema = Self::read_within(&mut tx, schema).await?;
        tx.rollback().await?;
        Ok(schema)
    }

    /// Reads a schema in a transaction that was begun before. It puts the schema into that transaction's `search_path`.
    ///
    /// # Errors
    /// As [`Schema::read`].
    pub async fn read_within(connection: &mut PgConnection, schema: &str) -> Result<Self, SchemaError> {
        // With the schema first in the path, the server writes names in it without their schema.
        let path = "SELECT set_config('search_path', quote_ident($1) || ', pg_catalog', true), \
                    has_schema_privilege(oid, 'USAGE') FROM pg_catalog.pg_namespace WHERE nspname = $1";
        let usable = sqlx::query(path).bind(schema).fetch_optional(&mut *connection).await?;
        if !usable.map_or(Ok(false), |row| row.try_get(1))? {
            return Err(SchemaError::Missing { schema: schema.to_owned() });
        }
        let rows = sqlx::query(include_str!("catalog.sql")).bind(schema).fetch_all(&mut *connection).await?;
        let mut objects: BTreeMap<Object, Properties> = BTreeMap::new();
        for row in rows {
            let kind: String = row.try_get(0)?;
            let found = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
            let kind = found.ok_or(SchemaError::Kind { kind })?;
            let properties =
                objects.entry(Object { kind, parent: row.try_get(1)?, name: row.try_get(2)? }).or_default();
            if let (Some(property), Some(value)) = (row.try_get(3)?, row.try_get(4)?) {
                properties.insert(property, value);
            }
        }
        Ok(Self { objects })
    }
}
