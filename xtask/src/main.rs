//! The tasks of the services' developers. `cargo xtask migrate` is the command line over all services.

mod services;

use std::env::vars_os;
use std::ffi::OsString;
use std::io::{Write, stderr};
use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use migration_cli::{Arguments, Program};
use services::program_called;

/// Tasks of this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
struct Xtask {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Bring the databases of all services to where they should be
    #[command(version, display_name = "migrate")]
    Migrate(Box<Arguments>),
    /// Make `migrations.lock` and `schema.sql` of each service from its migrations, or check that they are current
    Artifacts(ArtifactsArguments),
    /// Measure what the command line costs, against `psql` running the same SQL
    #[command(disable_help_flag = true)]
    Bench {
        /// What the benchmarks' own program takes; `--help` shows it
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

/// Where the services are.
const SERVICES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../services");

/// Arguments of `cargo xtask artifacts`.
#[derive(Debug, clap::Args)]
struct ArtifactsArguments {
    /// Write nothing; exit with 1 if a file is not what its migrations do
    #[arg(long)]
    check: bool,
    /// Services whose files are made; without any, all
    services: Vec<String>,
}

/// The arguments of the command line over all services.
#[derive(Parser)]
struct Migrate {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let task = match Xtask::try_parse() {
        Ok(xtask) => xtask.task,
        Err(error) => return migration_cli::usage(&program(), &error),
    };
    match task {
        Task::Migrate(arguments) => migration_cli::execute(program(), *arguments),
        Task::Artifacts(arguments) => migration_cli::execute(program(), arguments.of_migrate()),
        Task::Bench { arguments } => bench(&arguments),
    }
}

/// Runs the benchmarks, which are a package of their own: whoever only migrates does not compile them.
fn bench(arguments: &[OsString]) -> ExitCode {
    let mut cargo = Command::new(env!("CARGO"));
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    cargo.args(["run", "--quiet", "--manifest-path", manifest, "--package", "benches", "--"]).args(arguments);
    // What this package is called is nothing to the other one, whose dependencies would be built anew for it.
    for (name, _) in vars_os().filter(|(name, _)| is_of_package(&name.to_string_lossy())) {
        cargo.env_remove(name);
    }
    match cargo.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        // It has said itself what went wrong.
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            // A closed pipe is the reader's choice.
            drop(writeln!(stderr(), "error: cargo could not be run: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether cargo sets this variable to say which package it runs.
fn is_of_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

impl ArtifactsArguments {
    /// The same for the command line over all services.
    fn of_migrate(self) -> Arguments {
        let fixed = ["migrate", "artifacts", "--directory", SERVICES].into_iter().map(str::to_owned);
        let check = self.check.then(|| "--check".to_owned());
        Migrate::parse_from(fixed.chain(check).chain(self.services)).arguments
    }
}

fn program() -> Program {
    program_called("cargo xtask migrate")
}

#[cfg(test)]
mod tests {
    use crate::services::services;

    /// Without its lock file a service knows neither its locks nor that a migration was edited, and nothing else fails.
    #[test]
    fn every_service_has_its_lock_file_and_every_migration_its_name_and_its_checks() {
        let mut lacking = Vec::new();
        for service in services() {
            if !matches!(service.lock_file(), Ok(Some(_))) {
                lacking.push(format!("`{}` lacks `with_lock_file`", service.name()));
            }
            for migration in service.migrations() {
                let name = migration.name();
                if migration.details().checks.is_empty() {
                    lacking.push(format!("`{name}` verifies nothing"));
                }
                if !name.is_conventional() {
                    lacking.push(format!("`{name}`: a migration is called `mYYYYMMDD_HHMMSS_verb_noun`"));
                }
            }
        }
        assert_eq!(lacking, [""; 0]);
    }
}
