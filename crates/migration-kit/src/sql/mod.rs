//! Migrations that are SQL files, in the layouts of sqlx, diesel, golang-migrate, dbmate, goose and sql-migrate.
//!
//! | layout | files |
//! |---|---|
//! | sqlx, dbmate | `<name>.sql`; with `-- migrate:up` and `-- migrate:down` both directions |
//! | goose, sql-migrate | `<name>.sql` with `-- +goose Up` and `-- +goose Down`, or `-- +migrate Up` and `-- +migrate Down` |
//! | sqlx, golang-migrate | `<name>.up.sql`, `<name>.down.sql` |
//! | diesel | `<name>/up.sql`, `<name>/down.sql` |
//!
//! A file runs inside one transaction unless it begins with `-- no-transaction`, its mark says `transaction:false` or
//! `notransaction`, goose's `-- +goose NO TRANSACTION` is in it, or diesel's `metadata.toml` says `run_in_transaction = false`. Each statement is sent by itself. What is unclear is
//! refused when the service is made, before any database is asked.

mod directory;
mod error;
mod script;
mod split;

use std::borrow::Cow;
use std::path::Path;

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationTrait, SchemaManager};

pub use self::error::{LayoutProblem, Problem, SqlError};

/// A migration of SQL statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlMigration {
    name: String,
    up: Vec<String>,
    down: Option<Vec<String>>,
    transactional: bool,
}

/// The migrations of a folder, read now.
///
/// # Errors
/// [`SqlError`] if the folder cannot be read or its files are not migrations.
pub fn from_directory(folder: &Path) -> Result<Vec<SqlMigration>, SqlError> {
    let files = directory::read(folder)?;
    let migrations = directory::migrations(files.into_iter().map(|(file, text)| (file, Cow::Owned(text))))?;
    if migrations.is_empty() {
        return Err(SqlError::Empty { path: folder.display().to_string() });
    }
    Ok(migrations)
}

/// The migrations that these files make, each given as its path within their folder and its contents.
///
/// # Errors
/// [`SqlError`] if the files are not migrations.
pub fn from_files<'f>(
    files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
) -> Result<Vec<SqlMigration>, SqlError> {
    directory::migrations(files.into_iter().map(|(file, text)| (file.to_owned(), Cow::Borrowed(text))))
}

/// The files of a folder that is compiled in, as [`from_files`] takes them; for the macro `sql_files!`.
#[doc(hidden)]
#[must_use]
pub fn embedded(folder: &'static include_dir::Dir<'static>) -> Vec<(&'static str, &'static [u8])> {
    let nested = folder.dirs().flat_map(include_dir::Dir::files);
    let with_path = |file: &'static include_dir::File<'static>| {
        (file.path().to_str().expect("only paths in UTF-8 are compiled in"), file.contents())
    };
    folder.files().chain(nested).map(with_path).collect()
}

/// The statements of a script, as `psql` would send them, without the comments between them; `None` where it cannot be split, or has
/// what only `psql` understands.
#[must_use]
pub fn statements(script: &str) -> Option<Vec<String>> {
    let pieces = split::split(script).ok()?;
    let statements = pieces.into_iter().filter_map(|piece| match piece {
        split::Piece::Statement(statement) => Some(statement.text),
        split::Piece::Comment { .. } => None,
    });
    Some(statements.collect())
}

/// A file of SQL as statements to be applied, whatever its name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SqlFile {
    /// The statements that apply it, each without its semicolon, with the line of its first word, from 1.
    pub statements: Vec<(usize, String)>,
    /// Whether they run inside one transaction.
    pub is_transactional: bool,
    /// Comments to the end of their line between the statements: the text behind the dashes, trimmed.
    pub comments: Vec<String>,
}

/// Reads a file of SQL; with marks of dbmate, goose or sql-migrate, what applies.
///
/// # Errors
/// [`SqlError::Text`] if the text cannot be taken as statements.
pub fn read(file: &str, text: &str) -> Result<SqlFile, SqlError> {
    script::file(text).map_err(|(line, problem)| SqlError::Text { file: file.to_owned(), line, problem })
}

impl SqlMigration {
    /// Whether there are statements that revert it.
    #[must_use]
    pub fn is_reversible(&self) -> bool {
        self.down.is_some()
    }
}

impl sea_orm_migration::MigrationName for SqlMigration {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for SqlMigration {
    fn use_transaction(&self) -> Option<bool> {
        Some(self.transactional)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        run(manager, &self.up).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match &self.down {
            Some(statements) => run(manager, statements).await,
            None => Err(DbErr::Migration(format!("`{}` has no statements that revert it", self.name))),
        }
    }
}

async fn run(manager: &SchemaManager<'_>, statements: &[String]) -> Result<(), DbErr> {
    for statement in statements {
        manager.get_connection().execute_unprepared(statement).await?;
    }
    Ok(())
}
