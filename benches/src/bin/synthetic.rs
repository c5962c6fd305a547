//! The command line over services of small migrations: what is measured where the services of the workspace are too few.

use std::process::ExitCode;

use benches::Size;
use clap::Parser;
use migration_cli::{Arguments, Program};

/// The command line over services of small migrations.
#[derive(Debug, Parser)]
#[command(name = "synthetic", version)]
struct Synthetic {
    /// How many services of how many migrations each
    #[arg(long, value_enum, default_value_t = Size::S5M20)]
    size: Size,
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    match Synthetic::try_parse() {
        Ok(Synthetic { size, arguments }) => migration_cli::execute(program(size), arguments),
        Err(error) => migration_cli::usage(&program(Size::S5M20), &error),
    }
}

fn program(size: Size) -> Program {
    Program::new("synthetic", move || size.services())
}
