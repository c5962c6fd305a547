//! What must always hold of this workspace and no compiler checks: who may depend on whom, how files are laid out, and
//! that the documents say what is true.
//!
//! Nothing is built or run here but `cargo metadata` and `cargo tree`.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod arrows;
mod circles;
mod commands;
mod documents;
mod files;
mod metadata;
mod prose;

use std::fs;
use std::path::{Path, PathBuf};

/// The workspace's own directory.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// A file of the workspace.
fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a directory of the workspace holds, sorted.
fn list(directory: impl AsRef<Path>) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Files with this extension below a directory of the workspace; hidden directories and `target` are left out.
fn below(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for path in list(directory) {
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(below(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found
}

/// A path as one would write it from the workspace's directory.
fn relative(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

/// Names of the services: their directories.
fn services() -> Vec<String> {
    list("services").iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

/// Fails with all that is wrong at once.
#[track_caller]
fn nothing_wrong(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
