//! An empty directory that is removed with its owner, and commands in it.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Open to all: as root, the embedded server runs as another account and must reach its data.
const MODE: u32 = 0o755;

/// A program and what its command line begins with.
type Program = &'static [&'static str];

/// `cargo xtask migrate`, over the real services.
const XTASK: Program = &[env!("CARGO_BIN_EXE_xtask"), "migrate"];

/// The program over the demo service.
const DEMO: Program = &[env!("CARGO_BIN_EXE_demo")];

/// A new directory below the system's one for temporary files.
pub(crate) struct Directory {
    path: PathBuf,
    program: Program,
}

impl Directory {
    pub(crate) fn new() -> Self {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("e2e_{}_{call}", std::process::id()));
        fs::DirBuilder::new().mode(MODE).create(&path).unwrap();
        // What a command finds by its working directory is the real path.
        Self { path: fs::canonicalize(path).unwrap(), program: XTASK }
    }

    /// One in which commands are the demo's.
    pub(crate) fn of_demo() -> Self {
        let mut directory = Self::new();
        directory.program = DEMO;
        directory
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path.join(name), text).unwrap();
    }

    /// Puts the list of a service's migrations and its README below `services`, as in the source tree.
    pub(crate) fn copy_source(&self, service: &str) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services").join(service);
        let to = self.path.join("services").join(service);
        fs::create_dir_all(to.join("src")).unwrap();
        for file in ["src/lib.rs", "README.md"] {
            fs::copy(from.join(file), to.join(file)).unwrap();
        }
    }

    /// Copies what of the workspace names or declares its packages, into the same places.
    pub(crate) fn copy_workspace(&self) {
        fn copy(from: &Path, to: &Path) {
            fs::create_dir_all(to).unwrap();
            for entry in fs::read_dir(from).unwrap() {
                let (path, name) = (entry.as_ref().unwrap().path(), entry.unwrap().file_name());
                if path.is_dir() {
                    copy(&path, &to.join(name));
                } else {
                    fs::copy(&path, to.join(name)).unwrap();
                }
            }
        }
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for directory in [".ci", ".gitlab", "benches", "crates", "services", "tests", "xtask"] {
            copy(&root.join(directory), &self.path.join(directory));
        }
        for file in [".env.example", "Cargo.lock", "Cargo.toml", "rustfmt.toml"] {
            fs::copy(root.join(file), self.path.join(file)).unwrap();
        }
    }

    /// `migrate` with these arguments in this directory, and of the environment only what finds programs.
    pub(crate) fn command(&self, arguments: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(self.program[0]);
        command.args(&self.program[1..]).args(arguments).current_dir(&self.path).env_clear();
        let finding = ["PATH", "HOME", "XDG_CACHE_HOME", "MIGRATE_TEST_POSTGRES"];
        command.envs(std::env::vars_os().filter(|(name, _)| finding.iter().any(|finds| name == finds)));
        command
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.path));
    }
}
