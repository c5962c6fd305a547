//! Running a program and looking at it from outside: how long it took, how much memory it had.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use benches::Size;

use super::Bench;

/// How soon a process is looked at again where its memory is measured, whose peak the system keeps: at first at once, since it
/// may be over soon, and ever more rarely the longer it takes.
const SOONEST: Duration = Duration::from_millis(1);
const LATEST: Duration = Duration::from_millis(100);

/// What was seen of a process that succeeded.
pub(super) struct Seen {
    pub(super) elapsed: Duration,
    /// Peak of its resident memory; nothing where the system does not tell.
    pub(super) peak_bytes: Option<u64>,
}

/// The programs under measurement.
pub(super) struct Programs {
    /// The command line over the services of the workspace.
    migrate: PathBuf,
    /// The command line over services of small migrations.
    synthetic: PathBuf,
    /// What applies the same small migrations with sea-orm-migration alone.
    pub(super) plain: PathBuf,
}

impl Programs {
    /// Makes release builds.
    pub(super) fn build() -> anyhow::Result<Self> {
        let status = cargo()?
            .args(["build", "--release", "--quiet", "-p", "xtask", "--bin", "migrate"])
            .args(["-p", "benches", "--bin", "synthetic", "--bin", "plain"])
            .status()?;
        ensure!(status.success(), "the release build failed");
        Self::in_directory(&root()?.join("target/release"))
    }

    /// Those that were built before; one that is missing is named where it is first run.
    pub(super) fn in_directory(directory: &Path) -> anyhow::Result<Self> {
        let directory = directory.canonicalize().with_context(|| directory.display().to_string())?;
        let program = |name: &str| directory.join(name);
        Ok(Self { migrate: program("migrate"), synthetic: program("synthetic"), plain: program("plain") })
    }
}

/// The root of the workspace.
pub(super) fn root() -> anyhow::Result<&'static Path> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("this package has a workspace")
}

/// Cargo in the workspace, without what cargo itself has told this program of its own package: builds that depend on such
/// variables would be made again, and once more by the next command of a person.
pub(super) fn cargo() -> anyhow::Result<Command> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(root()?);
    for (name, _) in env::vars_os() {
        let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
        if name.to_str().is_some_and(|name| told.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

impl Bench {
    /// The command line over the services of the workspace, on a database of its own.
    pub(super) fn migrate(&self, url: &str, arguments: &[&str]) -> Command {
        over(&self.programs.migrate, url, arguments)
    }

    /// The command line over services of small migrations, on a database of its own.
    pub(super) fn synthetic(&self, url: &str, size: Size, arguments: &[&str]) -> Command {
        let mut command = over(&self.programs.synthetic, url, &["--size", &size.argument()]);
        command.args(arguments);
        command
    }
}

/// A program with its database in the environment.
pub(super) fn over(program: &Path, url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    // Elsewhere, so that no `.env` of the workspace is read.
    command.args(arguments).env("DATABASE_URL", url).current_dir("/");
    command
}

/// Runs it to its end; how long that took.
pub(super) fn timed(command: &mut Command) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let elapsed = begun.elapsed();
    succeeded(command, &output)?;
    Ok(elapsed)
}

/// Runs it to its end and looks at its memory meanwhile, which is why durations are better taken with [`timed`].
pub(super) fn watched(command: &mut Command) -> anyhow::Result<Seen> {
    let begun = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("{command:?}"))?;
    let mut peak_bytes = None;
    while child.try_wait()?.is_none() {
        peak_bytes = peak_of(&child).max(peak_bytes);
        thread::sleep((begun.elapsed() / 50).clamp(SOONEST, LATEST));
    }
    let elapsed = begun.elapsed();
    succeeded(command, &child.wait_with_output()?)?;
    Ok(Seen { elapsed, peak_bytes })
}

/// Sends a signal to a process that was started here, by name.
pub(super) fn signal(child: &Child, name: &str) -> anyhow::Result<()> {
    let status = Command::new("kill").args(["-s", name, &child.id().to_string()]).status()?;
    ensure!(status.success(), "`kill -s {name}` failed");
    Ok(())
}

/// The highest resident memory so far, from `/proc`.
fn peak_of(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn succeeded(command: &Command, output: &Output) -> anyhow::Result<()> {
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
