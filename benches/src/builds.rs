//! How long the compiler takes: from nothing for one service, for everything and for a release, and after an edit of one
//! migration until the program has started. Against nothing, since no other tool of this kind is compiled.
//!
//! Into a directory of its own below `target`, which is emptied before. Downloads do not count: they are made before.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};

use super::figure::{Figures, milliseconds, tell};
use super::process::{cargo, root};

/// Builds from nothing: what they are called, and what they build.
const COLD: [(&str, &[&str]); 3] = [
    ("one service", &["build", "-p", "chat-migration"]),
    ("everything, with tests and benchmarks", &["build", "--workspace", "--all-targets"]),
    ("a release of the program `migrate`", &["build", "--release", "-p", "xtask", "--bin", "migrate"]),
];

/// The migration that is touched.
const TOUCHED: &str = "services/chat/src/m20251016_000001_create_messages.rs";

/// How long the program may take to start after an edit.
const START: Duration = Duration::from_secs(3);

/// What the figures are taken on.
pub(super) fn describe() -> anyhow::Result<String> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let output = Command::new("rustc").arg("--version").stdin(Stdio::null()).output()?;
    Ok(format!("{}, {cores} cores", String::from_utf8_lossy(&output.stdout).trim()))
}

pub(super) fn measure(figures: &mut Figures) -> anyhow::Result<()> {
    let target = root()?.join("target/bench-build");
    ensure!(run(&target, &["fetch", "--locked"])?.1 == 0, "fetching compiles nothing");
    for (what, arguments) in COLD {
        tell(&format!("build: {what}"));
        empty(&target)?;
        let (took, n_packages) = run(&target, arguments)?;
        figures.remark(what, milliseconds(took), n_packages.to_string());
    }
    // `cargo xtask` as a developer has it: built once, in the profile of developers.
    tell("build: start after an edit");
    let start = ["run", "-p", "xtask", "--", "migrate", "--version"];
    let (took, n_packages) = run(&target, &start)?;
    figures.remark("`cargo xtask` beside a release", milliseconds(took), n_packages.to_string());
    let (took, _) = run(&target, &start)?;
    figures.remark("a start without an edit", milliseconds(took), "0".to_owned());
    File::open(root()?.join(TOUCHED))?.set_modified(SystemTime::now())?;
    let (took, n_packages) = run(&target, &start)?;
    figures.row(
        "a start after an edit of one migration",
        milliseconds(took),
        n_packages.to_string(),
        format!("at most {}", milliseconds(START)),
        took <= START,
    );
    empty(&target)
}

/// Runs cargo to its end; how long it took, and how many packages it compiled.
fn run(target: &Path, arguments: &[&str]) -> anyhow::Result<(Duration, usize)> {
    let begun = Instant::now();
    let mut command = cargo()?;
    let output = command.args(arguments).env("CARGO_TARGET_DIR", target).stdin(Stdio::null()).output()?;
    let elapsed = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}");
    let n_packages = said.lines().filter(|line| line.trim_start().starts_with("Compiling ")).count();
    Ok((elapsed, n_packages))
}

fn empty(target: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(target) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| target.display().to_string())
        }
        _ => Ok(()),
    }
}
