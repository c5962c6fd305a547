//! What the steps ask of the server's catalogs, to find out what is done already. Reads only.

use sea_orm::DbErr;
use sea_orm::sqlx::{PgConnection, Row};

use super::Online;
use crate::literal;
use crate::session::{self, BOOKKEEPING, db_err, refusal};
use crate::table::Table;

/// Name of the temporary table on which expected definitions are read; it never outlives its transaction.
const EXPECTED: &str = "migrate_expected";

/// A constraint as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Constraint {
    /// As `pg_get_constraintdef` writes it, without `NOT VALID`.
    pub(super) definition: String,
    /// Whether all rows are known to satisfy it.
    pub(super) validated: bool,
    /// Table to which it refers, if it is a foreign key within the service's schema.
    pub(super) references: Option<String>,
}

/// A column as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    /// Its type as `format_type` writes it, with ` not null` where it is.
    pub(super) shape: String,
    /// Its number within the table.
    pub(super) number: i16,
    /// Whether it refuses null.
    pub(super) not_null: bool,
    /// Whether it has a default.
    pub(super) has_default: bool,
}

impl Online {
    /// A table of the service.
    ///
    /// # Errors
    /// an error if there is no such table.
    pub(super) async fn table(&self, table: &str) -> Result<Table, DbErr> {
        Table::find(&mut *self.acquire().await?, &self.schema, table).await
    }

    /// The constraint of this name on a table, if there is one.
    pub(super) async fn constraint(&self, table: &str, name: &str) -> Result<Option<Constraint>, DbErr> {
        self.table(table).await?;
        let sql = format!(
            "{BOOKKEEPING}SELECT regexp_replace(pg_get_constraintdef(c.oid), ' NOT VALID$', '') AS definition, \
             c.convalidated AS validated, f.relname::text AS referenced FROM pg_constraint c \
             LEFT JOIN pg_class f ON f.oid = c.confrelid AND f.relnamespace = {}::regnamespace \
             WHERE c.conrelid = {} AND c.conname = {}",
            literal(&crate::quote_identifier(&self.schema)),
            self.regclass(table),
            literal(name),
        );
        let rows = session::rows(&mut *self.acquire().await?, sql).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Constraint {
            definition: row.try_get("definition").map_err(db_err)?,
            validated: row.try_get("validated").map_err(db_err)?,
            references: row.try_get("referenced").map_err(db_err)?,
        }))
    }

    /// The column of this name, if the table has it.
    pub(super) async fn column(&self, table: &str, column: &str) -> Result<Option<Column>, DbErr> {
        self.table(table).await?;
        let oid = self.regclass(table);
        column_of(&mut *self.acquire().await?, &oid, column).await
    }

    /// The column of this name.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if the table does not have it.
    pub(super) async fn existing_column(&self, table: &str, column: &str) -> Result<Column, DbErr> {
        self.column(table, column)
            .await?
            .ok_or_else(|| refusal(format!("table `{table}` has no column `{column}`")))
    }

    /// Builds something on an empty temporary copy of a table, reads what the server makes of it, and forgets it: the
    /// server's own reading of a definition, to compare with what exists. `build` and `read` get the copy's name.
    pub(super) async fn expected(
        &self,
        table: &str,
        build: impl FnOnce(&str) -> String,
        read: impl FnOnce(&str) -> String,
    ) -> Result<String, DbErr> {
        let mut connection = self.acquire().await?;
        let mut tx = session::begin(&mut connection, session::Limits::default()).await?;
        let copy = format!("pg_temp.{EXPECTED}");
        let sql = format!("{BOOKKEEPING}CREATE TEMPORARY TABLE {EXPECTED} (LIKE {})", self.qualified(table));
        session::execute(&mut tx, sql).await?;
        session::execute(&mut tx, format!("{BOOKKEEPING}{}", build(&copy))).await?;
        let definition: Option<String> =
            session::value(&mut tx, format!("{BOOKKEEPING}{}", read(&copy))).await?;
        tx.rollback().await.map_err(db_err)?;
        definition.ok_or_else(|| refusal("the server gives no definition"))
    }

    /// Adds a column to a temporary table of one row, to learn its shape and whether adding it rewrites the table.
    pub(super) async fn added_column(
        &self,
        column: &str,
        definition: &str,
    ) -> Result<(Column, Rewrites), DbErr> {
        let mut connection = self.acquire().await?;
        let mut tx = session::begin(&mut connection, session::Limits::default()).await?;
        let file = format!("{BOOKKEEPING}SELECT pg_relation_filenode('pg_temp.{EXPECTED}'::regclass)::text");
        for sql in [
            format!("{BOOKKEEPING}CREATE TEMPORARY TABLE {EXPECTED} ()"),
            format!("{BOOKKEEPING}INSERT INTO pg_temp.{EXPECTED} DEFAULT VALUES"),
        ] {
            session::execute(&mut tx, sql).await?;
        }
        let before: Option<String> = session::value(&mut tx, file.clone()).await?;
        session::execute(
            &mut tx,
            format!("{BOOKKEEPING}ALTER TABLE pg_temp.{EXPECTED} ADD COLUMN {definition}"),
        )
        .await?;
        let after: Option<String> = session::value(&mut tx, file).await?;
        let added = column_of(&mut tx, &format!("'pg_temp.{EXPECTED}'::regclass"), column).await?;
        tx.rollback().await.map_err(db_err)?;
        let rewrites = if before == after { Rewrites::Nothing } else { Rewrites::WholeTable };
        Ok((added.ok_or_else(|| refusal("the server gives no definition"))?, rewrites))
    }
}

/// What adding a column does to the rows that exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rewrites {
    /// They stay as they are: only catalogs change.
    Nothing,
    /// The whole table is written anew, under a lock that nothing passes.
    WholeTable,
}

async fn column_of(connection: &mut PgConnection, oid: &str, column: &str) -> Result<Option<Column>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END \
         AS shape, attnum AS number, attnotnull AS not_null, atthasdef AS has_default FROM pg_attribute \
         WHERE attrelid = {oid} AND attname = {} AND attnum > 0 AND NOT attisdropped",
        literal(column),
    );
    let rows = session::rows(connection, sql).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(Some(Column {
        shape: row.try_get("shape").map_err(db_err)?,
        number: row.try_get("number").map_err(db_err)?,
        not_null: row.try_get("not_null").map_err(db_err)?,
        has_default: row.try_get("has_default").map_err(db_err)?,
    }))
}
