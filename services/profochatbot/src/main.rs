//! The command line for this service alone: its CI job, its container.

use std::process::ExitCode;

use migration_cli::{Program, main_of};

fn main() -> ExitCode {
    let program = Program::new("profochatbot-migration", || vec![profochatbot_migration::service()]);
    main_of(program.with_tasks(profochatbot_migration::commands::tasks()))
}
