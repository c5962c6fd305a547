//! How a migration runs, and the steps that it takes, as data: what is known of each is what its code, its way back and its checks are written from.

/// How a migration is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In a transaction.
    Transaction,
    /// Outside of a transaction, in steps that can be repeated.
    Steps,
    /// As SQL files beside the module.
    Sql,
}

/// One step of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Renames a column.
    RenameColumn {
        /// Its table.
        table: String,
        /// Its name.
        from: String,
        /// Its new name.
        to: String,
    },
    /// Makes an enum type.
    CreateEnum {
        /// Its name.
        name: String,
        /// Its values.
        labels: Vec<String>,
    },
    /// Adds a value to an enum type, which cannot be reverted.
    AddLabel {
        /// The type.
        name: String,
        /// The value.
        label: String,
    },
    /// Makes a table.
    CreateTable {
        /// Its name.
        table: String,
        /// The statement.
        sql: String,
        /// Its columns, each as `name type`, with ` not null` where it is.
        columns: Vec<String>,
    },
    /// Adds a column.
    AddColumn(Column),
    /// Drops a column.
    DropColumn(Column),
    /// Gives a column a default for new rows.
    SetDefault {
        /// Its table.
        table: String,
        /// The column.
        column: String,
        /// Its default so far.
        from: Option<String>,
        /// The default.
        to: String,
    },
    /// Gives a column another type.
    SetType {
        /// Its table.
        table: String,
        /// The column.
        column: String,
        /// Its type so far.
        from: String,
        /// The type.
        to: String,
        /// Whether values are cast explicitly, there and back.
        is_cast: [bool; 2],
        /// Whether values may be rounded, there and back.
        rounds: [bool; 2],
        /// Whether the table is written anew.
        rewrites: bool,
    },
    /// Lets a column be null.
    DropNotNull {
        /// Its table.
        table: String,
        /// The column.
        column: String,
    },
    /// Makes a column refuse null.
    SetNotNull {
        /// Its table.
        table: String,
        /// The column.
        column: String,
        /// Its type.
        type_: String,
    },
    /// Adds a primary key.
    AddPrimaryKey(Key),
    /// Adds a unique constraint.
    AddUnique(Key),
    /// Builds an index.
    CreateIndex(Key),
    /// Adds a foreign key.
    AddForeignKey {
        /// The key, and its columns.
        key: Key,
        /// The table to which it refers.
        referenced: String,
        /// The columns of that.
        columns: Vec<String>,
        /// What it does otherwise, in SQL: `ON DELETE CASCADE`.
        actions: String,
    },
}

/// A column, in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its table.
    pub table: String,
    /// Its name.
    pub name: String,
    /// Its type.
    pub type_: String,
    /// Its default.
    pub default: Option<String>,
    /// Whether it refuses null.
    pub not_null: bool,
}

/// A constraint or an index on columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The table.
    pub table: String,
    /// Its own name.
    pub name: String,
    /// The columns.
    pub columns: Vec<String>,
}

impl Step {
    /// The table that it is about.
    pub(crate) fn table(&self) -> Option<&str> {
        match self {
            Self::CreateEnum { .. } | Self::AddLabel { .. } => None,
            Self::RenameColumn { table, .. }
            | Self::CreateTable { table, .. }
            | Self::SetDefault { table, .. }
            | Self::SetType { table, .. }
            | Self::DropNotNull { table, .. }
            | Self::SetNotNull { table, .. } => Some(table),
            Self::AddColumn(column) | Self::DropColumn(column) => Some(&column.table),
            Self::AddPrimaryKey(key)
            | Self::AddUnique(key)
            | Self::CreateIndex(key)
            | Self::AddForeignKey { key, .. } => Some(&key.table),
        }
    }
}

/// Whether all of it is about what these steps make, so that nobody uses it yet and a transaction can do all of it.
pub(crate) fn are_about_new_tables(steps: &[Step]) -> bool {
    let new: Vec<&str> = steps
        .iter()
        .filter_map(|step| match step {
            Step::CreateTable { table, .. } => Some(table.as_str()),
            _ => None,
        })
        .collect();
    steps.iter().all(|step| match step {
        Step::CreateEnum { .. } | Step::CreateTable { .. } => true,
        Step::CreateIndex(key) => new.contains(&key.table.as_str()),
        Step::AddForeignKey { key, referenced, .. } => {
            new.contains(&key.table.as_str()) && new.contains(&referenced.as_str())
        }
        _ => false,
    })
}
