//! Putting rows back that were moved out of their table: the way back of `moves`.
//!
//! One statement takes a batch of rows out of the rejects and inserts them; if a row of the batch cannot be inserted, the
//! batch is halved until the row is alone, and that row stays where it is. Nothing is overwritten and nothing is lost.

use migration_plan::counted;
use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use super::moves::TEXT_FORM;
use super::patience::{BATCH_LIMITS, Patience};
use super::rejects;
use crate::session::{self, BOOKKEEPING, db_err, refusal, sqlstate};
use crate::table::{Column, Table};
use crate::{Online, event, literal, quote_identifier};

/// Rows a batch.
const BATCH_ROWS: usize = 1_000;

/// Rows that have values for the same columns, so that one statement can insert them.
#[derive(Debug)]
struct Group {
    ids: Vec<i64>,
    fields: Vec<String>,
}

/// Puts back what this migration moved out of the table; the number of rows.
pub(super) async fn restore(online: &Online, table: &str) -> Result<u64, DbErr> {
    let mut connection = online.acquire().await?;
    let table = Table::find(&mut connection, online.schema(), table).await?;
    if !rejects::exists(&mut connection, online.schema(), &online.origin().service).await? {
        return Ok(0);
    }
    let columns = table.columns(&mut connection).await?;
    let restore = Restore {
        online,
        table: &table,
        columns: &columns,
        rejects: rejects::qualified(online.schema(), &online.origin().service),
    };
    let mut n_restored = 0;
    // A row may have to wait for its parent, which a later batch puts back: again, until a pass gains nothing.
    let first_error = loop {
        let (n_rows, first_error) = restore.pass(&mut connection).await?;
        n_restored += n_rows;
        if n_rows == 0 || first_error.is_none() {
            break first_error;
        }
    };
    let n_left = restore.n_left(&mut connection).await?;
    if n_left > 0 {
        let why = first_error.map(|error| format!(": {error}")).unwrap_or_default();
        event::warning(
            online.origin(),
            &format!(
                "`{}`: {} cannot be put back and {}{why}",
                table.name,
                counted(n_left, "row", "rows"),
                if n_left == 1 { "stays a reject" } else { "stay rejects" }
            ),
        );
    }
    Ok(n_restored)
}

struct Restore<'a> {
    online: &'a Online,
    table: &'a Table,
    columns: &'a [Column],
    rejects: String,
}

impl Restore<'_> {
    /// Tries every row once: how many were put back, and the first error that kept one.
    async fn pass(&self, connection: &mut PgConnection) -> Result<(u64, Option<DbErr>), DbErr> {
        let (mut n_restored, mut first_error, mut last) = (0, None, 0);
        loop {
            let groups = self.next_groups(connection, &mut last).await?;
            if groups.is_empty() {
                return Ok((n_restored, first_error));
            }
            let mut groups: Vec<Group> = groups.into_iter().rev().collect();
            while let Some(mut group) = groups.pop() {
                match self.insert(connection, &group).await {
                    Ok(n_rows) => n_restored += n_rows,
                    Err(error) if !is_about_a_row(&error) => return Err(error),
                    Err(error) if group.ids.len() == 1 => {
                        first_error.get_or_insert(error);
                    }
                    Err(_) => {
                        let ids = group.ids.split_off(group.ids.len() / 2);
                        groups.push(Group { ids, fields: group.fields.clone() });
                        groups.push(group);
                    }
                }
            }
        }
    }

    /// The next rows after `last`, in the order in which they were moved. Rows that would lose a value stay out.
    async fn next_groups(&self, connection: &mut PgConnection, last: &mut i64) -> Result<Vec<Group>, DbErr> {
        let known: Vec<String> = self.columns.iter().map(|column| literal(&column.name)).collect();
        let sql = format!(
            "{BOOKKEEPING}SELECT id, (SELECT to_jsonb(coalesce(array_agg(field.key ORDER BY field.key), '{{}}')) \
             FROM jsonb_each_text(row_data) AS field WHERE field.key IN ({known})), \
             EXISTS (SELECT FROM jsonb_each_text(row_data) AS field \
             WHERE field.key NOT IN ({known}) AND field.value IS NOT NULL) \
             FROM {} WHERE {} AND id > {last} ORDER BY id LIMIT {BATCH_ROWS}",
            self.rejects,
            self.mine(),
            known = known.join(", "),
        );
        let mut groups: Vec<Group> = Vec::new();
        for row in session::rows(connection, sql).await? {
            *last = row.try_get(0).map_err(db_err)?;
            let would_lose: bool = row.try_get(2).map_err(db_err)?;
            let fields: serde_json::Value = row.try_get(1).map_err(db_err)?;
            let fields: Vec<String> = serde_json::from_value(fields)
                .map_err(|error| refusal(format!("the row of reject {last} is malformed: {error}")))?;
            match groups.last_mut() {
                _ if would_lose => groups.push(Group { ids: Vec::new(), fields }),
                Some(group) if group.fields == fields => group.ids.push(*last),
                _ => groups.push(Group { ids: vec![*last], fields }),
            }
        }
        Ok(groups)
    }

    /// Moves the rows of a group back, all or none.
    async fn insert(&self, connection: &mut PgConnection, group: &Group) -> Result<u64, DbErr> {
        if group.ids.is_empty() {
            return Ok(0);
        }
        let ids: Vec<String> = group.ids.iter().map(ToString::to_string).collect();
        let columns: Vec<&Column> = self
            .columns
            .iter()
            .filter(|column| !column.is_generated && group.fields.contains(&column.name))
            .collect();
        let names: Vec<String> = columns.iter().map(|column| quote_identifier(&column.name)).collect();
        let values: Vec<String> = columns
            .iter()
            .map(|column| format!("(gone.row_data->>{})::{}", literal(&column.name), column.type_))
            .collect();
        let sql = format!(
            "WITH gone AS (DELETE FROM {} WHERE {} AND id IN ({}) RETURNING id, row_data) \
             INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM gone ORDER BY gone.id",
            self.rejects,
            self.mine(),
            ids.join(", "),
            self.table.qualified,
            names.join(", "),
            values.join(", "),
        );
        let n_expected = u64::try_from(ids.len()).unwrap_or(u64::MAX);
        let mut patience = Patience::new();
        loop {
            let inserted = async {
                let mut tx = session::begin(connection, self.table.limits(BATCH_LIMITS)).await?;
                session::execute(&mut tx, format!("{BOOKKEEPING}{TEXT_FORM}")).await?;
                let n_rows = session::execute(&mut tx, sql.clone()).await?;
                if n_rows != n_expected {
                    return Err(refusal(format!("a trigger of `{}` keeps rows out", self.table.name)));
                }
                tx.commit().await.map_err(db_err)?;
                Ok(n_rows)
            };
            match inserted.await {
                Ok(n_rows) => return Ok(n_rows),
                Err(error) => {
                    patience.wait(connection, self.online.origin(), &self.table.name, error).await?;
                }
            }
        }
    }

    async fn n_left(&self, connection: &mut PgConnection) -> Result<i64, DbErr> {
        let sql = format!("{BOOKKEEPING}SELECT count(*) FROM {} WHERE {}", self.rejects, self.mine());
        Ok(session::value(connection, sql).await?.unwrap_or(0))
    }

    fn mine(&self) -> String {
        let migration = literal(&self.online.origin().migration);
        format!("migration = {migration} AND table_name = {} AND moved", literal(&self.table.name))
    }
}

/// Whether a row is at fault: a constraint (class 23), a value that does not fit its column (class 22), or a trigger that
/// refuses it (class P0, or silently).
fn is_about_a_row(error: &DbErr) -> bool {
    matches!(error, DbErr::Migration(_))
        || sqlstate(error).is_some_and(|code| ["22", "23", "P0"].iter().any(|class| code.starts_with(class)))
}
