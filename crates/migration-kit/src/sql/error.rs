//! Why SQL files are not migrations.

use std::io;

/// Why a folder of SQL files is no list of migrations. It names files and lines, and never shows their text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum SqlError {
    /// A file or folder cannot be read.
    #[error("`{path}` cannot be read: {reason}")]
    Unreadable {
        /// Path of the file or folder.
        path: String,
        /// Why, in the words of the operating system.
        reason: String,
    },
    /// There is no migration in the folder.
    #[error("`{path}` has no SQL files")]
    Empty {
        /// Path of the folder.
        path: String,
    },
    /// It is not clear what a file is for.
    #[error("`{file}`: {problem}")]
    Layout {
        /// Path of the file within the folder.
        file: String,
        /// What is unclear.
        problem: LayoutProblem,
    },
    /// A file's text cannot be taken as statements.
    #[error("`{file}`, line {line}: {problem}")]
    Text {
        /// Path of the file within the folder.
        file: String,
        /// Line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: Problem,
    },
}

/// What is wrong with the text of an SQL file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Problem {
    /// It is not UTF-8.
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A string, quoted name, dollar quote or comment is not closed.
    #[error("a string, a quoted name or a comment is not closed")]
    Unterminated,
    /// A command of `psql` itself.
    #[error("a command of psql (`\\…`), which the server does not understand; write it in SQL")]
    PsqlCommand,
    /// `COPY` with data in the file.
    #[error("`COPY … FROM STDIN` or `TO STDOUT` needs a client program; write `INSERT` statements")]
    CopyThroughClient,
    /// A statement begins or ends a transaction.
    #[error(
        "the statement begins or ends a transaction, but the file runs inside one; remove it, or begin the file with \
         `-- no-transaction`"
    )]
    EndsTransaction,
    /// A statement comes before `-- migrate:up`.
    #[error("the statement comes before `-- migrate:up`")]
    BeforeUp,
    /// A mark that is not understood.
    #[error(
        "the mark is not understood: known are `-- migrate:up`, `-- migrate:down` and `-- no-transaction`, and `Up`, `Down`, \
         `StatementBegin`, `StatementEnd`, `NO TRANSACTION` and `notransaction` behind `-- +goose` or `-- +migrate`"
    )]
    UnknownMark,
    /// A mark is in the file twice, or in a file for one direction.
    #[error("the mark is out of place: each direction has one, in a file `<name>.sql`")]
    MisplacedMark,
}

/// What is unclear about an SQL file's place.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum LayoutProblem {
    /// None of the known layouts.
    #[error(
        "expected `<name>.sql`, `<name>.up.sql` and `<name>.down.sql`, or `<name>/up.sql` and `<name>/down.sql`"
    )]
    Unknown,
    /// There is no file that says how the migration is applied.
    #[error("there is a file to revert the migration and none to apply it")]
    NoUp,
    /// Two files say how the migration is applied or reverted.
    #[error("another file says the same about this migration")]
    Twice,
}

impl SqlError {
    pub(super) fn unreadable(path: &std::path::Path, source: &io::Error) -> Self {
        Self::Unreadable { path: path.display().to_string(), reason: source.to_string() }
    }
}
