//! One directory of PostgreSQL binaries and its version. Where to look for it is [`Search`]'s part.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{NotFound, Rejection, Search};

/// What must lie beside `postgres` for a directory to be usable.
const NEEDED: [&str; 6] = ["postgres", "initdb", "pg_ctl", "psql", "pg_dump", "pg_restore"];

/// Version of a PostgreSQL server: `15.18`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerVersion {
    /// Major version; data directories of different ones are incompatible.
    pub major: u32,
    /// Minor version; 0 for a development version.
    pub minor: u32,
}

impl ServerVersion {
    /// The oldest version that is supported.
    pub const OLDEST: Self = Self { major: 15, minor: 0 };

    /// Reads what `postgres --version` prints: `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_setting(text.split_once("(PostgreSQL) ")?.1)
    }

    /// Reads what a server says in its setting `server_version`: `15.18 (Debian 15.18-0+deb12u1)`, `18beta1`.
    #[must_use]
    pub fn of_setting(text: &str) -> Option<Self> {
        let number = text.split_whitespace().next()?;
        let (major, minor) = number.split_once('.').unwrap_or((number, "0"));
        let digits = major.find(|c: char| !c.is_ascii_digit()).unwrap_or(major.len());
        Some(Self { major: major[..digits].parse().ok()?, minor: minor.parse().unwrap_or(0) })
    }
}

impl fmt::Display for ServerVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// PostgreSQL's programs of one version, all in one directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    // Invariant: holds every program of `NEEDED`, of a supported version; checked in `in_directory`.
    directory: PathBuf,
    version: ServerVersion,
}

impl Binaries {
    /// Finds the binaries: on `PATH`, from `pg_config`, where packages install them, then among those that were fetched
    /// before. Where there are none, it fetches them, and says so on standard error.
    ///
    /// # Errors
    /// [`NotFound`] with what was looked at, and with the command that installs PostgreSQL on this platform.
    pub fn find() -> Result<Self, NotFound> {
        Search::from_environment().run()
    }

    /// The binaries of this major version that we pin ourselves, fetched if need be, whatever else the machine has.
    ///
    /// # Errors
    /// [`NotFound`] if they cannot be fetched.
    pub fn of_major(major: u32) -> Result<Self, NotFound> {
        Search::pinned().only_major(major).run()
    }

    /// The binaries in this very directory.
    ///
    /// # Errors
    /// [`Rejection`] if one is missing, cannot be run or is too old.
    pub fn in_directory(directory: &Path) -> Result<Self, Rejection> {
        for program in NEEDED {
            if !directory.join(program).is_file() {
                return Err(Rejection::Lacks(program));
            }
        }
        let Some(version) = ServerVersion::parse(&version_of(&directory.join("postgres"))?) else {
            return Err(Rejection::Unusable);
        };
        if version < ServerVersion::OLDEST {
            return Err(Rejection::TooOld(version));
        }
        Ok(Self { directory: directory.to_owned(), version })
    }

    /// Runs each of the programs: one may lack a library that the server does without.
    pub(crate) fn all_run(self) -> Result<Self, Rejection> {
        NEEDED.iter().try_for_each(|program| version_of(&self.directory.join(program)).map(|_| ()))?;
        Ok(self)
    }

    /// Directory of the programs.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Version of the server.
    #[must_use]
    pub fn server_version(&self) -> ServerVersion {
        self.version
    }

    /// The server.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// Makes a data directory.
    #[must_use]
    pub fn initdb(&self) -> PathBuf {
        self.directory.join("initdb")
    }

    /// Stops a server.
    #[must_use]
    pub fn pg_ctl(&self) -> PathBuf {
        self.directory.join("pg_ctl")
    }

    /// The client; the real one, not the wrapper that Debian puts on `PATH`.
    #[must_use]
    pub fn psql(&self) -> PathBuf {
        self.directory.join("psql")
    }

    /// Writes a database out.
    #[must_use]
    pub fn pg_dump(&self) -> PathBuf {
        self.directory.join("pg_dump")
    }

    /// Reads back what `pg_dump` wrote.
    #[must_use]
    pub fn pg_restore(&self) -> PathBuf {
        self.directory.join("pg_restore")
    }

    /// Copies a running cluster; it lies beside the client.
    pub(crate) fn pg_basebackup(&self) -> PathBuf {
        self.directory.join("pg_basebackup")
    }

    /// The load generator, where it is installed: some platforms ship it in a package of its own.
    #[must_use]
    pub fn pgbench(&self) -> Option<PathBuf> {
        Some(self.directory.join("pgbench")).filter(|path| path.is_file())
    }
}

/// The programs that dump a database and restore it, of one version, in one directory. They need no server beside them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clients {
    directory: PathBuf,
    version: ServerVersion,
}

impl Clients {
    /// Those that lie beside a server.
    #[must_use]
    pub fn of(binaries: &Binaries) -> Self {
        Self { directory: binaries.directory.clone(), version: binaries.version }
    }

    /// Those in this directory, if both are there and can be run.
    pub(crate) fn in_directory(directory: &Path) -> Option<Self> {
        let version = |program| ServerVersion::parse(&version_of(&directory.join(program)).ok()?);
        let dump = version("pg_dump")?;
        let is_one = version("pg_restore")? == dump;
        is_one.then(|| Self { directory: directory.to_owned(), version: dump })
    }

    /// Their version.
    #[must_use]
    pub fn version(&self) -> ServerVersion {
        self.version
    }

    /// Writes a database out.
    #[must_use]
    pub fn pg_dump(&self) -> PathBuf {
        self.directory.join("pg_dump")
    }

    /// Reads back what `pg_dump` wrote.
    #[must_use]
    pub fn pg_restore(&self) -> PathBuf {
        self.directory.join("pg_restore")
    }
}

/// What a program prints with `--version`.
fn version_of(program: &Path) -> Result<String, Rejection> {
    let output = Command::new(program).arg("--version").output().map_err(|_| Rejection::Unusable)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(missing_library(&String::from_utf8_lossy(&output.stderr))
        .map_or(Rejection::Unusable, Rejection::LacksLibrary))
}

/// The shared library that the loader of Linux or macOS did not find.
fn missing_library(text: &str) -> Option<String> {
    let rest = ["error while loading shared libraries: ", "Library not loaded: "]
        .iter()
        .find_map(|words| Some(text.split_once(words)?.1))?;
    let name = rest.split([':', '\n']).next()?.trim();
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_named() {
        let check = |text, expected: &str| assert_eq!(missing_library(text).as_deref(), Some(expected));
        check(
            "postgres: error while loading shared libraries: libxml2.so.2: cannot open shared object file: No such \
             file or directory\n",
            "libxml2.so.2",
        );
        check(
            "dyld[41]: Library not loaded: /opt/lib/libicuuc.73.dylib\n  Referenced from: <…> /x/postgres\n",
            "/opt/lib/libicuuc.73.dylib",
        );
        assert_eq!(missing_library("postgres: killed"), None);
    }

    #[test]
    fn versions_are_read_as_the_server_prints_them() {
        let check = |text, major, minor| {
            assert_eq!(ServerVersion::parse(text), Some(ServerVersion { major, minor }), "{text}");
        };
        check("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15, 18);
        check("postgres (PostgreSQL) 17.2\n", 17, 2);
        check("postgres (PostgreSQL) 19devel\n", 19, 0);
        check("postgres (PostgreSQL) 18beta1\n", 18, 0);
        assert_eq!(ServerVersion::parse("postgres: not found"), None);
    }
}
