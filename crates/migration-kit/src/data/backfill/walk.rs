//! Which rows the next batch takes: the next stretch of the primary key, or of blocks where there is no key.
//!
//! Keys travel as text and are cast back by the server, so that any type and any number of columns will do; the range
//! is a row comparison, which an index of the key answers directly. It changes nothing and remembers nothing.

use std::collections::VecDeque;

use sea_orm::DbErr;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{PgConnection, Row};
use serde::{Deserialize, Serialize};

use crate::session::{self, BOOKKEEPING, db_err, refusal};
use crate::table::{Column, Table};
use crate::{literal, quote_identifier};

/// From this correlation of key and place on, a walk by key reads about one block after the other.
const IN_ORDER: f32 = 0.5;

/// A place between two rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Position {
    /// After the row with this key, each column as text.
    Key(Vec<String>),
    /// Before this block.
    Block(u64),
}

/// How a table is walked.
#[derive(Debug, Clone)]
pub(super) enum Walk {
    /// In the order of these columns, the primary key.
    Keys(Vec<Column>),
    /// Block by block. A row that the application moves to a block behind the walk is not met; see `strays`.
    Blocks,
}

/// The rows of one batch.
#[derive(Debug)]
pub(super) struct Stretch {
    /// Where it ends.
    pub(super) end: Position,
    /// The rows, as a condition over `source`.
    pub(super) condition: String,
    /// How many rows it has.
    pub(super) n_rows: u64,
}

impl Walk {
    /// How this table is walked, and the other way, if there is one. With `finds_strays`, rows that move behind a walk by
    /// blocks are found again, so that it may be chosen: unless statistics say that keys lie in the order of blocks.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if it has neither a primary key nor blocks, or strays are to be found and it has no key.
    pub(super) async fn choose(
        connection: &mut PgConnection,
        table: &Table,
        finds_strays: bool,
    ) -> Result<(Self, Option<Self>), DbErr> {
        let key = table.primary_key(connection).await?;
        if finds_strays && key.is_empty() {
            return Err(refusal(format!(
                "`{}` has no primary key by which a row is found again that moves behind a walk by blocks",
                table.name
            )));
        }
        // Where the rows are on another node, nothing here says how they lie.
        let has_statistics = !table.is_partitioned && !table.is_distributed;
        if let ([first, ..], true, true) = (key.as_slice(), has_statistics, finds_strays) {
            let correlation = table.correlation(connection, first).await?;
            let is_in_order = correlation.is_some_and(|correlation| correlation.abs() >= IN_ORDER);
            let (keys, blocks) = (Self::Keys(key), Self::Blocks);
            return Ok(if is_in_order { (keys, Some(blocks)) } else { (blocks, Some(keys)) });
        }
        if !key.is_empty() {
            return Ok((Self::Keys(key), None));
        }
        // Neither has blocks here: a walk by them would meet no row.
        let elsewhere = if table.is_partitioned { "partitioned" } else { "on another node" };
        if table.is_partitioned || table.is_distributed {
            return Err(refusal(format!(
                "`{}` is {elsewhere} and has no primary key to walk by",
                table.name
            )));
        }
        Ok((Self::Blocks, None))
    }

    /// The rows of the next batches, about `n_rows` each, after one place and up to another; none where there are no more.
    pub(super) async fn next(
        &self,
        connection: &mut PgConnection,
        table: &Table,
        after: Option<&Position>,
        until: Option<&Position>,
        n_rows: u64,
    ) -> Result<VecDeque<Stretch>, DbErr> {
        match self {
            Self::Keys(columns) => {
                let bounds = [(">", after), ("<=", until)];
                let condition = key_condition(columns, &bounds);
                let next = next_keys(connection, table, columns, &condition, n_rows).await?;
                let stretch = next.map(|(key, n_rows)| {
                    let end = Position::Key(key);
                    let condition = key_condition(columns, &[(">", after), ("<=", Some(&end))]);
                    Stretch { end, condition, n_rows }
                });
                Ok(stretch.into_iter().collect())
            }
            Self::Blocks => next_blocks(connection, table, after, until, n_rows).await,
        }
    }
}

/// The key at which a batch of `n_rows` ends, and how many rows it has.
async fn next_keys(
    connection: &mut PgConnection,
    table: &Table,
    columns: &[Column],
    condition: &str,
    n_rows: u64,
) -> Result<Option<(Vec<String>, u64)>, DbErr> {
    let key = key_list(columns);
    let sql = format!(
        "{BOOKKEEPING}SELECT n_rows, {} FROM (SELECT {}, row_number() OVER () AS n_rows FROM \
         (SELECT {key} FROM {} AS source WHERE {condition} ORDER BY {key} LIMIT {n_rows}) AS batch) AS numbered \
         ORDER BY n_rows DESC LIMIT 1",
        list(columns, |name| format!("numbered.{name}::text")),
        list(columns, |name| format!("batch.{name}")),
        table.qualified,
    );
    let Some(row) = session::rows(connection, sql).await?.pop() else { return Ok(None) };
    let n_rows: i64 = row.try_get(0).map_err(db_err)?;
    let mut last = Vec::with_capacity(columns.len());
    for index in 1..=columns.len() {
        last.push(row.try_get(index).map_err(db_err)?);
    }
    Ok(Some((last, u64::try_from(n_rows).unwrap_or(0))))
}

/// The condition that the key compares so with each of these places; places that are not given bound nothing.
fn key_condition(columns: &[Column], bounds: &[(&str, Option<&Position>)]) -> String {
    let key = key_list(columns);
    let mut conditions = Vec::new();
    for (operator, place) in bounds {
        if let Some(Position::Key(values)) = place {
            let values: Vec<String> = values
                .iter()
                .zip(columns)
                .map(|(value, column)| format!("{}::{}", literal(value), column.type_))
                .collect();
            conditions.push(format!("({key}) {operator} ({})", values.join(", ")));
        }
    }
    if conditions.is_empty() { "true".to_owned() } else { conditions.join(" AND ") }
}

/// Blocks for two batches of about `n_rows` rows, by the rows that a block of this table holds.
///
/// The first batch takes every second row. Their new versions go elsewhere, since full blocks have no room for them; but
/// what they leave behind is free at once, so that the new versions of the second batch, the rows that are left, stay in
/// their blocks: PostgreSQL then writes no index and logs less than half (a HOT update). A third less time, and the table
/// grows by half as much. Where an old snapshot keeps the dead versions, it is no worse than one batch.
async fn next_blocks(
    connection: &mut PgConnection,
    table: &Table,
    after: Option<&Position>,
    until: Option<&Position>,
    n_rows: u64,
) -> Result<VecDeque<Stretch>, DbErr> {
    let block = |place: Option<&Position>| match place {
        Some(Position::Block(block)) => *block,
        _ => 0,
    };
    let (first, last) = (block(after), block(until));
    if first >= last {
        return Ok(VecDeque::new());
    }
    let wanted = 2 * n_rows;
    let count = |from: u64, to: u64| {
        format!(
            "{BOOKKEEPING}SELECT count(*) FROM {} AS source WHERE {}",
            table.qualified,
            block_condition(from, to)
        )
    };
    // The first block shows how dense the rows are here. Where it misleads, because it was nearly empty, the batches are
    // cut: bigger ones than asked for would hold their rows for longer than an application should wait.
    let in_first = session::value::<i64>(connection, count(first, first + 1)).await?.unwrap_or(0);
    let mut n_blocks =
        (wanted / u64::try_from(in_first).unwrap_or(0).max(1)).clamp(1, 10_000).min(last - first);
    let n_rows = loop {
        let counted = session::value::<i64>(connection, count(first, first + n_blocks)).await?.unwrap_or(0);
        let counted = u64::try_from(counted).unwrap_or(0);
        if n_blocks == 1 || counted <= wanted + wanted / 4 {
            break counted;
        }
        n_blocks = (n_blocks * wanted / counted).max(1);
    };
    let rows = block_condition(first, first + n_blocks);
    let every_second = format!(
        "source.ctid = ANY (ARRAY(SELECT numbered.place FROM (SELECT source.ctid AS place, row_number() OVER () AS n \
         FROM {} AS source WHERE {rows}) AS numbered WHERE numbered.n % 2 = 0))",
        table.qualified,
    );
    let half =
        |end: u64, condition: String, n_rows: u64| Stretch { end: Position::Block(end), condition, n_rows };
    Ok(VecDeque::from([
        half(first, every_second, n_rows / 2),
        half(first + n_blocks, rows, n_rows - n_rows / 2),
    ]))
}

/// The condition that a row is in these blocks, the last one not included.
fn block_condition(from: u64, to: u64) -> String {
    format!("source.ctid >= '({from},0)'::tid AND source.ctid < '({to},0)'::tid")
}

/// The columns of the key of `source`.
fn key_list(columns: &[Column]) -> String {
    list(columns, |name| format!("source.{name}"))
}

/// The columns of the key of `source`, each as text.
pub(in crate::data) fn key_as_text(columns: &[Column]) -> String {
    list(columns, |name| format!("source.{name}::text"))
}

/// The condition that the key of `source` is one of these, which were read by [`key_as_text`].
pub(in crate::data) fn is_one_of(columns: &[Column], rows: &[PgRow]) -> Result<String, DbErr> {
    if rows.is_empty() {
        return Ok("false".to_owned());
    }
    let mut keys = Vec::with_capacity(rows.len());
    for row in rows {
        let mut values = Vec::with_capacity(columns.len());
        for (index, column) in columns.iter().enumerate() {
            let value: String = row.try_get(index).map_err(db_err)?;
            values.push(format!("{}::{}", literal(&value), column.type_));
        }
        keys.push(format!("({})", values.join(", ")));
    }
    Ok(format!("({}) IN ({})", key_list(columns), keys.join(", ")))
}

fn list(columns: &[Column], write: impl Fn(String) -> String) -> String {
    columns.iter().map(|column| write(quote_identifier(&column.name))).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, type_: &str) -> Column {
        Column { name: name.to_owned(), type_: type_.to_owned(), is_generated: false }
    }

    #[test]
    fn a_key_range_is_a_row_comparison_with_typed_literals() {
        let columns = [column("tenant", "text"), column("n", "integer")];
        let after = Position::Key(vec!["o'neil".to_owned(), "4".to_owned()]);
        let end = Position::Key(vec!["p".to_owned(), "1".to_owned()]);
        assert_eq!(
            key_condition(&columns, &[(">", Some(&after)), ("<=", Some(&end))]),
            "(source.\"tenant\", source.\"n\") > ('o''neil'::text, '4'::integer) AND \
             (source.\"tenant\", source.\"n\") <= ('p'::text, '1'::integer)"
        );
        assert_eq!(key_condition(&columns, &[(">", None)]), "true");
    }

    #[test]
    fn a_position_is_readable_json() {
        let key = Position::Key(vec!["a".to_owned()]);
        assert_eq!(serde_json::to_string(&key).unwrap(), r#"{"key":["a"]}"#);
        assert_eq!(serde_json::to_string(&Position::Block(7)).unwrap(), r#"{"block":7}"#);
    }
}
