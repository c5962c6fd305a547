//! Why source was not written.

use std::io;
use std::path::PathBuf;

/// Why source was not written. Nothing was changed then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorError {
    /// A name that no file, module or schema should have.
    #[error("`{name}` cannot be the name: {why}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A name that no service should have.
    #[error("`{name}` cannot be the name of a service: {why}")]
    ServiceName {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The name of a new service is taken.
    #[error("`{name}` cannot be the name of a service: {what}")]
    Taken {
        /// As it was given.
        name: String,
        /// Who has it.
        what: String,
    },
    /// A directory of services to which none can be added.
    #[error("no service can be added in `{}`: {why}", path.display())]
    NoWorkspace {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        why: &'static str,
    },
    /// Another migration of the service has this name.
    #[error("`{service}` has a migration of this name: `{there}`")]
    Duplicate {
        /// The service.
        service: String,
        /// The migration.
        there: String,
    },
    /// There is nothing that a migration could be added to.
    #[error("`{}` is the source of no service: it has neither `src/lib.rs` nor one folder of SQL files", path.display())]
    NoService {
        /// The directory.
        path: PathBuf,
    },
    /// A file is not as it has to be for something to be added.
    #[error("`{}` cannot be changed: {why}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is missing, or there twice.
        why: String,
    },
    /// What was asked for cannot be said in a folder of SQL files.
    #[error("a migration of SQL files alone has no {what}")]
    NotInSql {
        /// What it would be.
        what: &'static str,
    },
    /// A file is there already, or was changed meanwhile.
    #[error("`{}` was changed by another program", path.display())]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read or written.
    #[error("could not {action} `{}`", path.display())]
    File {
        /// What was done with it: `read`, `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl AuthorError {
    pub(crate) fn unfit(path: impl Into<PathBuf>, why: impl Into<String>) -> Self {
        Self::Unfit { path: path.into(), why: why.into() }
    }

    pub(crate) fn file(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { action, path, source }
    }
}
