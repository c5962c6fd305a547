//! One batch of a move, in one transaction: rows that would take others along are refused.

use migration_plan::counted;
use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use super::TEXT_FORM;
use crate::data::patience::BATCH_LIMITS;
use crate::session::{self, BOOKKEEPING, db_err, refusal};
use crate::table::{Column, Table};

/// A foreign key that would delete or change rows of another table along with those that are moved.
pub(super) struct Dependent {
    constraint: String,
    table: String,
    /// Whether a row of the other table, `dependent`, refers to `source`.
    condition: String,
}

/// The table that rows leave.
pub(super) struct Source {
    pub(super) table: Table,
    /// Its primary key; empty if there is none.
    pub(super) key: Vec<Column>,
    pub(super) columns: Vec<Column>,
    pub(super) dependents: Vec<Dependent>,
}

/// What one batch runs.
pub(super) struct Batch<'a> {
    pub(super) lock: String,
    pub(super) move_: String,
    pub(super) any_left: String,
    /// Which rows leave, as a condition over `source`.
    pub(super) rows: String,
    pub(super) source: &'a Source,
}

impl Batch<'_> {
    /// Moves one batch, its statement marked so for a trace; the number of rows.
    pub(super) async fn run(&self, connection: &mut PgConnection, mark: &str) -> Result<u64, DbErr> {
        let mut tx = session::begin(connection, self.source.table.limits(BATCH_LIMITS)).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{TEXT_FORM}")).await?;
        if !self.source.dependents.is_empty() {
            // Locked rows get no new references until the end of the transaction.
            session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.lock)).await?;
            for dependent in &self.source.dependents {
                self.check(&mut tx, dependent).await?;
            }
        }
        let n_moved = session::execute(&mut tx, format!("{mark}{}", self.move_)).await?;
        tx.commit().await.map_err(db_err)?;
        Ok(n_moved)
    }

    /// Moves one batch of rows that are locked first, so that each statement meets them as they are then: an application that
    /// writes a row without pause cannot keep it. The number of rows, and whether one stayed; then nothing is moved.
    pub(super) async fn run_locked(&self, connection: &mut PgConnection) -> Result<(u64, bool), DbErr> {
        let mut tx = session::begin(connection, self.source.table.limits(BATCH_LIMITS)).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{TEXT_FORM}")).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.lock)).await?;
        for dependent in &self.source.dependents {
            self.check(&mut tx, dependent).await?;
        }
        let n_moved = session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.move_)).await?;
        if session::value(&mut tx, format!("{BOOKKEEPING}{}", self.any_left)).await? == Some(true) {
            return Ok((n_moved, true));
        }
        tx.commit().await.map_err(db_err)?;
        Ok((n_moved, false))
    }

    /// Moves all rows, locked first, by the statement for all of them; the number of rows, or `None` if one of them stayed: then
    /// nothing is moved.
    pub(super) async fn run_to_the_end(
        &self,
        connection: &mut PgConnection,
        all: &str,
    ) -> Result<Option<u64>, DbErr> {
        let mut tx = session::begin(connection, self.source.table.limits(BATCH_LIMITS)).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{TEXT_FORM}")).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{}", self.lock)).await?;
        for dependent in &self.source.dependents {
            self.check(&mut tx, dependent).await?;
        }
        let counted = session::rows(&mut tx, format!("{BOOKKEEPING}{all}")).await?;
        let Some(counted) = counted.first() else { return Ok(None) };
        let [n_chosen, n_moved]: [i64; 2] =
            [counted.try_get(0).map_err(db_err)?, counted.try_get(1).map_err(db_err)?];
        if n_chosen != n_moved {
            return Ok(None);
        }
        tx.commit().await.map_err(db_err)?;
        Ok(u64::try_from(n_moved).ok())
    }

    /// Refuses if a row that is to be moved would take rows of another table along.
    async fn check(&self, tx: &mut PgConnection, dependent: &Dependent) -> Result<(), DbErr> {
        let sql = format!(
            "{BOOKKEEPING}SELECT count(*) FROM {} AS dependent WHERE EXISTS \
             (SELECT 1 FROM {} AS source WHERE {} AND ({}))",
            dependent.table, self.source.table.qualified, dependent.condition, self.rows,
        );
        match session::value::<i64>(tx, sql).await?.unwrap_or(0) {
            0 => Ok(()),
            n_rows => Err(refusal(format!(
                "moving rows of `{}` would delete or change {} of `{}` along, through `{}`: move or detach those first",
                self.source.table.name,
                counted(n_rows, "row", "rows"),
                dependent.table,
                dependent.constraint
            ))),
        }
    }
}

/// The foreign keys through which deleting a row deletes or changes rows elsewhere.
pub(super) async fn dependents(
    connection: &mut PgConnection,
    table: &Table,
) -> Result<Vec<Dependent>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT k.conname::text, format('%I.%I', n.nspname, c.relname), \
         (SELECT string_agg(format('dependent.%I = source.%I', a.attname, f.attname), ' AND ') \
          FROM unnest(k.conkey, k.confkey) AS pair (own, other) \
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = pair.own \
          JOIN pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = pair.other) \
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE k.contype = 'f' AND k.confrelid = {}::regclass AND k.confdeltype IN ('c', 'n', 'd') \
         AND k.conparentid = 0 ORDER BY k.conname",
        table.literal(),
    );
    let mut dependents = Vec::new();
    for row in session::rows(connection, sql).await? {
        dependents.push(Dependent {
            constraint: row.try_get(0).map_err(db_err)?,
            table: row.try_get(1).map_err(db_err)?,
            condition: row.try_get(2).map_err(db_err)?,
        });
    }
    Ok(dependents)
}
