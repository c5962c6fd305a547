//! Reading: a connection, and `READ ONLY` transactions in it that show one moment each, with every setting pinned.
//!
//! It writes nothing and takes no lock of ours. It may wait for a table lock of others, and then reports for whom.

use std::future::Future;
use std::time::Duration;

use migration_kit::{BOOKKEEPING, bookkeeping};
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, Connection, Row};

use crate::connect_error::ConnectError;
use crate::database::DatabaseUrl;
use crate::event::{self, Blocker};
use crate::session;
use crate::watch::watched;

/// A connection for reading: what it asks is asked in `READ ONLY` transactions, with every setting pinned that could change
/// an answer.
pub struct Reading<'u> {
    url: &'u DatabaseUrl,
    connection: PgConnection,
    pid: i32,
    version: String,
    /// Whether the transaction in which it was asked what answers is open, and nothing else was asked in it.
    is_begun: bool,
    /// How long a question waits for a lock of others; `None` as long as it takes.
    patience: Option<Duration>,
}

impl<'u> Reading<'u> {
    /// Connects, and begins the transaction in which the server says what it is; [`Self::begin`] then continues it.
    ///
    /// # Errors
    /// [`ConnectError`] if there is no connection, or not one to PostgreSQL.
    pub async fn open(url: &'u DatabaseUrl) -> Result<Self, ConnectError> {
        let mut reading = Self::beside(url).await?;
        match reading.begin_at(None).await {
            Ok(version) => {
                ConnectError::judge(url, &version)?;
                reading.version = version;
                reading.is_begun = true;
            }
            Err(error) => {
                // A pooler of statements ends the connection after it has said so: nothing more can be asked.
                if let Some(proxied) = ConnectError::of_proxy(url, &error) {
                    return Err(proxied);
                }
                // Another engine may not know our settings. Where it is PostgreSQL, beginning fails again, with the reason.
                reading.end().await;
                session::judge_engine(url, &mut reading.connection).await?;
            }
        }
        Ok(reading)
    }

    /// One more connection to the same server.
    pub(crate) async fn beside(url: &'u DatabaseUrl) -> Result<Self, ConnectError> {
        let connection = session::connect_to_read(url).await?;
        Ok(Self { url, connection, pid: 0, version: String::new(), is_begun: false, patience: None })
    }

    /// The same, whose questions fail where they would wait longer than this for a lock of others.
    pub(crate) fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Where it is connected.
    pub(crate) fn url(&self) -> &'u DatabaseUrl {
        self.url
    }

    /// What the server called itself when it was connected to: `PostgreSQL 15.18 on x86_64…`; nothing if it did not say.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Begins a transaction; until it ends, all questions see the same.
    ///
    /// # Errors
    /// What the server says.
    pub async fn begin(&mut self) -> Result<(), sqlx::Error> {
        if !std::mem::take(&mut self.is_begun) {
            self.begin_at(None).await?;
        }
        if let Some(patience) = self.patience {
            let limit = format!("{BOOKKEEPING}SET LOCAL lock_timeout = {}", patience.as_millis().max(1));
            session::rows(&mut self.connection, &limit).await?;
        }
        Ok(())
    }

    /// Begins a transaction that sees what the one sees that exported this snapshot; that one has to be open still. Gives what
    /// the server says of its version.
    pub(crate) async fn begin_at(&mut self, snapshot: Option<&str>) -> Result<String, sqlx::Error> {
        let begin = migration_kit::settings::begin_reading(snapshot);
        let rows = session::rows(&mut self.connection, &begin).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        self.pid = row.try_get(0)?;
        row.try_get(1)
    }

    /// Lets other sessions see what this one sees, for as long as its transaction is open.
    pub(crate) async fn export(&mut self) -> Result<String, sqlx::Error> {
        let rows = self.rows(bookkeeping!("SELECT pg_catalog.pg_export_snapshot()")).await?;
        rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)
    }

    /// Ends the transaction. Nothing was written, so how it ends changes nothing; a connection that is lost will say so at
    /// the next question.
    pub(crate) async fn end(&mut self) {
        self.is_begun = false;
        drop(session::rows(&mut self.connection, bookkeeping!("ROLLBACK")).await);
    }

    /// Rows of one question.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
        self.ask(|connection| session::rows(connection, sql)).await
    }

    /// Asks by a function of another module, and reports meanwhile what it waits for.
    pub async fn ask<'c, T, F: Future<Output = T> + 'c>(
        &'c mut self,
        question: impl FnOnce(&'c mut PgConnection) -> F,
    ) -> T {
        let (url, pid) = (self.url, self.pid);
        let report = |blocker: &Blocker, waited| event::reading_waiting(url, blocker, waited);
        watched(url, pid, report, question(&mut self.connection)).await
    }

    /// Ends the connection. The answers are complete; how it ends changes nothing.
    pub async fn close(self) {
        drop(self.connection.close().await);
    }
}
