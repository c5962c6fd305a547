//! The command line over all services as a program of its own, as the image has it; without the developers' tasks.

#[path = "../services.rs"]
mod services;

use std::process::ExitCode;

fn main() -> ExitCode {
    migration_cli::main_of(services::program_called("migrate"))
}
