//! A file that a command was to write and could not. Where nothing can ever be written at such a place, it is wrongly named.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use migration_report::{Class, OwnError};

/// What could not be written.
#[derive(Debug, thiserror::Error)]
#[error("could not write `{}`", path.display())]
pub(crate) struct NotWritten {
    path: PathBuf,
    #[source]
    source: Error,
}

impl NotWritten {
    /// For what the system says.
    pub(crate) fn at(path: &Path) -> impl Fn(Error) -> Self {
        let path = path.to_owned();
        move |source| Self { path: path.clone(), source }
    }

    /// How the command ended, and what to do next.
    pub(crate) fn own(&self) -> OwnError {
        match cannot_be_written(self.source.kind()) {
            true => {
                OwnError { class: Class::Usage, hint: Some("name a place that can be written".to_owned()) }
            }
            false => OwnError { class: Class::Failed, hint: None },
        }
    }
}

/// Whether nothing can ever be written to such a place, which so is wrongly named. Directories of backups and of scripts that are missing
/// are made: what is not found all the same cannot be made, as in `/proc`.
pub(crate) fn cannot_be_written(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::AlreadyExists
            | ErrorKind::PermissionDenied
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::NotFound
            | ErrorKind::Unsupported
            | ErrorKind::InvalidFilename
            | ErrorKind::InvalidInput
    )
}
