//! Reading: a connection, and `READ ONLY` transactions in it that show one moment each, with every setting pinned.
//!
//! It writes nothing and takes no lock of ours. It may wait for a table lock of others, and then reports for whom; when patience is
//! over, the question fails.

use std::future::Future;
use std::time::Duration;

use migration_kit::bookkeeping;
use sea_orm::sqlx::postgres::{PgConnection, PgRow};
use sea_orm::sqlx::{self, Connection, Row};

use crate::connect_error::{ConnectError, is_locked};
use crate::database::DatabaseUrl;
use crate::event::{self, Blocker};
use crate::session::{self, TakeRow};
use crate::watch::watched;

/// How long a question waits for a lock of others unless its caller says otherwise: long enough for what changes a table in an instant,
/// and short enough for a command that only shows.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// How long further questions wait once patience is over: what is not locked is still read.
const BRIEFLY: Duration = Duration::from_millis(100);

/// A connection for reading: what it asks is asked in `READ ONLY` transactions, with every setting pinned that could change
/// an answer.
pub struct Reading<'u> {
    url: &'u DatabaseUrl,
    connection: PgConnection,
    pid: i32,
    version: String,
    /// Whether the database has Citus.
    has_citus: bool,
    /// Whether the transaction in which it was asked what answers is open, and nothing else was asked in it.
    is_begun: bool,
    /// How long a question waits for a lock of others.
    patience: Duration,
}

impl<'u> Reading<'u> {
    /// Connects, and begins the transaction in which the server says what it is; [`Self::begin`] then continues it. A question
    /// fails that would wait longer than ten seconds for a lock of others; those after it wait only for a moment.
    ///
    /// # Errors
    /// [`ConnectError`] if there is no connection, or not one to PostgreSQL, or to a worker of Citus.
    pub async fn open(url: &'u DatabaseUrl) -> Result<Self, ConnectError> {
        Self::open_within(url, PATIENCE).await
    }

    /// The same, which waits as long as this for a lock of others.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_within(url: &'u DatabaseUrl, patience: Duration) -> Result<Self, ConnectError> {
        let mut reading = Self::beside(url, patience).await?;
        match reading.begin_at(None).await {
            Ok((version, has_citus)) => {
                ConnectError::judge(url, &version)?;
                if has_citus {
                    let node = reading.rows(session::THIS_NODE).await;
                    session::judge_node(url, &node.map_err(|source| ConnectError::classify(url, source))?)?;
                }
                (reading.version, reading.has_citus) = (version, has_citus);
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
    pub(crate) async fn beside(url: &'u DatabaseUrl, patience: Duration) -> Result<Self, ConnectError> {
        let connection = session::connect_to_read(url).await?;
        Ok(Self {
            url,
            connection,
            pid: 0,
            version: String::new(),
            has_citus: false,
            is_begun: false,
            patience,
        })
    }

    /// Where it is connected.
    pub(crate) fn url(&self) -> &'u DatabaseUrl {
        self.url
    }

    /// How long a question waits for a lock of others.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// What the server called itself when it was connected to: `PostgreSQL 15.18 on x86_64…`; nothing if it did not say.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the database has Citus, and this is its coordinator.
    pub(crate) fn has_citus(&self) -> bool {
        self.has_citus
    }

    /// Begins a transaction; until it ends, all questions see the same.
    ///
    /// # Errors
    /// What the server says.
    pub async fn begin(&mut self) -> Result<(), sqlx::Error> {
        if !std::mem::take(&mut self.is_begun) {
            self.begin_at(None).await?;
        }
        Ok(())
    }

    /// The same, whose questions wait as long as this for a lock of others; but never less than a moment.
    pub(crate) async fn begin_within(&mut self, patience: Duration) -> Result<(), sqlx::Error> {
        self.patience = patience.max(BRIEFLY);
        self.begin().await
    }

    /// Begins a transaction that sees what the one sees that exported this snapshot; that one has to be open still. Gives what
    /// the server says of its version, and whether the database has Citus.
    pub(crate) async fn begin_at(&mut self, snapshot: Option<&str>) -> Result<(String, bool), sqlx::Error> {
        let begin = migration_kit::settings::begin_reading(snapshot, self.patience);
        let rows = session::rows(&mut self.connection, &begin).await?;
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        self.pid = row.try_get(0)?;
        Ok((row.try_get(1)?, row.try_get(2)?))
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
        let rows = self.ask(|connection| session::rows(connection, sql)).await;
        self.note_lock(rows)
    }

    /// Takes each of these rows as it arrives.
    pub(crate) async fn each_row(&mut self, sql: &str, take: impl TakeRow) -> Result<(), sqlx::Error> {
        let read = self.ask(|connection| session::each_row(connection, sql, take)).await;
        self.note_lock(read)
    }

    /// Further questions wait only for a moment once one has waited in vain.
    fn note_lock<T>(&mut self, answer: Result<T, sqlx::Error>) -> Result<T, sqlx::Error> {
        if answer.as_ref().is_err_and(is_locked) {
            self.patience = self.patience.min(BRIEFLY);
        }
        answer
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
