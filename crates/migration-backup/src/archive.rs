//! What is in an archive, and which of it is the service's.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use migration_kit::ServiceName;
use postgres_sandbox::Clients;
use sha2::{Digest, Sha256};

use crate::BackupError;
use crate::manifest::{Manifest, hex};
use crate::program::Running;

/// A file that is removed unless it is kept. It is locked for as long as it is made: one that is not was left by a process that
/// was killed.
pub(crate) struct Temporary {
    path: Option<PathBuf>,
    _locked: File,
}

impl Temporary {
    /// Makes the file, which nobody else may read.
    pub(crate) fn make(path: PathBuf) -> io::Result<Self> {
        loop {
            let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
            // Where files cannot be locked, nobody removes what may be at work.
            drop(file.lock());
            // Otherwise somebody has taken it for a leftover before it was locked.
            if file.metadata()?.nlink() > 0 {
                return Ok(Self { path: Some(path), _locked: file });
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.path.as_deref().expect("it is taken where it is kept")
    }

    /// Writes it to the disk, and gives it its name.
    pub(crate) fn keep(mut self, name: &Path) -> io::Result<()> {
        let path = self.path();
        fs::File::open(path)?.sync_all()?;
        fs::rename(path, name)?;
        self.path = None;
        let directory = name.parent().filter(|parent| !parent.as_os_str().is_empty());
        fs::File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Where it is gone already, nothing is left to do.
        drop(self.path.as_ref().map(fs::remove_file));
    }
}

/// Whether nobody makes this file any more; then nobody takes it up either while `then` is at work.
pub(crate) fn is_left<T>(path: &Path, then: impl FnOnce() -> T) -> Option<T> {
    let file = File::open(path).ok()?;
    match file.try_lock() {
        Ok(()) => Some(then()),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// Size and SHA-256 of a file.
pub(crate) fn fingerprint(path: &Path) -> io::Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let (mut digest, mut size, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let n_read = file.read(&mut buffer)?;
        if n_read == 0 {
            return Ok((size, hex(&digest.finalize())));
        }
        digest.update(&buffer[..n_read]);
        size += n_read as u64;
    }
}

/// The list of what is restored of an archive, as `pg_restore` takes it: all of it but the schema itself, and in a shared schema only what is the
/// service's. Functions and types of these names are there already.
pub(crate) async fn contents(
    clients: &Clients,
    service: &ServiceName,
    archive: &Path,
    manifest: &Manifest,
    present: &BTreeSet<String>,
) -> Result<String, BackupError> {
    let failed = |says| BackupError::Program { service: service.clone(), program: "pg_restore", says };
    let mut command = Command::new(clients.pg_restore());
    command.arg("--list").arg(archive).stdout(Stdio::piped());
    let mut running = Running::start(&mut command).map_err(|error| failed(error.to_string()))?;
    let mut listed = String::new();
    let reading = running.stdout().map_or(Ok(0), |mut stdout| stdout.read_to_string(&mut listed));
    reading.map_err(BackupError::reading(archive))?;
    running.end(async || {}).await.map_err(failed)?;
    let kept = listed.lines().filter(|line| is_restored(line, manifest, present));
    Ok(kept.map(|line| format!("{line}\n")).collect())
}

/// Where a program finds the list that it is fed.
pub(crate) const FED: &str = "/dev/stdin";

/// Whether a line of the list is of something that is restored: `215; 1259 16389 TABLE public messages owner`.
fn is_restored(line: &str, manifest: &Manifest, present: &BTreeSet<String>) -> bool {
    /// What belongs to nobody who shares a schema, and is in the archive since it is in the schema.
    const OTHERS: [&str; 5] = ["OPERATOR", "COLLATION", "CONVERSION", "TEXT SEARCH", "DEFAULT ACL"];
    const NAMED: [&str; 5] = ["FUNCTION", "PROCEDURE", "AGGREGATE", "TYPE", "DOMAIN"];
    let Some((_, entry)) = line.split_once("; ") else { return false };
    let entry = entry.splitn(3, ' ').nth(2).unwrap_or_default();
    if entry.starts_with("SCHEMA ") {
        return false;
    }
    let others = ["ACL - SCHEMA", "COMMENT - SCHEMA"].into_iter().chain(OTHERS);
    if manifest.shared && others.into_iter().any(|other| entry.starts_with(other)) {
        return false;
    }
    let schema = &manifest.schema;
    let named = NAMED.iter().find_map(|kind| {
        let prefixes = [
            format!("{kind} {schema} "),
            format!("ACL {schema} {kind} "),
            format!("COMMENT {schema} {kind} "),
        ];
        prefixes.iter().find_map(|prefix| entry.strip_prefix(prefix.as_str()))
    });
    named.is_none_or(|name| {
        let is_it =
            |own: &String| name.strip_prefix(own.as_str()).is_some_and(|rest| rest.starts_with(['(', ' ']));
        (!manifest.shared || manifest.functions_and_types.iter().any(is_it)) && !present.iter().any(is_it)
    })
}
