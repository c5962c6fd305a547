//! What `cargo metadata` says of the workspace, as far as it is asked for here.
//!
//! Not by the crate `cargo_metadata`: it asks for a feature of `serde_json` that nothing else needs, so that tests would
//! compile whatever depends on `serde_json` a second time, which is nearly everything.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

use crate::root;

#[derive(Deserialize)]
pub struct Metadata {
    /// The members of the workspace.
    pub packages: Vec<Package>,
}

#[derive(Deserialize)]
pub struct Package {
    pub name: String,
    pub manifest_path: PathBuf,
    pub dependencies: Vec<Dependency>,
    pub description: Option<String>,
    pub license: Option<String>,
    pub readme: Option<PathBuf>,
    pub keywords: Vec<String>,
    pub categories: Vec<String>,
    /// The registries it may be published to: any where there is no list.
    pub publish: Option<Vec<String>>,
}

#[derive(Deserialize)]
pub struct Dependency {
    pub name: String,
    /// `dev`, `build`, or none for an ordinary one.
    pub kind: Option<String>,
    pub optional: bool,
    /// Where it is, if it is a member of the workspace.
    pub path: Option<PathBuf>,
    pub req: String,
}

pub fn metadata() -> Metadata {
    let mut command = Command::new(env!("CARGO"));
    command.args(["metadata", "--format-version", "1", "--no-deps"]).current_dir(root());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}
