//! The command line for this service alone: its CI job, its container.

use std::process::ExitCode;

use migration_cli::{Program, main_of};

fn main() -> ExitCode {
    main_of(Program::new("bookreader-migration", || vec![bookreader_migration::service()]))
}
