//! Columns, indexes and foreign keys as data: one list that adds, drops and verifies them.
//!
//! A list says what there is; each of its entries becomes the step of the same kind, with that step's locks and refusals.
//! Whatever needs more than a list can say is written as a step.

use sea_orm::DbErr;

use super::{OnDelete, Online};
use crate::Check;

/// A column to be added to a table in use.
///
/// ```
/// use migration_kit::{Column, Details, Online};
/// use sea_orm_migration::prelude::DbErr;
///
/// const COLUMNS: [Column; 2] = [
///     Column::new("course", "title", "text"),
///     Column::new("course", "is_active", "boolean").not_null("TRUE"),
/// ];
///
/// async fn up(online: &Online) -> Result<(), DbErr> {
///     online.add_columns(&COLUMNS).await
/// }
///
/// async fn down(online: &Online) -> Result<(), DbErr> {
///     online.drop_columns(COLUMNS.iter().rev()).await
/// }
///
/// let details = Details::expand().verify_all(&COLUMNS);
/// assert_eq!(details.checks[1].says, "column `course.is_active` is `boolean not null`");
/// # let _ = (up, down);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Column {
    table: &'static str,
    name: &'static str,
    column_type: &'static str,
    catalog_type: &'static str,
    values: Values,
    comment: Option<&'static str>,
}

/// What rows have in a column that is added.
#[derive(Debug, Clone, Copy)]
enum Values {
    /// NULL, unless the application writes something.
    Null,
    /// This value, rows that exist included.
    NotNull(&'static str),
    /// This value in rows written from now on.
    DefaultForNewRows(&'static str),
}

impl Column {
    /// A column that is NULL unless the application writes something. The type is written as `format_type` does
    /// (`character varying(20)`), or else said once more with [`Column::catalog_type`].
    #[must_use]
    pub const fn new(table: &'static str, name: &'static str, column_type: &'static str) -> Self {
        Self { table, name, column_type, catalog_type: column_type, values: Values::Null, comment: None }
    }

    /// The column refuses null; all rows, also those that exist, have this default. It must not be volatile.
    #[must_use]
    pub const fn not_null(mut self, default: &'static str) -> Self {
        self.values = Values::NotNull(default);
        self
    }

    /// Rows written from now on have this default; rows that exist keep NULL.
    #[must_use]
    pub const fn default_for_new_rows(mut self, expression: &'static str) -> Self {
        self.values = Values::DefaultForNewRows(expression);
        self
    }

    /// The type as `format_type` writes it, where the column is added under another spelling of it.
    #[must_use]
    pub const fn catalog_type(mut self, catalog_type: &'static str) -> Self {
        self.catalog_type = catalog_type;
        self
    }

    /// A comment on the column.
    #[must_use]
    pub const fn comment(mut self, text: &'static str) -> Self {
        self.comment = Some(text);
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// The column exists and has its type.
impl From<&Column> for Check {
    fn from(column: &Column) -> Self {
        let catalog_type = match column.values {
            Values::NotNull(_) => format!("{} not null", column.catalog_type),
            Values::Null | Values::DefaultForNewRows(_) => column.catalog_type.to_owned(),
        };
        Self::column(column.table, column.name, &catalog_type)
    }
}

/// An index to be built.
///
/// ```
/// use migration_kit::Index;
///
/// const INDEXES: [Index; 2] = [
///     Index::new("idx_run_chat", "run", &["bot_id", "chat_id"]),
///     Index::new("idx_run_newest", "run", &["started_at DESC"]).filter("is_active"),
/// ];
/// assert_eq!(INDEXES[1].table(), "run");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Index {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    unique: bool,
    method: Option<&'static str>,
    filter: Option<&'static str>,
}

impl Index {
    /// An index; columns as [`Online::create_index`] takes them.
    #[must_use]
    pub const fn new(name: &'static str, table: &'static str, columns: &'static [&'static str]) -> Self {
        Self { name, table, columns, unique: false, method: None, filter: None }
    }

    /// Makes the index unique.
    #[must_use]
    pub const fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// The access method (default: `btree`).
    #[must_use]
    pub const fn using(mut self, method: &'static str) -> Self {
        self.method = Some(method);
        self
    }

    /// Only rows that satisfy this SQL condition are indexed.
    #[must_use]
    pub const fn filter(mut self, condition: &'static str) -> Self {
        self.filter = Some(condition);
        self
    }

    /// Its table.
    #[must_use]
    pub const fn table(&self) -> &'static str {
        self.table
    }
}

/// The index is valid.
impl From<&Index> for Check {
    fn from(index: &Index) -> Self {
        Self::index(index.name)
    }
}

/// A foreign key to be added and validated.
///
/// ```
/// use migration_kit::{ForeignKey, OnDelete};
///
/// const FOREIGN_KEYS: [ForeignKey; 2] = [
///     ForeignKey::new("run_bot_id_fkey", "run", &["bot_id"], "bot").on_delete(OnDelete::Cascade),
///     ForeignKey::new("run_owner_fkey", "run", &["owner_id"], "users").to_columns(&["id"]),
/// ];
/// # let _ = FOREIGN_KEYS;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ForeignKey {
    name: &'static str,
    table: &'static str,
    columns: &'static [&'static str],
    referenced: &'static str,
    referenced_columns: &'static [&'static str],
    on_delete: OnDelete,
}

impl ForeignKey {
    /// A foreign key from columns of a table to the columns of the same names in the referenced table.
    #[must_use]
    pub const fn new(
        name: &'static str,
        table: &'static str,
        columns: &'static [&'static str],
        referenced: &'static str,
    ) -> Self {
        let on_delete = OnDelete::NoAction;
        Self { name, table, columns, referenced, referenced_columns: columns, on_delete }
    }

    /// The referenced columns, where they have other names.
    #[must_use]
    pub const fn to_columns(mut self, columns: &'static [&'static str]) -> Self {
        self.referenced_columns = columns;
        self
    }

    /// What happens when the referenced row is deleted (default: [`OnDelete::NoAction`]).
    #[must_use]
    pub const fn on_delete(mut self, on_delete: OnDelete) -> Self {
        self.on_delete = on_delete;
        self
    }
}

/// The foreign key is validated: every row refers to one that exists.
impl From<&ForeignKey> for Check {
    fn from(foreign_key: &ForeignKey) -> Self {
        Self::constraint(foreign_key.table, foreign_key.name)
    }
}

impl Online {
    /// Adds the columns, each in a transaction of its own.
    ///
    /// # Errors
    /// As [`AddColumn::run`](crate::AddColumn::run) and [`Online::set_default`].
    pub async fn add_columns(&self, columns: impl IntoIterator<Item = &Column>) -> Result<(), DbErr> {
        for Column { table, name, column_type, values, comment, .. } in columns {
            let mut addition = self.add_column(table, name, column_type);
            if let Values::NotNull(default) = values {
                addition = addition.not_null().default(*default);
            }
            if let Some(comment) = comment {
                addition = addition.comment(*comment);
            }
            addition.run().await?;
            if let Values::DefaultForNewRows(expression) = values {
                self.set_default(table, name, expression).await?;
            }
        }
        Ok(())
    }

    /// Drops the columns in this order, each in a transaction of its own; their absence is fine.
    ///
    /// # Errors
    /// As [`Online::drop_column`].
    pub async fn drop_columns(&self, columns: impl IntoIterator<Item = &Column>) -> Result<(), DbErr> {
        for column in columns {
            self.drop_column(column.table, column.name).await?;
        }
        Ok(())
    }

    /// Builds the indexes, one after the other.
    ///
    /// # Errors
    /// As [`CreateIndex::run`](crate::CreateIndex::run).
    pub async fn create_indexes(&self, indexes: impl IntoIterator<Item = &Index>) -> Result<(), DbErr> {
        for Index { name, table, columns, unique, method, filter } in indexes {
            let mut index = self.create_index(name, table, columns.iter().copied());
            if *unique {
                index = index.unique();
            }
            if let Some(method) = method {
                index = index.using(method);
            }
            if let Some(condition) = filter {
                index = index.filter(condition);
            }
            index.run().await?;
        }
        Ok(())
    }

    /// Drops the indexes in this order; their absence is fine.
    ///
    /// # Errors
    /// As [`Online::drop_index`].
    pub async fn drop_indexes(&self, indexes: impl IntoIterator<Item = &Index>) -> Result<(), DbErr> {
        for index in indexes {
            self.drop_index(index.name).await?;
        }
        Ok(())
    }

    /// Adds the foreign keys and validates them, one after the other.
    ///
    /// # Errors
    /// As [`AddForeignKey::run`](crate::AddForeignKey::run).
    pub async fn add_foreign_keys(
        &self,
        foreign_keys: impl IntoIterator<Item = &ForeignKey>,
    ) -> Result<(), DbErr> {
        for key in foreign_keys {
            let from = (key.table, key.columns.iter().copied());
            let to = (key.referenced, key.referenced_columns.iter().copied());
            self.add_foreign_key(key.name, from, to).on_delete(key.on_delete).run().await?;
        }
        Ok(())
    }

    /// Drops the foreign keys in this order; their absence is fine.
    ///
    /// # Errors
    /// As [`Online::drop_constraint`].
    pub async fn drop_foreign_keys(
        &self,
        foreign_keys: impl IntoIterator<Item = &ForeignKey>,
    ) -> Result<(), DbErr> {
        for foreign_key in foreign_keys {
            self.drop_constraint(foreign_key.table, foreign_key.name).await?;
        }
        Ok(())
    }
}
