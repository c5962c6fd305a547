//! A command of the shell as the place of backups, for stores that only a program of their own reaches: it keeps what it reads, under
//! the name that it finds in `MIGRATE_BACKUP_NAME`, and another one gives that back. What it does with it cannot be looked at.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_timer::Delay;
use migration_coordinator::{Cancellation, RunError};
use sha2::{Digest, Sha256};

use crate::BackupError;
use crate::archive::Temporary;
use crate::manifest::hex;
use crate::program::Running;

/// The variable with the name of what is kept or given.
const NAME: &str = "MIGRATE_BACKUP_NAME";
/// How much is passed on at once.
const CHUNK: usize = 256 * 1024;
/// How often it is looked whether all has been passed on.
const PAUSE: Duration = Duration::from_millis(20);

/// A command of the shell that keeps backups, gives them, or makes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipe {
    /// The command.
    pub command: String,
    /// Variables of the environment that it does not get: addresses and passwords.
    pub withheld: Vec<String>,
}

/// A backup that a command has given. It is removed with this value.
pub struct Fetched {
    archive: PathBuf,
    _directory: Temporary,
}

impl Fetched {
    /// The archive, with its manifest beside it.
    #[must_use]
    pub fn archive(&self) -> &Path {
        &self.archive
    }
}

/// Has a command give an archive and its manifest, into a new directory below this one.
///
/// # Errors
/// [`BackupError::Command`] if it does not end well, [`BackupError::File`] if what it gives cannot be written.
pub async fn fetch(
    pipe: &Pipe,
    name: &str,
    below: &Path,
    cancellation: &Cancellation,
) -> Result<Fetched, BackupError> {
    let name = Path::new(name).with_extension("dump");
    let of = |file: &Path| file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    std::fs::create_dir_all(below).map_err(BackupError::writing(below))?;
    let directory = below.join(format!(".{}-{:016x}.part", of(&name), fastrand::u64(..)));
    let made = Temporary::make_directory(directory.clone()).map_err(BackupError::writing(&directory))?;
    let archive = directory.join(of(&name));
    // The manifest first: without one there is no backup.
    for file in [archive.with_extension("json"), archive.clone()] {
        let new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file);
        let new = new.map_err(BackupError::writing(&file))?;
        let failed = |says| BackupError::Command { does: "give", name: of(&file), says };
        let giving = Running::group(pipe.shell(&of(&file)).stdin(Stdio::null()).stdout(new));
        let giving = giving.map_err(|error| failed(error.to_string()))?;
        let given = cancellation.unless_cancelled(giving.end(async || {})).await;
        given.ok_or(RunError::Interrupted)?.map_err(failed)?;
    }
    Ok(Fetched { archive, _directory: made })
}

impl Pipe {
    /// The command for something of this name.
    pub(crate) fn shell(&self, name: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(&self.command).env(NAME, name).process_group(0);
        for variable in &self.withheld {
            shell.env_remove(variable);
        }
        shell
    }

    /// Has it keep a text.
    pub(crate) async fn keep_text(
        &self,
        name: &str,
        text: &str,
        cancellation: &Cancellation,
    ) -> Result<(), BackupError> {
        let failed = |says| BackupError::Command { does: "keep", name: name.to_owned(), says };
        let mut keeping = self.keep(name)?;
        let mut stdin = keeping.stdin.take();
        if let Some(Err(error)) = stdin.as_mut().map(|stdin| stdin.write_all(text.as_bytes())) {
            // Why it does not read, it says itself.
            cancellation
                .unless_cancelled(keeping.running.end(async || {}))
                .await
                .transpose()
                .map_err(failed)?;
            return Err(failed(error.to_string()));
        }
        drop(stdin);
        let kept = cancellation.unless_cancelled(keeping.running.end(async || {})).await;
        kept.ok_or(RunError::Interrupted)?.map_err(failed)
    }

    /// Begins to have it keep something.
    pub(crate) fn keep(&self, name: &str) -> Result<Keeping, BackupError> {
        let failed = |error: io::Error| BackupError::Command {
            does: "keep",
            name: name.to_owned(),
            says: error.to_string(),
        };
        let mut shell = self.shell(name);
        let mut running =
            Running::group(shell.stdin(Stdio::piped()).stdout(Stdio::null())).map_err(failed)?;
        let stdin = running.stdin();
        Ok(Keeping { running, stdin, name: name.to_owned(), written: Arc::default() })
    }
}

/// A command at work that keeps something. Dropped, it is killed, before it could take what it has read for all there is.
pub(crate) struct Keeping {
    // Dropped in this order.
    running: Running,
    stdin: Option<ChildStdin>,
    name: String,
    written: Arc<AtomicU64>,
}

impl Keeping {
    /// How many bytes it has got.
    pub(crate) fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    /// Begins to pass on what a program prints.
    pub(crate) fn take(&mut self, stdout: Option<ChildStdout>) -> Option<Passing> {
        let (stdout, stdin, written) = (stdout?, self.stdin.take()?, self.written());
        Some(thread::spawn(move || pass(stdout, stdin, &written)))
    }

    /// Ends it after the program that printed. Gives size and SHA-256 of what was passed on once the command has ended; a program that
    /// has failed ends the command.
    pub(crate) async fn finish(
        self,
        passing: Option<Passing>,
        printed: Result<(), BackupError>,
        mut meanwhile: impl AsyncFnMut(),
    ) -> Result<(u64, String), BackupError> {
        let Self { running, name, .. } = self;
        let failed = |says| BackupError::Command { does: "keep", name: name.clone(), says };
        let passing = passing.ok_or_else(|| failed("it could not be connected".to_owned()))?;
        while !passing.is_finished() {
            Delay::new(PAUSE).await;
            meanwhile().await;
        }
        let (passed, stdin) = passing.join().map_err(|_| failed("it could not be fed".to_owned()))?;
        match (printed, passed) {
            (Ok(_), Ok(passed)) => {
                drop(stdin);
                running.end(meanwhile).await.map_err(failed)?;
                Ok(passed)
            }
            (Err(error), Ok(_)) => {
                drop(running);
                drop(stdin);
                Err(error)
            }
            // It does not read any more: then it says why, and the program only that it was cut off.
            (_, Err(error)) => {
                drop(stdin);
                running.end(meanwhile).await.map_err(&failed)?;
                Err(failed(format!("it ended before it had read everything: {error}")))
            }
        }
    }
}

/// What is passed on, by a thread of its own.
pub(crate) type Passing = JoinHandle<(io::Result<(u64, String)>, ChildStdin)>;

/// Passes everything on, and gives the end that is still open.
fn pass(
    mut from: ChildStdout,
    mut to: ChildStdin,
    written: &AtomicU64,
) -> (io::Result<(u64, String)>, ChildStdin) {
    let (mut digest, mut chunk) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        match from.read(&mut chunk).and_then(|n_read| to.write_all(&chunk[..n_read]).map(|()| n_read)) {
            Err(error) => return (Err(error), to),
            Ok(0) => return (Ok((written.load(Ordering::SeqCst), hex(&digest.finalize()))), to),
            Ok(n_read) => {
                digest.update(&chunk[..n_read]);
                written.fetch_add(n_read as u64, Ordering::SeqCst);
            }
        }
    }
}
