//! `cargo xtask artifacts`: makes `migrations.lock` and `schema.sql` of each service from what a server of its own saw
//! when all migrations ran on it, or checks that the files in the source tree are those,
//! that the entities have every column, and that what can be reverted has a `down`.
//!
//! It touches no database but its own. What a lock file is good for is the coordinator's part.

mod entities;
mod files;
mod generate;
mod sandbox;
#[cfg(test)]
mod tests;
mod trace;

use std::io::{Write, stderr};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use migration_kit::Service;

use self::files::stale;
use self::generate::{Artifacts, generate};

/// Where the services are.
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../services");

/// Arguments of `cargo xtask artifacts`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write nothing; exit 1 if a file is not what its migrations do
    #[arg(long)]
    check: bool,
    /// Services whose files are made; without any, all
    services: Vec<String>,
}

/// Makes or checks the files.
///
/// # Errors
/// An unknown service, no server, a migration that fails, a file that cannot be read or written.
pub(crate) fn execute(arguments: &Arguments, services: Vec<Service>) -> anyhow::Result<ExitCode> {
    let known: Vec<String> = services.iter().map(|service| service.name().to_string()).collect();
    if let Some(unknown) = arguments.services.iter().find(|name| !known.contains(name)) {
        bail!("there is no service `{unknown}`; there are {}", known.join(", "));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut artifacts = runtime.block_on(generate(services))?;
    if !arguments.services.is_empty() {
        artifacts
            .retain(|artifacts| arguments.services.iter().any(|name| name == artifacts.service.as_str()));
    }
    let directory = Path::new(SERVICES).canonicalize()?;
    if arguments.check { check(&directory, &artifacts) } else { write(&directory, &artifacts) }
}

fn check(directory: &Path, artifacts: &[Artifacts]) -> anyhow::Result<ExitCode> {
    let mut exit = ExitCode::SUCCESS;
    let (mut edited, mut faulty) = (Vec::new(), false);
    let mut err = stderr().lock();
    for artifacts in artifacts {
        for fault in artifacts.faults.iter().chain(&entities::lacking(directory, artifacts)?) {
            writeln!(err, "{fault}")?;
            faulty = true;
        }
        for stale in stale(directory, artifacts)? {
            let path = stale.path.display();
            if let Some((theirs, ours)) = stale.of_two_servers() {
                writeln!(
                    err,
                    "WARNING: `{path}` WAS NOT CHECKED: PostgreSQL {theirs} wrote it, and this is PostgreSQL {ours}"
                )?;
                continue;
            }
            writeln!(err, "`{path}` is stale\n{}\n", stale.difference())?;
            exit = ExitCode::FAILURE;
            edited.extend(stale.edited());
        }
    }
    if !edited.is_empty() {
        writeln!(
            err,
            "`{}` sends other SQL than it was recorded with: wherever it is applied, the next run is refused\n\
             hint: restore it and write a new migration; if nobody has applied it but your own private server, run \
             `cargo xtask migrate db reset --yes`, then `cargo xtask artifacts`, and commit what it writes",
            edited.join("`, `")
        )?;
    } else if exit == ExitCode::FAILURE {
        writeln!(err, "hint: run `cargo xtask artifacts` and commit what it writes")?;
    }
    Ok(if faulty { ExitCode::FAILURE } else { exit })
}

fn write(directory: &Path, artifacts: &[Artifacts]) -> anyhow::Result<ExitCode> {
    let mut err = stderr().lock();
    for artifacts in artifacts {
        for fault in artifacts.faults.iter().chain(&entities::lacking(directory, artifacts)?) {
            writeln!(err, "WARNING: {fault}")?;
        }
        for stale in stale(directory, artifacts)? {
            stale.write()?;
            writeln!(err, "wrote `{}`", stale.path.display())?;
            for migration in stale.edited() {
                writeln!(
                    err,
                    "WARNING: `{migration}` sends other SQL than before: where it is applied already, it will be \
                     refused as edited. If it was ever released, restore it and write a new one"
                )?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
