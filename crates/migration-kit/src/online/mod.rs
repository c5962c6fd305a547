//! Steps for migrations outside a transaction: each takes only short or weak locks, is idempotent and can be resumed.
//!
//! A migration that was killed runs again from its start: a step that finds its work done does nothing, one that finds
//! it half done completes it, and one that finds something else under its name refuses and says what it found.
//!
//! It does not decide what runs when and takes no migration lock: two runs at once are the coordinator's to prevent.

mod brief;
mod carry_over;
mod catalog;
mod check;
mod column;
mod foreign_key;
mod index;
mod lists;
mod migration;
mod partitioned_index;
mod trigger;
mod unique;

use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::postgres::PgPool;
use sea_orm::sqlx::{Postgres, Row};
use sea_orm::{DatabaseExecutor, DbBackend, DbErr};
use sea_orm_migration::SchemaManager;

pub use brief::Brief;
pub use carry_over::{Function, Trigger};
pub use check::AddCheck;
pub use column::AddColumn;
pub use foreign_key::{AddForeignKey, OnDelete};
pub use index::CreateIndex;
pub use lists::{Column, ForeignKey, Index};
pub use migration::OnlineMigration;
pub use trigger::CreateTrigger;

use crate::event::Origin;
use crate::nodes::{self, HAS_CITUS};
use crate::quote::{qualified, regclass};
use crate::session::{self, BOOKKEEPING, refusal};
use crate::table_lock::{self, LockMode, Locked, Policy, TableLock};

/// The online steps of one migration, over the pool that its [`SchemaManager`] uses.
#[derive(Debug, Clone)]
pub struct Online {
    pool: PgPool,
    origin: Origin,
    schema: String,
    policy: Policy,
    /// Whether the schema's tables are on another node.
    is_distributed: bool,
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
        let sql = format!("{BOOKKEEPING}SELECT current_schema()::text, {HAS_CITUS}");
        let found = session::rows(&mut connection, sql).await?;
        let found = found.first().ok_or_else(|| refusal("the server does not say where it works"))?;
        let schema: Option<String> = found.try_get(0).map_err(session::db_err)?;
        let schema = schema.ok_or_else(|| refusal("the schema of `search_path` does not exist"))?;
        let has_citus: bool = found.try_get(1).map_err(session::db_err)?;
        let is_distributed = has_citus
            && session::value(&mut connection, nodes::is_schema_distributed(&schema)).await? == Some(true);
        let policy = table_lock::policy_of_session(&mut connection).await?;
        drop(connection);
        let origin = Origin { service: service.to_owned(), migration: migration.to_owned() };
        Ok(Self { pool, origin, schema, policy, is_distributed })
    }

    /// Sets how patient the steps are with table locks, instead of what the session says
    /// ([`PATIENCE_SETTING`](crate::table_lock::PATIENCE_SETTING)).
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The schema in which the steps work.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// Runs one idempotent statement that takes no strong lock on an existing table: `CREATE TABLE IF NOT EXISTS`,
    /// `INSERT … ON CONFLICT DO NOTHING`. It runs in a transaction of its own, again while it meets a lock.
    ///
    /// # Errors
    /// The server's.
    pub async fn execute(&self, sql: &str) -> Result<(), DbErr> {
        let statements = vec![sql.to_owned()];
        self.run(Locked { locks: Vec::new(), references: Vec::new(), statements, limit: None }).await
    }

    /// Runs one query and gives the first column of its first row, which must be text; `None` without a row, or if it
    /// is null.
    ///
    /// # Errors
    /// The server's, or a value that is not text.
    pub async fn query_text(&self, sql: &str) -> Result<Option<String>, DbErr> {
        session::value(&mut *self.acquire().await?, sql).await
    }

    /// Whose steps these are.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// One connection for one step.
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, DbErr> {
        session::acquire(&self.pool).await
    }

    /// The quoted, schema-qualified name of an object in the service's schema.
    pub(crate) fn qualified(&self, name: &str) -> String {
        qualified(&self.schema, name)
    }

    /// The object identifier of a relation as an SQL expression; null if there is none.
    pub(crate) fn regclass(&self, name: &str) -> String {
        regclass(&self.qualified(name))
    }

    /// A lock on a table of the service.
    fn lock(&self, table: &str, mode: LockMode) -> TableLock {
        TableLock::new(&self.schema, table, mode)
    }

    /// Runs short statements in one transaction under strong locks.
    async fn briefly(&self, locks: Vec<TableLock>, statements: Vec<String>) -> Result<(), DbErr> {
        let limit = Some(self.policy.statement_limit);
        self.run(Locked { locks, references: Vec::new(), statements, limit }).await
    }

    async fn run(&self, locked: Locked) -> Result<(), DbErr> {
        // On the heap: steps are called from deep within a run, and a thread may have little stack.
        let mut connection = self.acquire().await?;
        Box::pin(locked.run(&mut connection, self.policy, &self.origin, self.is_distributed)).await
    }

    /// Runs one statement that takes no stronger lock than `SHARE UPDATE EXCLUSIVE`, as long as it takes: waiting in that
    /// mode blocks no reader and no writer. The coordinator reports what blocks it, from a second connection; under plain
    /// sea-orm nothing does.
    async fn unhurried(&self, sql: String) -> Result<(), DbErr> {
        let mut connection = self.acquire().await?;
        let limits = session::Limits { is_distributed: self.is_distributed, ..session::Limits::default() };
        let mut tx = session::begin(&mut connection, limits).await?;
        session::execute(&mut tx, sql).await?;
        tx.commit().await.map_err(session::db_err)
    }
}
