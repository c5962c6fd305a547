//! Unique constraints and primary keys, made from indexes that were built concurrently.

use sea_orm::DbErr;

use super::Online;
use super::check::same_definition;
use crate::quote::{quote_identifier, quoted_by_the_server};
use crate::session::{self, BOOKKEEPING, refusal};
use crate::table_lock::LockMode;

impl Online {
    /// Adds a unique constraint: its index is built concurrently under the constraint's name, then adopted.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if rows have the same values, another constraint or index has the name, the table is
    /// partitioned or a lock could not be acquired; otherwise the server's.
    pub async fn add_unique<C: Into<String>>(
        &self,
        table: &str,
        constraint: &str,
        columns: impl IntoIterator<Item = C>,
    ) -> Result<(), DbErr> {
        self.add_key("UNIQUE", table, constraint, columns.into_iter().map(Into::into).collect()).await
    }

    /// Adds a primary key: its columns are made not null, its index is built concurrently under the constraint's name,
    /// then adopted.
    ///
    /// # Errors
    /// As [`Online::add_unique`] and [`Online::set_not_null`].
    pub async fn add_primary_key<C: Into<String>>(
        &self,
        table: &str,
        constraint: &str,
        columns: impl IntoIterator<Item = C>,
    ) -> Result<(), DbErr> {
        let columns: Vec<String> = columns.into_iter().map(Into::into).collect();
        for column in &columns {
            self.set_not_null(table, column).await?;
        }
        self.add_key("PRIMARY KEY", table, constraint, columns).await
    }

    async fn add_key(
        &self,
        kind: &'static str,
        table: &str,
        constraint: &str,
        columns: Vec<String>,
    ) -> Result<(), DbErr> {
        if self.table(table).await?.is_partitioned {
            return Err(refusal(format!(
                "`{table}` is partitioned: PostgreSQL cannot adopt an index as its constraint; add the constraint \
                 when the table is created, or use a unique index"
            )));
        }
        if let Some(existing) = self.constraint(table, constraint).await? {
            let names = quoted_by_the_server(&columns);
            let expected = format!("{BOOKKEEPING}SELECT '{kind} (' || {names} || ')'");
            let expected: Option<String> = session::value(&mut *self.acquire().await?, expected).await?;
            return same_definition(table, constraint, &existing.definition, &expected.unwrap_or_default());
        }
        let quoted: Vec<String> = columns.iter().map(|column| quote_identifier(column)).collect();
        self.create_index(constraint, table, quoted).unique().run().await?;
        let name = quote_identifier(constraint);
        let sql =
            format!("ALTER TABLE {} ADD CONSTRAINT {name} {kind} USING INDEX {name}", self.qualified(table));
        self.briefly(vec![self.lock(table, LockMode::AccessExclusive)], vec![sql]).await
    }
}
