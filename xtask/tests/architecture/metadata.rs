//! What `cargo metadata` says of the workspace, as far as it is asked for here.
//!
//! Not by the crate `cargo_metadata`: it asks for a feature of `serde_json` that nothing else needs, so that tests would
//! compile whatever depends on `serde_json` a second time, which is nearly everything.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::root;

#[derive(Deserialize)]
pub(crate) struct Metadata {
    /// The members of the workspace.
    pub(crate) packages: Vec<Package>,
}

#[derive(Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) manifest_path: PathBuf,
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) description: Option<String>,
    pub(crate) license: Option<String>,
    pub(crate) readme: Option<PathBuf>,
    pub(crate) keywords: Vec<String>,
    pub(crate) categories: Vec<String>,
    /// The registries it may be published to: any where there is no list.
    pub(crate) publish: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// `dev`, `build`, or none for an ordinary one.
    pub(crate) kind: Option<String>,
    pub(crate) optional: bool,
    /// Where it is, if it is a member of the workspace.
    pub(crate) path: Option<PathBuf>,
    pub(crate) req: String,
}

pub(crate) fn metadata() -> Metadata {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
