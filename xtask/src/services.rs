//! The services of the workspace by name: the only place where all of them are named.

use migration_cli::Program;
use migration_kit::Service;

/// The command line over all services, under the words that its user types.
pub(crate) fn program_called(invocation: &'static str) -> Program {
    Program::new(invocation, services).with_tasks(profochatbot_migration::commands::tasks())
}

/// All services of the workspace, in the order in which they are shown.
pub(crate) fn services() -> Vec<Service> {
    vec![
        chat_migration::service(),
        rag_migration::service(),
        assessments_migration::service(),
        profochatbot_migration::service(),
        bookreader_migration::service(),
    ]
}
