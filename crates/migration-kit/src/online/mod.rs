//! Steps for migrations outside a transaction: each takes only short or weak locks, is idempotent and can be resumed.
//!
//! A migration that was killed runs again from its start: a step that finds its work done does nothing, one that finds
//! it half done completes it, and one that finds something else under its name refuses and says what it found.
//!
//! It does not decide what runs when and takes no migration lock: two runs at once are the coordinator's to prevent.

use sea_orm::sqlx::Postgres;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::PgPool;
use sea_orm::{ConnectionTrait, DatabaseExecutor, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;

use crate::event::Origin;
use crate::quote_identifier;
use crate::session::{self, BOOKKEEPING, refusal};

/// The online steps of one migration, over the pool that its [`SchemaManager`] uses.
#[derive(Debug, Clone)]
pub struct Online {
    pool: PgPool,
    origin: Origin,
    schema: String,
}

impl Online {
    /// The steps for a migration of a service; they work in the current schema of the manager's connection.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the manager is inside a transaction, is not PostgreSQL, or has no current schema;
    /// otherwise an error of the connection.
    pub async fn new(manager: &SchemaManager<'_>, service: &str, migration: &str) -> Result<Self, DbErr> {
        let DatabaseExecutor::Connection(db) = manager.get_connection() else {
            return Err(refusal(format!(
                "`{migration}` uses online steps, which cannot run inside a transaction: \
                 its `use_transaction` must return `Some(false)`"
            )));
        };
        if db.get_database_backend() != DbBackend::Postgres {
            return Err(refusal("online steps need PostgreSQL"));
        }
        let pool = db.get_postgres_connection_pool().clone();
        let mut connection = session::acquire(&pool).await?;
        let schema =
            session::value::<String>(&mut connection, format!("{BOOKKEEPING}SELECT current_schema()::text"))
                .await?
                .ok_or_else(|| refusal("the schema of `search_path` does not exist"))?;
        drop(connection);
        let origin = Origin { service: service.to_owned(), migration: migration.to_owned() };
        Ok(Self { pool, origin, schema })
    }

    /// The schema in which the steps work.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Whose steps these are.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The pool; a step acquires one connection of it, works and releases it.
    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// One connection for one step.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbErr> {
        session::acquire(&self.pool).await
    }

    /// The quoted, schema-qualified name of an object in the service's schema.
    pub(crate) fn qualified(&self, name: &str) -> String {
        format!("{}.{}", quote_identifier(&self.schema), quote_identifier(name))
    }
}
