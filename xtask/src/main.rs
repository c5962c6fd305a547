//! The tasks of the services' developers. `cargo xtask migrate` is the command line over all services.

mod artifacts;
mod bench;
mod services;

use std::io::{Write, stderr};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use migration_cli::{Arguments, Program};
use services::{program_called, services};

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
    Artifacts(artifacts::Arguments),
    /// Measure what the command line costs, against `psql` running the same SQL
    Bench(bench::BenchArguments),
    /// The command line over services that only the benchmarks know
    #[command(hide = true)]
    Synthetic(bench::SyntheticArguments),
}

fn main() -> ExitCode {
    let task = match Xtask::try_parse() {
        Ok(xtask) => xtask.task,
        Err(error) => return migration_cli::usage(&program(), &error),
    };
    match task {
        Task::Migrate(arguments) => migration_cli::execute(program(), *arguments),
        Task::Artifacts(arguments) => match migration_cli::services(services) {
            Ok(services) => reported(artifacts::execute(&arguments, services)),
            Err(error) => refused(&error),
        },
        Task::Bench(arguments) => reported(bench::run(arguments).map(|()| ExitCode::SUCCESS)),
        Task::Synthetic(arguments) => {
            let (program, arguments) = arguments.program();
            migration_cli::execute(program, arguments)
        }
    }
}

/// Prints an error with its causes.
fn reported(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        // A closed pipe is the reader's choice.
        drop(writeln!(stderr(), "error: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Prints why the services cannot be made.
fn refused(error: &anyhow::Error) -> ExitCode {
    let error = clap::Error::raw(clap::error::ErrorKind::ValueValidation, format!("{error:#}\n"));
    migration_cli::usage(&program(), &error)
}

fn program() -> Program {
    program_called("cargo xtask migrate")
}
