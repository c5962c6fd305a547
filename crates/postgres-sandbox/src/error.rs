//! What can go wrong with a cluster: what failed, on which object, and what to do next.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::NotFound;

/// Why a cluster or database could not be made, started, used or stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum SandboxError {
    /// There are no PostgreSQL binaries that can be used.
    Binaries(Box<NotFound>),
    /// The process is root, which PostgreSQL refuses, and there is no account to run it as.
    NoAccount,
    /// The server's account cannot enter a directory on the way to the cluster.
    NotReachable {
        /// The directory that the account may not enter.
        directory: PathBuf,
        /// User id of the account that the server runs as.
        uid: u32,
    },
    /// A file or directory could not be read or written.
    File {
        /// What was done with it: `create`, `read`, `remove`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program ran and failed.
    Failed {
        /// Name of the program: `psql`, `initdb`.
        program: String,
        /// What it wrote to its standard error.
        message: String,
    },
    /// The server did not become ready.
    Start {
        /// The cluster's data directory.
        data_directory: PathBuf,
        /// The last lines of the server's log.
        log: String,
    },
    /// The data directory is there and not whole: nobody can tell what its server would do.
    Damaged {
        /// The data directory.
        data_directory: PathBuf,
        /// What is missing or unreadable in it.
        what: &'static str,
    },
    /// The data was made by a major version whose programs are neither on the machine nor available elsewhere.
    OtherMajor {
        /// The data directory.
        data_directory: PathBuf,
        /// What was looked for, and where.
        missing: Box<NotFound>,
    },
    /// The directory holds something, and not a cluster made by this crate.
    NotOurs {
        /// The directory.
        directory: PathBuf,
    },
    /// Another process keeps starting or stopping the cluster.
    Busy {
        /// The cluster's directory.
        directory: PathBuf,
    },
    /// A server runs on the data directory, but its socket is gone.
    SocketLost {
        /// The cluster's data directory.
        data_directory: PathBuf,
        /// Process id of the server.
        pid: u32,
    },
}

impl SandboxError {
    /// What to do next, where there is something to do.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Binaries(not_found) => Some(not_found.hint()),
            Self::NoAccount => Some("run as an ordinary user, or create the user `postgres`".to_owned()),
            Self::NotReachable { .. } => {
                Some("run as the directory's owner, or place the cluster elsewhere".to_owned())
            }
            Self::Damaged { data_directory, .. } => Some(format!(
                "restore it from a backup, or delete `{}` and all data in it",
                data_directory.display()
            )),
            Self::OtherMajor { data_directory, missing } => Some(format!(
                "{}, or delete `{}` and all data in it",
                missing.hint(),
                data_directory.display()
            )),
            Self::NotOurs { .. } => Some("choose an empty or new directory".to_owned()),
            Self::Busy { directory } => Some(format!(
                "see which process holds `{}`",
                directory.join(crate::persistent::LOCK).display()
            )),
            Self::SocketLost { pid, .. } => Some(format!("stop it with `kill -INT {pid}` and try again")),
            Self::File { .. } | Self::Spawn { .. } | Self::Failed { .. } | Self::Start { .. } => None,
        }
    }

    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn spawn(program: &Path) -> impl FnOnce(io::Error) -> Self {
        let program = program.to_owned();
        move |source| Self::Spawn { program, source }
    }
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Binaries(not_found) => not_found.fmt(f),
            Self::NoAccount => {
                write!(
                    f,
                    "PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`"
                )
            }
            Self::NotReachable { directory, uid } => {
                write!(f, "user {uid}, whom the server runs as, may not enter `{}`", directory.display())
            }
            Self::File { action, path, .. } => write!(f, "cannot {action} `{}`", path.display()),
            Self::Spawn { program, .. } => write!(f, "cannot run `{}`", program.display()),
            Self::Failed { program, message } => write!(f, "`{program}` failed: {}", message.trim_end()),
            Self::Start { data_directory, log } => {
                write!(f, "the server on `{}` did not start: {}", data_directory.display(), log.trim_end())
            }
            Self::Damaged { data_directory, what } => {
                write!(f, "the data directory `{}` is damaged: {what}", data_directory.display())
            }
            Self::OtherMajor { data_directory, missing } => {
                write!(f, "the data in `{}` cannot be used: {missing}", data_directory.display())
            }
            Self::NotOurs { directory } => {
                write!(f, "`{}` is neither empty nor a cluster made here", directory.display())
            }
            Self::Busy { directory } => {
                write!(
                    f,
                    "another process keeps starting or stopping the cluster in `{}`",
                    directory.display()
                )
            }
            Self::SocketLost { data_directory, pid } => {
                write!(f, "server {pid} runs on `{}`, but its socket is gone", data_directory.display())
            }
        }
    }
}

impl Error for SandboxError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File { source, .. } | Self::Spawn { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<NotFound> for SandboxError {
    fn from(not_found: NotFound) -> Self {
        Self::Binaries(Box::new(not_found))
    }
}
