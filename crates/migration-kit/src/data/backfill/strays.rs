//! Rows that a walk by blocks did not meet: unfinished when it came to its end.
//!
//! A walk by blocks meets every row, except one that the application updates meanwhile and that PostgreSQL then puts into
//! a block behind the walk. They are few, and are looked for in one snapshot, which no row can escape by moving; found
//! ones are filled in batches like any others. A row that moves again between the two is found by the next look.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use super::LIMITS;
use super::batches::{Shared, run_batch};
use super::cursor::Cursor;
use super::walk::{Position, Stretch};
use crate::data::patience::Patience;
use crate::session::{self, BOOKKEEPING, db_err, refusal};

/// The most rows of one look, which reads the whole table.
const MOST_ROWS: usize = 20_000;
/// The most rows of one batch.
const BATCH_ROWS: usize = 1_000;
/// How many looks in a row may find rows of which none is then changed or rejected: each had moved again.
const MOST_VAIN: u32 = 5;

/// Fills the rows for which `unfinished` holds, until there are none; the cursor as it then stands.
///
/// # Errors
/// [`DbErr::Migration`] if the statements leave rows unfinished; otherwise an error of the server.
pub(super) async fn fill(
    connection: &mut PgConnection,
    shared: &Shared<'_>,
    mut cursor: Cursor,
    unfinished: &str,
) -> Result<Cursor, DbErr> {
    let mut n_vain = 0;
    loop {
        let places = look(connection, shared, unfinished).await?;
        if places.is_empty() {
            return Ok(cursor);
        }
        if n_vain == MOST_VAIN {
            return Err(refusal(format!(
                "rows of `{}` stay unfinished: the backfill's statements do not change them",
                shared.table.name
            )));
        }
        let before = cursor.counted;
        for places in places.chunks(BATCH_ROWS) {
            cursor = batch(connection, shared, &cursor, places).await?;
        }
        let is_vain = (cursor.counted.changed, cursor.counted.rejected) == (before.changed, before.rejected);
        n_vain = if is_vain { n_vain + 1 } else { 0 };
    }
}

/// Where unfinished rows stand now.
async fn look(
    connection: &mut PgConnection,
    shared: &Shared<'_>,
    unfinished: &str,
) -> Result<Vec<String>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT source.ctid::text FROM {} AS source WHERE {unfinished} LIMIT {MOST_ROWS}",
        shared.table.qualified,
    );
    let rows = session::rows(connection, sql).await?;
    rows.iter().map(|row| row.try_get(0).map_err(db_err)).collect()
}

/// Runs the statements over the rows at these places, again until no other session is in the way.
async fn batch(
    connection: &mut PgConnection,
    shared: &Shared<'_>,
    cursor: &Cursor,
    places: &[String],
) -> Result<Cursor, DbErr> {
    let quoted: Vec<String> = places.iter().map(|place| format!("\"{place}\"")).collect();
    let condition = format!("source.ctid = ANY ('{{{}}}'::tid[])", quoted.join(","));
    let mut patience = Patience::new();
    loop {
        let stretch = Stretch {
            end: cursor.place.after.clone().unwrap_or(Position::Block(0)),
            condition: condition.clone(),
            n_rows: 0,
        };
        let tried = async {
            let tx = session::begin(connection, LIMITS).await?;
            run_batch(shared, tx, cursor, stretch).await
        };
        match tried.await {
            Ok(next) => return Ok(next),
            Err(error) => patience.wait(shared.online.origin(), &shared.table.name, error).await?,
        }
    }
}
