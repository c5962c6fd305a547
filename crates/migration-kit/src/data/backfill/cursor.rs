//! The durable cursor of a backfill: how far it has come, and what it counted, in `migration_backfill_<service>`.
//!
//! It is written in the transaction of the batch it records, so that a batch and its cursor are there together or not
//! at all. The table exists only while a backfill is open. It does not know what a batch does.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};
use serde::{Deserialize, Serialize};

use super::BackfillReport;
use super::walk::Position;
use crate::event::Origin;
use crate::quote::{literal, quote_identifier, regclass};
use crate::session::{self, BOOKKEEPING, Limits, db_err, refusal};
use crate::table_lock::{is_retryable, of_lock_statement};

/// How far a backfill has come.
#[derive(Debug, Clone)]
pub(super) struct Cursor {
    /// Where it is and where it ends.
    pub(super) place: Place,
    /// What it has counted, over all runs.
    pub(super) counted: BackfillReport,
}

/// Where a backfill is and where it ends; kept as `jsonb`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Identifies the statements and the walk: an edited backfill begins anew.
    pub(super) work: String,
    /// Everything up to here is done.
    pub(super) after: Option<Position>,
    /// It ends here, or with the table.
    pub(super) until: Option<Position>,
    /// Whether rows that were added behind its end while it ran are still to be looked at.
    pub(super) is_extensible: bool,
}

/// The cursor of one backfill.
#[derive(Debug)]
pub(super) struct Cursors {
    table: String,
    name: String,
    origin: Origin,
    backfilled: String,
}

impl Cursors {
    /// The cursor of the backfill of a table by a migration.
    pub(super) fn new(schema: &str, origin: &Origin, backfilled: &str) -> Self {
        let name = format!("migration_backfill_{}", origin.service);
        Self {
            table: crate::qualified(schema, &name),
            name,
            origin: origin.clone(),
            backfilled: backfilled.to_owned(),
        }
    }

    /// Makes the table of cursors if there is none.
    pub(super) async fn install(&self, connection: &mut PgConnection) -> Result<(), DbErr> {
        let is_there = format!("{BOOKKEEPING}SELECT {} IS NOT NULL", regclass(&self.table));
        if session::value::<bool>(connection, is_there).await? == Some(true) {
            return Ok(());
        }
        let sql = format!(
            "{BOOKKEEPING}CREATE TABLE IF NOT EXISTS {} (migration varchar NOT NULL, table_name text NOT NULL, \
             cursor jsonb NOT NULL, rows bigint NOT NULL, changed bigint NOT NULL, \
             rejected bigint NOT NULL, batches bigint NOT NULL, started_at timestamptz NOT NULL DEFAULT now(), \
             updated_at timestamptz NOT NULL DEFAULT now(), CONSTRAINT {} PRIMARY KEY (migration, table_name))",
            self.table,
            quote_identifier(&format!("{}_pkey", self.name)),
        );
        session::execute(connection, sql).await.map(drop)
    }

    /// What an earlier run of the same work left open, if there is anything.
    pub(super) async fn load(
        &self,
        connection: &mut PgConnection,
        work: &str,
    ) -> Result<Option<Cursor>, DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT cursor::text, rows, changed, rejected, batches FROM {} \
             WHERE {} AND cursor->>'work' = {}",
            self.table,
            self.mine(),
            literal(work),
        );
        let Some(row) = session::rows(connection, sql).await?.pop() else { return Ok(None) };
        let count = |index: usize| -> Result<u64, DbErr> {
            Ok(u64::try_from(row.try_get::<i64, _>(index).map_err(db_err)?).unwrap_or(0))
        };
        let place: String = row.try_get(0).map_err(db_err)?;
        // Written by another version of the kit: the work begins anew, as if it had been edited.
        let Ok(place) = serde_json::from_str(&place) else { return Ok(None) };
        let counted =
            BackfillReport { rows: count(1)?, changed: count(2)?, rejected: count(3)?, batches: count(4)? };
        Ok(Some(Cursor { place, counted }))
    }

    /// Writes the cursor of a backfill that begins, in place of that of any other work on the table.
    pub(super) async fn begin(&self, connection: &mut PgConnection, place: Place) -> Result<Cursor, DbErr> {
        let mut tx = session::begin(connection, Limits::default()).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}DELETE FROM {} WHERE {}", self.table, self.mine()))
            .await?;
        let sql = format!(
            "{BOOKKEEPING}INSERT INTO {} (migration, table_name, cursor, rows, changed, rejected, batches) \
             VALUES ({}, {}, {}, 0, 0, 0, 0)",
            self.table,
            literal(&self.origin.migration),
            literal(&self.backfilled),
            json(&place),
        );
        session::execute(&mut tx, sql).await?;
        tx.commit().await.map_err(db_err)?;
        Ok(Cursor { place, counted: BackfillReport::default() })
    }

    /// Moves the cursor on, in the transaction of the batch that it records. `before` is where it must be: another run
    /// that moved it meanwhile is noticed, and this batch then never happened.
    pub(super) async fn advance(
        &self,
        tx: &mut PgConnection,
        before: &Cursor,
        after: &Cursor,
    ) -> Result<(), DbErr> {
        let counted = &after.counted;
        let sql = format!(
            "{BOOKKEEPING}UPDATE {} SET cursor = {}, rows = {}, changed = {}, rejected = {}, batches = {}, \
             updated_at = now() WHERE {} AND cursor = {}",
            self.table,
            json(&after.place),
            counted.rows,
            counted.changed,
            counted.rejected,
            counted.batches,
            self.mine(),
            json(&before.place),
        );
        if session::execute(tx, sql).await? == 0 {
            return Err(refusal(format!(
                "another run of `{}` moves rows of `{}` at the same time",
                self.origin.migration, self.backfilled
            )));
        }
        Ok(())
    }

    /// Forgets the cursor of a backfill that is done, and drops their table if no other backfill is open.
    pub(super) async fn finish(&self, connection: &mut PgConnection) -> Result<(), DbErr> {
        session::execute(
            connection,
            format!("{BOOKKEEPING}DELETE FROM {} WHERE {}", self.table, self.mine()),
        )
        .await?;
        match self.drop_empty(connection).await {
            // A backup or a reader holds it: an empty table does no harm, and the next backfill drops it.
            Err(error) if is_retryable(&error) => Ok(()),
            done => done,
        }
    }

    async fn drop_empty(&self, connection: &mut PgConnection) -> Result<(), DbErr> {
        let mut tx = session::begin(connection, Limits::default()).await?;
        let lock = format!("{BOOKKEEPING}LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT", self.table);
        session::execute(&mut tx, lock).await.map_err(of_lock_statement)?;
        let is_used = format!("{BOOKKEEPING}SELECT EXISTS (SELECT 1 FROM {})", self.table);
        if session::value::<bool>(&mut tx, is_used).await? == Some(false) {
            session::execute(&mut tx, format!("{BOOKKEEPING}DROP TABLE {}", self.table)).await?;
        }
        tx.commit().await.map_err(db_err)
    }

    /// Identifies work: the same text gives the same short name.
    pub(super) async fn identify(connection: &mut PgConnection, text: &str) -> Result<String, DbErr> {
        let sql = format!("{BOOKKEEPING}SELECT to_hex(hashtextextended({}, 0))", literal(text));
        Ok(session::value(connection, sql).await?.unwrap_or_default())
    }

    fn mine(&self) -> String {
        format!(
            "migration = {} AND table_name = {}",
            literal(&self.origin.migration),
            literal(&self.backfilled)
        )
    }
}

fn json(place: &Place) -> String {
    let text = serde_json::to_string(place).expect("a place is made of strings and numbers");
    format!("{}::jsonb", literal(&text))
}
