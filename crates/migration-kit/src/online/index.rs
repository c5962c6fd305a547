//! Indexes: built, rebuilt and dropped concurrently, and never taken for done by their name alone.
//!
//! A build that failed or was killed leaves an invalid index under the name; `IF NOT EXISTS` would accept it. Here the
//! catalog is asked: a valid index of the same definition is done, an invalid one is dropped and built again, unless
//! another session is still building it.

use std::time::Duration;

use sea_orm::DbErr;
use sea_orm::sqlx::Row;

use super::Online;
use crate::event;
use crate::session::{self, BOOKKEEPING, DEADLOCK_DETECTED, UNIQUE_VIOLATION, db_err, refusal, sqlstate};
use crate::table_lock::LockMode;
use crate::{literal, quote_identifier};

/// How often one looks whether another session has finished building the index.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often a build is begun anew after the server ended it to resolve a deadlock.
const BUILDS: u32 = 3;

/// What an index's definition says besides names, as SQL over `pg_index`: whether it is unique, and all from its access
/// method on.
const ESSENCE: &str = "SELECT CASE WHEN indisunique THEN 'UNIQUE ' ELSE '' END || substr(definition, \
     strpos(definition, ' USING ' || amname || ' (') + 1) FROM pg_index JOIN pg_class c ON c.oid = indexrelid \
     JOIN pg_am a ON a.oid = c.relam CROSS JOIN LATERAL pg_get_indexdef(indexrelid) AS definition WHERE ";

/// An index to be built; made by [`Online::create_index`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct CreateIndex<'a> {
    pub(super) online: &'a Online,
    pub(super) name: String,
    pub(super) table: String,
    columns: Vec<String>,
    unique: bool,
    method: String,
    filter: Option<String>,
}

/// An index as the catalog has it.
#[derive(Debug, Clone)]
pub(super) struct Existing {
    /// Name of its table.
    table: String,
    /// Valid and ready, for an index of a partitioned table: on all partitions.
    valid: bool,
    /// Belongs to a partitioned table.
    partitioned: bool,
    /// Another session is building it now.
    building: bool,
    /// What its definition says besides names.
    essence: String,
}

impl Online {
    /// Builds an index of a table while reading and writing continue. The same index under that name is fine; another is an
    /// error.
    ///
    /// Its columns are written in SQL: `user_id`, `created_at DESC`, `(lower(name))`, `content gin_trgm_ops`.
    pub fn create_index<C: Into<String>>(
        &self,
        name: &str,
        table: &str,
        columns: impl IntoIterator<Item = C>,
    ) -> CreateIndex<'_> {
        CreateIndex {
            online: self,
            name: name.to_owned(),
            table: table.to_owned(),
            columns: columns.into_iter().map(Into::into).collect(),
            unique: false,
            method: "btree".to_owned(),
            filter: None,
        }
    }

    /// Drops an index while reading and writing continue; its absence is fine.
    ///
    /// # Errors
    /// The server's; [`DbErr::Migration`] if a lock could not be acquired (only an index of a partitioned table needs one).
    pub async fn drop_index(&self, name: &str) -> Result<(), DbErr> {
        let Some(existing) = self.index(name).await? else { return Ok(()) };
        if existing.partitioned {
            let locks = vec![self.lock(&existing.table, LockMode::AccessExclusive)];
            return self.briefly(locks, vec![format!("DROP INDEX {}", self.qualified(name))]).await;
        }
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.qualified(name));
        session::execute_unlimited(&mut *self.acquire().await?, sql).await
    }

    /// Builds an index anew while reading and writing continue. What a rebuild that was killed left behind is dropped.
    ///
    /// The index of a partitioned table is refused: the server rebuilds those of its partitions one after the other, and
    /// what a killed one leaves behind would be on tables that nobody named.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if there is no such index, its table is partitioned, or it is not valid afterwards; otherwise
    /// the server's.
    pub async fn rebuild_index(&self, name: &str) -> Result<(), DbErr> {
        match self.index(name).await? {
            None => {
                return Err(refusal(format!("there is no index `{name}` in schema `{}`", self.schema)));
            }
            Some(Existing { partitioned: true, table, .. }) => {
                return Err(refusal(format!(
                    "index `{name}` belongs to the partitioned table `{table}`: rebuild the index of each of its \
                     partitions instead"
                )));
            }
            Some(_) => {}
        }
        self.drop_rebuild_leftovers(name).await?;
        event::index_building(&self.origin, name);
        let sql = format!("REINDEX INDEX CONCURRENTLY {}", self.qualified(name));
        let rebuilt = session::execute_unlimited(&mut *self.acquire().await?, sql).await;
        self.drop_rebuild_leftovers(name).await?;
        rebuilt?;
        self.assert_valid(name).await
    }

    pub(super) async fn index(&self, name: &str) -> Result<Option<Existing>, DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT t.relname::text AS on_table, i.indisvalid AND i.indisready AS valid, \
             c.relkind = 'I' AS partitioned, ({ESSENCE} indexrelid = i.indexrelid) AS essence, \
             EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid) AS building \
             FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid JOIN pg_class t ON t.oid = i.indrelid \
             WHERE c.oid = {}",
            self.regclass(name),
        );
        let rows = session::rows(&mut *self.acquire().await?, sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Existing {
            table: row.try_get("on_table").map_err(db_err)?,
            valid: row.try_get("valid").map_err(db_err)?,
            partitioned: row.try_get("partitioned").map_err(db_err)?,
            building: row.try_get("building").map_err(db_err)?,
            essence: row.try_get("essence").map_err(db_err)?,
        }))
    }

    pub(super) async fn assert_valid(&self, name: &str) -> Result<(), DbErr> {
        match self.index(name).await? {
            Some(index) if index.valid => Ok(()),
            _ => Err(refusal(format!("index `{name}` was built and is not valid"))),
        }
    }

    /// Drops the invalid indexes `…_ccnew` and `…_ccold` that an interrupted rebuild leaves; the server shortens their
    /// names to 63 bytes.
    async fn drop_rebuild_leftovers(&self, name: &str) -> Result<(), DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
             WHERE i.indrelid = (SELECT indrelid FROM pg_index WHERE indexrelid = {}) AND NOT i.indisvalid \
             AND c.relname ~ '_cc(new|old)[0-9]*$' \
             AND starts_with({}, regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '')) \
             AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)",
            self.regclass(name),
            literal(name),
        );
        let mut connection = self.acquire().await?;
        for row in session::rows(&mut connection, sql).await? {
            let leftover: String = row.try_get(0).map_err(db_err)?;
            let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.qualified(&leftover));
            session::execute_unlimited(&mut connection, sql).await?;
        }
        Ok(())
    }
}

impl CreateIndex<'_> {
    /// Makes the index unique.
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// The access method (default: `btree`).
    pub fn using(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// Only rows that satisfy this SQL condition are indexed.
    pub fn filter(mut self, condition: &str) -> Self {
        self.filter = Some(condition.to_owned());
        self
    }

    /// Builds the index, unless it is there and valid.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not exist, another index has the name, rows have the same values where the
    /// index is unique, or it is not valid after its build; otherwise the server's.
    pub async fn run(self) -> Result<(), DbErr> {
        if self.columns.is_empty() {
            return Err(refusal(format!("index `{}` has no columns", self.name)));
        }
        if self.online.table(&self.table).await?.is_partitioned {
            return self.build_on_partitions().await;
        }
        self.build_concurrently().await
    }

    pub(super) async fn build_concurrently(&self) -> Result<(), DbErr> {
        let Self { online, name, .. } = self;
        let mut n_builds = 0;
        let mut is_reported = false;
        loop {
            match online.index(name).await? {
                Some(existing) if existing.building => {
                    if !is_reported {
                        event::notice(&online.origin, &format!("another session is building index `{name}`"));
                        is_reported = true;
                    }
                    session::pause(&mut *online.acquire().await?, LOOK_EVERY).await?;
                    continue;
                }
                Some(existing) if existing.valid => return self.same_as(&existing).await,
                Some(existing) => {
                    self.same_table(&existing)?;
                    online.drop_index(name).await?;
                }
                None => {}
            }
            event::index_building(&online.origin, name);
            n_builds += 1;
            let sql = self.statement("CONCURRENTLY ", &online.qualified(&self.table));
            let built = session::execute_unlimited(&mut *online.acquire().await?, sql).await;
            match built {
                Ok(()) => return online.assert_valid(name).await,
                Err(error) => match sqlstate(&error).as_deref() {
                    Some(DEADLOCK_DETECTED) if n_builds < BUILDS => {}
                    Some(UNIQUE_VIOLATION) => {
                        online.drop_index(name).await?;
                        return Err(refusal(format!(
                            "unique index `{name}` on `{}` cannot be built: {}",
                            self.table,
                            session::server_message(&error)
                        )));
                    }
                    _ => return Err(error),
                },
            }
        }
    }

    /// The statement that builds the index; `mode` is `CONCURRENTLY ` or empty.
    pub(super) fn statement(&self, mode: &str, table: &str) -> String {
        format!(
            "CREATE {}INDEX {mode}{} ON {table} USING {} ({}){}",
            if self.unique { "UNIQUE " } else { "" },
            quote_identifier(&self.name),
            self.method,
            self.columns.join(", "),
            self.filter.as_ref().map_or_else(String::new, |filter| format!(" WHERE {filter}")),
        )
    }

    fn same_table(&self, existing: &Existing) -> Result<(), DbErr> {
        if existing.table == self.table {
            return Ok(());
        }
        Err(refusal(format!("index `{}` exists already, on table `{}`", self.name, existing.table)))
    }

    pub(super) async fn same_as(&self, existing: &Existing) -> Result<(), DbErr> {
        self.same_table(existing)?;
        let read = |copy: &str| format!("{ESSENCE} indrelid = '{copy}'::regclass");
        let expected = self.online.expected(&self.table, |copy| self.statement("", copy), read).await?;
        if existing.essence == expected {
            return Ok(());
        }
        Err(refusal(format!(
            "index `{}` exists already, with another definition: it is `{}`, not `{expected}`",
            self.name, existing.essence,
        )))
    }
}
