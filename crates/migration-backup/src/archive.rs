//! What is in an archive, and which of it is the service's.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use migration_kit::ServiceName;
use postgres_sandbox::Clients;
use sha2::{Digest, Sha256};

use crate::BackupError;
use crate::manifest::{ArchiveFile, Manifest, hex};
use crate::program::Running;

/// A file, or a directory of files, that is removed unless it is kept. It is locked for as long as it is made: one that is not was left by a process that
/// was killed.
pub(crate) struct Temporary {
    path: Option<PathBuf>,
    _locked: File,
}

impl Temporary {
    /// Makes the file, which nobody else may read.
    pub(crate) fn make(path: PathBuf) -> io::Result<Self> {
        Self::locked(path, |path| OpenOptions::new().write(true).create_new(true).mode(0o600).open(path))
    }

    /// Makes a directory, which nobody else may enter.
    pub(crate) fn make_directory(path: PathBuf) -> io::Result<Self> {
        Self::locked(path, |path| {
            DirBuilder::new().mode(0o700).create(path)?;
            File::open(path)
        })
    }

    fn locked(path: PathBuf, make: impl Fn(&Path) -> io::Result<File>) -> io::Result<Self> {
        loop {
            let file = make(&path)?;
            // Where files cannot be locked, nobody removes what may be at work.
            drop(file.lock());
            // Otherwise another process has taken it for a leftover before it was locked.
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
        for (_, file) in files(path)? {
            File::open(file)?.sync_all()?;
        }
        File::open(path)?.sync_all()?;
        fs::rename(path, name)?;
        self.path = None;
        let directory = name.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Where it is gone already, nothing is left to do.
        drop(self.path.as_deref().map(remove));
    }
}

/// Whether no process makes this file any more; then none takes it up either while `then` is at work.
pub(crate) fn is_left<T>(path: &Path, then: impl FnOnce() -> T) -> Option<T> {
    let file = File::open(path).ok()?;
    match file.try_lock() {
        Ok(()) => Some(then()),
        Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
    }
}

/// Removes an archive, be it a file or a directory of files.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// The files of an archive that is a directory, by name; of one that is a file, none.
fn files(path: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, file));
    }
    files.sort_unstable();
    Ok(files)
}

/// How many bytes an archive has until now.
pub(crate) fn size(path: &Path) -> u64 {
    let length = |path: &Path| fs::metadata(path).map_or(0, |found| found.len());
    match files(path) {
        Ok(files) if path.is_dir() => files.iter().map(|(_, file)| length(file)).sum(),
        _ => length(path),
    }
}

/// Size and SHA-256 of an archive, and of each of its files if it is a directory: its own SHA-256 is then that of what
/// `sha256sum` prints of them in the order of their names.
pub(crate) fn fingerprint(path: &Path) -> io::Result<(u64, String, Vec<ArchiveFile>)> {
    if !path.is_dir() {
        let (size, sha256) = of_file(path)?;
        return Ok((size, sha256, Vec::new()));
    }
    let (mut sum, mut digest, mut parts) = (0, Sha256::new(), Vec::new());
    for (name, file) in files(path)? {
        let (size_bytes, sha256) = of_file(&file)?;
        digest.update(format!("{sha256}  {name}\n"));
        sum += size_bytes;
        parts.push(ArchiveFile { name, size_bytes, sha256 });
    }
    Ok((sum, hex(&digest.finalize()), parts))
}

fn of_file(path: &Path) -> io::Result<(u64, String)> {
    let mut file = File::open(path)?;
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
    /// What belongs to no service of a shared schema, and is in the archive since it is in the schema.
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
