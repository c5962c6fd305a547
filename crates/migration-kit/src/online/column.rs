//! Columns: adding and dropping them, their defaults, whether they may be null.

use sea_orm::DbErr;

use super::Online;
use super::catalog::Rewrites;
use crate::session::{self, BOOKKEEPING, db_err, refusal, sqlstate};
use crate::table_lock::LockMode;
use crate::{literal, quote_identifier};

/// A column to be added; made by [`Online::add_column`].
#[derive(Debug, Clone)]
#[must_use = "it does nothing until it is run"]
pub struct AddColumn<'a> {
    online: &'a Online,
    table: String,
    column: String,
    column_type: String,
    not_null: bool,
    default: Option<String>,
    comment: Option<String>,
}

impl Online {
    /// Adds a column of a type, written in SQL. A column of that name and shape is fine; of another shape is an error.
    pub fn add_column(&self, table: &str, column: &str, column_type: &str) -> AddColumn<'_> {
        AddColumn {
            online: self,
            table: table.to_owned(),
            column: column.to_owned(),
            column_type: column_type.to_owned(),
            not_null: false,
            default: None,
            comment: None,
        }
    }

    /// Drops a column; its absence is fine. Foreign keys on it are dropped with it, so the tables to which they refer
    /// are locked too.
    ///
    /// # Errors
    /// The server's; [`DbErr::Migration`] if the table does not exist or a lock could not be acquired.
    pub async fn drop_column(&self, table: &str, column: &str) -> Result<(), DbErr> {
        let Some(found) = self.column(table, column).await? else { return Ok(()) };
        let referenced = format!(
            "{BOOKKEEPING}SELECT DISTINCT f.relname::text FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid \
             WHERE c.conrelid = {} AND c.contype = 'f' AND {} = ANY (c.conkey) AND f.relnamespace = {}::regnamespace",
            self.regclass(table),
            found.number,
            literal(&quote_identifier(&self.schema)),
        );
        let mut locks = vec![self.lock(table, LockMode::AccessExclusive)];
        for row in session::rows(&mut *self.acquire().await?, referenced).await? {
            let referenced: String = sea_orm::sqlx::Row::try_get(&row, 0).map_err(db_err)?;
            locks.push(self.lock(&referenced, LockMode::AccessExclusive));
        }
        let sql = format!("ALTER TABLE {} DROP COLUMN {}", self.qualified(table), quote_identifier(column));
        self.briefly(locks, vec![sql]).await
    }

    /// Sets a column's default, for rows written from now on.
    ///
    /// # Errors
    /// The server's; [`DbErr::Migration`] if the column does not exist or a lock could not be acquired.
    pub async fn set_default(&self, table: &str, column: &str, expression: &str) -> Result<(), DbErr> {
        self.existing_column(table, column).await?;
        self.alter_column(table, column, &format!("SET DEFAULT {expression}")).await
    }

    /// Drops a column's default; its absence is fine.
    ///
    /// # Errors
    /// As [`Online::set_default`].
    pub async fn drop_default(&self, table: &str, column: &str) -> Result<(), DbErr> {
        if self.existing_column(table, column).await?.has_default {
            self.alter_column(table, column, "DROP DEFAULT").await?;
        }
        Ok(())
    }

    /// Makes a column refuse null. The rows are checked while reading and writing continue: a check is added `NOT VALID`,
    /// validated, taken by the server as the proof, and dropped.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if rows have null there (nothing is left behind), the column does not exist or a lock could
    /// not be acquired; otherwise the server's.
    pub async fn set_not_null(&self, table: &str, column: &str) -> Result<(), DbErr> {
        let found = self.existing_column(table, column).await?;
        // By number: it fits into 63 bytes whatever the column is called.
        let check = format!("migrate_not_null_{}", found.number);
        if found.not_null {
            return self.drop_constraint(table, &check).await;
        }
        let quoted = quote_identifier(column);
        self.add_check_not_valid(table, &check, &format!("{quoted} IS NOT NULL")).await?;
        if let Err(error) = self.validate_constraint(table, &check).await {
            if sqlstate(&error).as_deref() != Some(session::CHECK_VIOLATION) {
                return Err(error);
            }
            self.drop_constraint(table, &check).await?;
            let count = format!(
                "{BOOKKEEPING}SELECT count(*)::bigint FROM {} WHERE {quoted} IS NULL",
                self.qualified(table)
            );
            let n_rows: Option<i64> = session::value(&mut *self.acquire().await?, count).await?;
            let n_rows = n_rows.unwrap_or_default();
            return Err(refusal(format!(
                "`{table}.{column}` cannot be made not null: it is null in {n_rows} row(s)"
            )));
        }
        let table_sql = self.qualified(table);
        let statements = vec![
            format!("ALTER TABLE {table_sql} ALTER COLUMN {quoted} SET NOT NULL"),
            format!("ALTER TABLE {table_sql} DROP CONSTRAINT {}", quote_identifier(&check)),
        ];
        self.briefly(vec![self.lock(table, LockMode::AccessExclusive)], statements).await
    }

    /// Lets a column be null again.
    ///
    /// # Errors
    /// As [`Online::set_default`].
    pub async fn drop_not_null(&self, table: &str, column: &str) -> Result<(), DbErr> {
        if self.existing_column(table, column).await?.not_null {
            self.alter_column(table, column, "DROP NOT NULL").await?;
        }
        Ok(())
    }

    async fn alter_column(&self, table: &str, column: &str, action: &str) -> Result<(), DbErr> {
        let sql = format!(
            "ALTER TABLE {} ALTER COLUMN {} {action}",
            self.qualified(table),
            quote_identifier(column)
        );
        self.briefly(vec![self.lock(table, LockMode::AccessExclusive)], vec![sql]).await
    }
}

impl AddColumn<'_> {
    /// The column refuses null; it then needs a default, for the rows that exist.
    pub fn not_null(mut self) -> Self {
        self.not_null = true;
        self
    }

    /// The default, an SQL expression that is not volatile: it is then kept once, in the catalog, for all rows that
    /// exist.
    pub fn default(mut self, expression: impl Into<String>) -> Self {
        self.default = Some(expression.into());
        self
    }

    /// A comment on the column.
    pub fn comment(mut self, text: impl Into<String>) -> Self {
        self.comment = Some(text.into());
        self
    }

    /// Adds the column, unless it is there.
    ///
    /// # Errors
    /// [`DbErr::Migration`] if a column of another shape has the name, if adding it would write the whole table anew,
    /// if it refuses null without a default, or if a lock could not be acquired; otherwise the server's.
    pub async fn run(self) -> Result<(), DbErr> {
        let Self { online, table, column, .. } = &self;
        let existing = online.column(table, column).await?;
        if self.not_null && self.default.is_none() {
            return Err(refusal(format!(
                "`{table}.{column}` refuses null and has no default, so rows that exist could not have it: give a \
                 default, or add it nullable, backfill it and use `set_not_null`"
            )));
        }
        let (expected, rewrites) = online.added_column(column, &self.definition()).await?;
        if let Some(existing) = existing {
            if existing.shape == expected.shape {
                return Ok(());
            }
            return Err(refusal(format!(
                "`{table}` has a column `{column}` already, of another shape: it is `{}`, not `{}`",
                existing.shape, expected.shape
            )));
        }
        if rewrites == Rewrites::WholeTable {
            return Err(refusal(format!(
                "adding `{table}.{column}` as `{}` would write the whole table anew under a lock that nothing passes: \
                 add it without the default (or as a plain type), set the default, and backfill it",
                self.definition()
            )));
        }
        let mut statements =
            vec![format!("ALTER TABLE {} ADD COLUMN {}", online.qualified(table), self.definition())];
        if let Some(comment) = &self.comment {
            statements.push(format!(
                "COMMENT ON COLUMN {}.{} IS {}",
                online.qualified(table),
                quote_identifier(column),
                literal(comment)
            ));
        }
        online.briefly(vec![online.lock(table, LockMode::AccessExclusive)], statements).await
    }

    fn definition(&self) -> String {
        let default = self.default.as_ref().map_or_else(String::new, |default| format!(" DEFAULT {default}"));
        let not_null = if self.not_null { " NOT NULL" } else { "" };
        format!("{} {}{default}{not_null}", quote_identifier(&self.column), self.column_type)
    }
}
