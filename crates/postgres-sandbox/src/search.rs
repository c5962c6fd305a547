//! Where PostgreSQL binaries may lie, what was found in each place, and whether some are fetched if there are none.

use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::release::Release;
use crate::{Binaries, Clients, Install, Platform, ServerVersion, Unfetched, cache, fetch};

/// Set to a major version: the pinned programs of this version are used, whatever else the machine has. So a suite of
/// tests, and the programs that it starts, run on each version.
const MAJOR: &str = "MIGRATE_TEST_POSTGRES";
/// Set to `never`: nothing is fetched.
const DOWNLOAD: &str = "MIGRATE_POSTGRES_DOWNLOAD";

/// Parent directory, prefix of the versioned directory in it, and the rest of the way.
const VERSIONED: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// Directories to look into for PostgreSQL binaries, in order, and where to fetch some to if they hold none.
#[derive(Debug, Clone)]
pub struct Search {
    directories: Vec<PathBuf>,
    /// Where client programs may lie without a server.
    clients: Vec<PathBuf>,
    major: Option<u32>,
    cache: Result<PathBuf, Unfetched>,
}

/// Why a directory was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// It lacks this program.
    Lacks(&'static str),
    /// Its version is not supported.
    TooOld(ServerVersion),
    /// Its version is not the one asked for.
    OtherVersion(ServerVersion),
    /// One of its programs needs this shared library, which the machine lacks.
    LacksLibrary(String),
    /// Its `postgres` cannot be run.
    Unusable,
}

/// A directory that was looked at and passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The directory.
    pub directory: PathBuf,
    /// Why it was passed over.
    pub rejection: Rejection,
}

/// No usable PostgreSQL binaries: what was looked at, and how to get some.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotFound {
    /// The major version asked for; without one, any supported version would have done.
    pub major: Option<u32>,
    /// The directories, in the order in which they were looked at.
    pub looked: Vec<Looked>,
    /// Why none were fetched.
    pub unfetched: Unfetched,
    /// How to install PostgreSQL on this platform, where that is known.
    pub install: Option<Install>,
}

impl Default for Search {
    /// Looks nowhere and fetches nothing.
    fn default() -> Self {
        Self { directories: Vec::new(), clients: Vec::new(), major: None, cache: Err(Unfetched::NotAsked) }
    }
}

impl Search {
    /// Looks into `PATH`, asks `pg_config`, tries where Debian, Fedora, Alpine, Homebrew and Postgres.app install, then
    /// the cache; fetches into that, unless `MIGRATE_POSTGRES_DOWNLOAD` is `never`. Where `MIGRATE_TEST_POSTGRES` is a
    /// major version, it is [`Search::pinned`] of that version.
    #[must_use]
    pub fn from_environment() -> Self {
        if let Some(major) = variable(MAJOR) {
            // What is no number is no version that anybody has, and is refused as such.
            return Self::pinned().only_major(major.to_str().and_then(|text| text.parse().ok()).unwrap_or(0));
        }
        let path = variable("PATH").unwrap_or_default();
        let pinned = Self::pinned();
        let machine = Self::in_path(&path).and(asked_of_pg_config(&path)).and(packaged());
        let clients = std::env::split_paths(&path).collect();
        Self { cache: pinned.cache, clients, ..machine.and(pinned.directories) }
    }

    /// Looks into the cache only, and fetches into it unless `MIGRATE_POSTGRES_DOWNLOAD` is `never`.
    #[must_use]
    pub fn pinned() -> Self {
        let cache = cache::directory(variable("XDG_CACHE_HOME"), variable("HOME"));
        let directories = cache.as_deref().map(cache::programs).unwrap_or_default();
        let search = Self { directories, cache: cache.ok_or(Unfetched::NoCache), ..Self::default() };
        if variable(DOWNLOAD).is_some_and(|value| value == "never") { search.offline() } else { search }
    }

    /// Fetches nothing, because it is forbidden.
    #[must_use]
    pub fn offline(self) -> Self {
        Self { cache: Err(Unfetched::Forbidden), ..self }
    }

    /// Fetches nothing: for questions that change nothing.
    #[must_use]
    pub fn only_present(self) -> Self {
        Self { cache: Err(Unfetched::NotAsked), ..self }
    }

    /// Looks into the directories of a `PATH`. A symbolic link is followed: the programs beside its target are taken,
    /// because a link on `PATH` may stand alone, and Debian's own `psql` there is a wrapper.
    #[must_use]
    pub fn in_path(path: &OsStr) -> Self {
        let real = std::env::split_paths(path)
            .filter_map(|directory| fs::canonicalize(directory.join("postgres")).ok())
            .filter_map(|postgres| postgres.parent().map(Path::to_owned));
        Self::default().and(real)
    }

    /// Adds directories, to be looked into last.
    #[must_use]
    pub fn and(mut self, directories: impl IntoIterator<Item = PathBuf>) -> Self {
        for directory in directories {
            if !self.directories.contains(&directory) {
                self.directories.push(directory);
            }
        }
        self
    }

    /// Accepts this major version only, because a data directory was made by it.
    #[must_use]
    pub fn only_major(mut self, major: u32) -> Self {
        self.major = Some(major);
        self
    }

    /// The programs with which a server of this major version is dumped and restored: those of the same version if there are
    /// some, else of the next newer one, else those that it fetched. An older `pg_dump` refuses a newer server.
    ///
    /// # Errors
    /// [`NotFound`] with what was looked at, and with the command that installs PostgreSQL on this platform.
    pub fn clients(self, major: u32) -> Result<Clients, NotFound> {
        let directories = self.directories.iter().chain(&self.clients);
        let found = directories.filter_map(|directory| Clients::in_directory(directory));
        let fitting = found.filter(|clients| clients.version().major >= major);
        // Of equal ones the first.
        match fitting.min_by_key(|clients| clients.version().major) {
            Some(clients) => Ok(clients),
            None => self.only_major(major).run().map(|binaries| Clients::of(&binaries)),
        }
    }

    /// Returns the first usable binaries, or else those that it fetched.
    ///
    /// # Errors
    /// [`NotFound`] with what was looked at, and with the command that installs PostgreSQL on this platform.
    pub fn run(self) -> Result<Binaries, NotFound> {
        let mut looked = Vec::new();
        for directory in self.directories {
            let rejection = match Binaries::in_directory(&directory) {
                Ok(found) if self.major.is_none_or(|major| major == found.server_version().major) => {
                    return Ok(found);
                }
                Ok(other) => Rejection::OtherVersion(other.server_version()),
                Err(rejection) => rejection,
            };
            looked.push(Looked { directory, rejection });
        }
        let fetched = self.cache.and_then(|cache| {
            let release = Release::of(self.major).ok_or(Unfetched::NoRelease)?;
            fetch::fetch(&release, &cache)
        });
        fetched.map_err(|unfetched| {
            let install = Platform::this().install(self.major);
            NotFound { major: self.major, looked, unfetched, install }
        })
    }
}

/// A variable that is not empty. Where programs lie and whether they may be fetched is a matter of the machine.
fn variable(name: &str) -> Option<OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "it locates programs; the command line reads what configures it"
    )]
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// What `pg_config` names, if it is installed.
fn asked_of_pg_config(path: &OsStr) -> Option<PathBuf> {
    let pg_config =
        std::env::split_paths(path).map(|directory| directory.join("pg_config")).find(|p| p.is_file())?;
    let output = Command::new(pg_config).arg("--bindir").output().ok()?;
    let directory = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(directory.trim())).filter(|directory| directory.is_absolute())
}

/// Where packages install: newest version first in each place. Existing directories only, but for the plainest one.
fn packaged() -> Vec<PathBuf> {
    let mut directories = Vec::new();
    for (parent, prefix, rest) in VERSIONED {
        let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(parent)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
                Some((version, entry.path().join(rest)))
            })
            .collect();
        versions.sort_unstable_by(|left, right| right.cmp(left));
        directories.extend(versions.into_iter().map(|(_, directory)| directory));
    }
    directories.push(PathBuf::from("/usr/bin"));
    directories
}

impl NotFound {
    /// The command to run next.
    #[must_use]
    pub fn hint(&self) -> String {
        self.install.as_ref().map_or_else(
            || "install PostgreSQL 15 or later, or name a server with `DATABASE_URL`".to_owned(),
            |install| format!("install it with `{install}`, or name a server with `DATABASE_URL`"),
        )
    }
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = match self.major {
            Some(major) => major.to_string(),
            None => format!("{} or later", ServerVersion::OLDEST.major),
        };
        write!(f, "found no PostgreSQL {wanted} on this machine")?;
        for (place, Looked { directory, rejection }) in self.looked.iter().enumerate() {
            let separator = if place == 0 { "; looked in " } else { ", " };
            write!(f, "{separator}`{}` ({rejection})", directory.display())?;
        }
        if self.unfetched == Unfetched::NotAsked { Ok(()) } else { write!(f, "; {}", self.unfetched) }
    }
}

impl Error for NotFound {}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lacks(program) => write!(f, "no `{program}`"),
            Self::TooOld(version) => write!(f, "{version} is too old"),
            Self::OtherVersion(version) => write!(f, "is {version}"),
            Self::LacksLibrary(library) => write!(f, "the shared library `{library}` is missing"),
            Self::Unusable => write!(f, "its `postgres` cannot be run"),
        }
    }
}

impl Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_real_binaries() {
        let binaries = Binaries::find().expect("PostgreSQL is needed for these tests");
        assert!(binaries.server_version() >= ServerVersion::OLDEST);
        let psql = fs::read(binaries.psql()).expect("psql can be read");
        assert!(!psql.starts_with(b"#!"), "`{}` is a wrapper", binaries.psql().display());
    }

    #[test]
    fn nothing_found_names_the_places() {
        let places = ["/nowhere/bin", "/nowhere/else"].map(PathBuf::from);
        let not_found = Search::default().and(places).run().expect_err("there is nothing");
        assert_eq!(
            not_found.to_string(),
            "found no PostgreSQL 15 or later on this machine; \
             looked in `/nowhere/bin` (no `postgres`), `/nowhere/else` (no `postgres`)"
        );
    }

    #[test]
    fn another_major_version_is_passed_over() {
        let found = Binaries::find().expect("PostgreSQL is needed for these tests");
        let search = Search::default().and([found.directory().to_owned()]).only_major(7);
        let not_found = search.run().expect_err("nobody has version 7");
        assert!(not_found.to_string().starts_with("found no PostgreSQL 7 on this machine"), "{not_found}");
        assert_eq!(not_found.looked[0].rejection, Rejection::OtherVersion(found.server_version()));
    }

    #[test]
    fn client_programs_are_of_the_server_s_version_or_newer() {
        let found = Binaries::find().expect("PostgreSQL is needed for these tests");
        let search = || Search::default().and([PathBuf::from("/nowhere"), found.directory().to_owned()]);
        let ours = found.server_version().major;
        for major in [ours, ours - 1] {
            assert_eq!(search().clients(major).expect("they are there"), Clients::of(&found));
        }
        let too_old = search().clients(ours + 1).expect_err("an older program refuses a newer server");
        assert_eq!(too_old.looked[1].rejection, Rejection::OtherVersion(found.server_version()));
    }

    #[test]
    fn an_empty_path_is_no_error() {
        assert!(Search::in_path(OsStr::new("")).run().expect_err("there is nothing").looked.is_empty());
    }
}
