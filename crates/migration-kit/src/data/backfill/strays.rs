//! Rows that a walk by blocks did not meet: unfinished when it came to its end.
//!
//! A walk by blocks meets every row, except one that the application updates meanwhile and that PostgreSQL then puts into
//! a block behind the walk. Every such row is in the one snapshot that is looked at here, which none can escape by
//! moving; it is found again by its key, wherever it has moved since, and locked before it is filled. What becomes
//! unfinished after that moment is the application's doing, on rows that were seen: it is not looked at, so that this
//! ends whatever the application does.

use sea_orm::DbErr;
use sea_orm::sqlx::PgConnection;

use super::batches::{Shared, lock_rows, run_batch};
use super::cursor::Cursor;
use super::walk::{Position, Stretch, is_one_of, key_as_text};
use crate::data::patience::{BATCH_LIMITS, Patience};
use crate::session::{self, BOOKKEEPING, Limits, db_err, refusal};

/// The most rows of one batch.
const BATCH_ROWS: usize = 500;

/// Holds the keys of the rows on the server, past the transaction that has found them.
const CURSOR: &str = "migration_strays";

/// Fills the rows for which `unfinished` holds now; the cursor as it is then.
///
/// # Errors
/// [`DbErr::Migration`] if the statements leave rows unfinished; otherwise an error of the server.
pub(super) async fn fill(
    connection: &mut PgConnection,
    shared: &Shared<'_>,
    cursor: Cursor,
    unfinished: &str,
) -> Result<Cursor, DbErr> {
    look(connection, shared, unfinished).await?;
    let filled = fill_found(connection, shared, cursor, unfinished).await;
    let closed = session::execute(connection, format!("{BOOKKEEPING}CLOSE {CURSOR}")).await;
    let filled = filled?;
    closed?;
    Ok(filled)
}

/// Looks once, at one moment, for the keys of unfinished rows.
async fn look(connection: &mut PgConnection, shared: &Shared<'_>, unfinished: &str) -> Result<(), DbErr> {
    let sql = format!(
        "{BOOKKEEPING}DECLARE {CURSOR} NO SCROLL CURSOR WITH HOLD FOR SELECT {} FROM {} AS source WHERE {unfinished}",
        key_as_text(shared.key),
        shared.table.qualified,
    );
    let mut tx = session::begin(connection, shared.table.limits(Limits::default())).await?;
    session::execute(&mut tx, sql).await?;
    tx.commit().await.map_err(db_err)
}

async fn fill_found(
    connection: &mut PgConnection,
    shared: &Shared<'_>,
    mut cursor: Cursor,
    unfinished: &str,
) -> Result<Cursor, DbErr> {
    let fetch = format!("{BOOKKEEPING}FETCH {BATCH_ROWS} FROM {CURSOR}");
    loop {
        let rows = session::rows(connection, fetch.as_str()).await?;
        if rows.is_empty() {
            return Ok(cursor);
        }
        let condition = is_one_of(shared.key, &rows)?;
        cursor = batch(connection, shared, &cursor, &condition, unfinished).await?;
    }
}

/// Runs the statements over these rows, again until no other session blocks it.
///
/// The rows are locked first, so that all statements meet them as they are then, though each has a snapshot of its own: an
/// application that writes a row without pause cannot keep it from being filled.
async fn batch(
    connection: &mut PgConnection,
    shared: &Shared<'_>,
    cursor: &Cursor,
    condition: &str,
    unfinished: &str,
) -> Result<Cursor, DbErr> {
    let table = &shared.table.qualified;
    let is_left = format!(
        "{BOOKKEEPING}SELECT EXISTS (SELECT 1 FROM {table} AS source WHERE {condition} AND ({unfinished}))"
    );
    let mut patience = Patience::new();
    loop {
        let stretch = Stretch {
            end: cursor.place.after.clone().unwrap_or(Position::Block(0)),
            condition: condition.to_owned(),
            n_rows: 0,
        };
        let tried = async {
            let mut tx = session::begin(connection, shared.table.limits(BATCH_LIMITS)).await?;
            lock_rows(&mut tx, shared.table, shared.key, condition).await?;
            let next = run_batch(shared, &mut tx, cursor, stretch).await?;
            if session::value(&mut tx, is_left.as_str()).await? == Some(true) {
                return Err(refusal(format!(
                    "rows of `{}` stay unfinished: the backfill's statements do not change them",
                    shared.table.name
                )));
            }
            tx.commit().await.map_err(db_err)?;
            Ok(next)
        };
        match tried.await {
            Ok(next) => return Ok(next),
            Err(error) => {
                patience.wait(connection, shared.online.origin(), &shared.table.name, error).await?;
            }
        }
    }
}
