//! Single statements: short ones under a strong lock, and those whose lock is weak by nature.

use sea_orm::DbErr;

use super::Online;
use crate::session::{self, BOOKKEEPING};
use crate::table_lock::{LockMode, TableLock};
use crate::{literal, quote_identifier};

/// One short statement under strong locks; made by [`Online::brief`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct Brief<'a> {
    online: &'a Online,
    sql: String,
    locks: Vec<TableLock>,
    unless: Option<String>,
}

impl Online {
    /// One statement that needs a strong lock for an instant. It waits for the lock without making other sessions wait, and is
    /// cancelled if it turns out not to be brief.
    pub fn brief(&self, sql: impl Into<String>) -> Brief<'_> {
        Brief { online: self, sql: sql.into(), locks: Vec::new(), unless: None }
    }

    /// Adds a value to an enum type, unless it has it. It can be used only after the migration's own step, never in
    /// the same transaction (`unsafe use of new value`).
    ///
    /// # Errors
    /// The server's.
    pub async fn add_enum_value(&self, enum_type: &str, value: &str) -> Result<(), DbErr> {
        let sql =
            format!("ALTER TYPE {} ADD VALUE IF NOT EXISTS {}", self.qualified(enum_type), literal(value));
        session::execute(&mut *self.acquire().await?, sql).await.map(drop)
    }

    /// Sets storage parameters of a table, such as `autovacuum_vacuum_scale_factor`. It takes no stronger lock than
    /// `SHARE UPDATE EXCLUSIVE`: reading and writing continue.
    ///
    /// # Errors
    /// The server's.
    pub async fn set_storage<'p>(
        &self,
        table: &str,
        parameters: impl IntoIterator<Item = (&'p str, &'p str)>,
    ) -> Result<(), DbErr> {
        let parameters: Vec<String> =
            parameters.into_iter().map(|(name, value)| format!("{name} = {}", literal(value))).collect();
        let sql = format!("ALTER TABLE {} SET ({})", self.qualified(table), parameters.join(", "));
        self.unhurried(sql).await
    }

    /// Sets storage parameters of a table back to what holds for all tables.
    ///
    /// # Errors
    /// The server's.
    pub async fn reset_storage<'p>(
        &self,
        table: &str,
        parameters: impl IntoIterator<Item = &'p str>,
    ) -> Result<(), DbErr> {
        let parameters: Vec<&str> = parameters.into_iter().collect();
        let sql = format!("ALTER TABLE {} RESET ({})", self.qualified(table), parameters.join(", "));
        self.unhurried(sql).await
    }

    /// Quoted column names, joined by commas.
    pub(super) fn column_list(columns: &[String]) -> String {
        columns.iter().map(|column| quote_identifier(column)).collect::<Vec<_>>().join(", ")
    }
}

impl Brief<'_> {
    /// Names a table of the service that the statement locks, and how. Give every one: those that are not given are
    /// waited for in the queue, for as long as the stall budget allows.
    pub fn locking(mut self, table: &str, mode: LockMode) -> Self {
        self.locks.push(self.online.lock(table, mode));
        self
    }

    /// Gives a query of one boolean that is true when the statement's work is done already.
    pub fn unless(mut self, query: impl Into<String>) -> Self {
        self.unless = Some(query.into());
        self
    }

    /// Runs the statement, unless its work is done.
    ///
    /// # Errors
    /// The server's; [`DbErr::Migration`] naming the blocker if a lock could not be acquired.
    pub async fn run(self) -> Result<(), DbErr> {
        if let Some(query) = self.unless {
            let done: Option<bool> =
                session::value(&mut *self.online.acquire().await?, format!("{BOOKKEEPING}{query}")).await?;
            if done == Some(true) {
                return Ok(());
            }
        }
        self.online.briefly(self.locks, vec![self.sql]).await
    }
}
