//! What a program is: its services and their tasks; and what all commands share.

use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::pin::Pin;
use std::sync::Arc;

use migration_kit::Service;
use sea_orm::DatabaseConnection;

use crate::database::Embedded;
use crate::environment::Environment;
use crate::exit::Failure;
use crate::output::Output;

/// The services of a program and their tasks, in the order in which they are shown.
pub struct Program {
    pub(crate) invocation: &'static str,
    pub(crate) tasks: Vec<Task>,
    make: MakeServices,
}

/// Makes the services, anew each time: a command may need them more than once.
pub(crate) type MakeServices = Arc<dyn Fn() -> Vec<Service> + Send + Sync>;

/// Something that a service can do to its data and that is not a migration.
pub struct Task {
    /// The service it belongs to.
    pub service: &'static str,
    /// Its arguments, help included; the name is the task's name.
    pub command: fn() -> clap::Command,
    /// Does it, and gives what it changed as JSON, with text for people in `message`.
    pub run: fn(TaskContext) -> TaskFuture,
}

/// What a task gets.
pub struct TaskContext {
    /// Its arguments.
    pub arguments: clap::ArgMatches,
    /// The service's database; its `search_path` is the service's schema.
    pub db: DatabaseConnection,
}

/// What a task gives.
pub type TaskFuture = Pin<Box<dyn Future<Output = anyhow::Result<serde_json::Value>> + Send>>;

impl Program {
    /// A program over these services. `invocation` is how its user calls it, for help and hints: `cargo xtask migrate`.
    ///
    /// The services are made by a function, which a command may call more than once. It may hold what is known only at run
    /// time, such as a directory of SQL files. Where it panics, a command says so and ends with exit code 2.
    #[must_use]
    pub fn new(
        invocation: &'static str,
        services: impl Fn() -> Vec<Service> + Send + Sync + 'static,
    ) -> Self {
        Self { invocation, tasks: Vec::new(), make: Arc::new(services) }
    }

    /// Adds tasks of the services that are not migrations.
    #[must_use]
    pub fn with_tasks(self, tasks: Vec<Task>) -> Self {
        Self { tasks, ..self }
    }

    /// What makes the services, for a thread that outlives a command's borrow.
    #[cfg(all(feature = "rehearsal", feature = "serve"))]
    pub(crate) fn maker(&self) -> MakeServices {
        Arc::clone(&self.make)
    }

    /// Makes the services. What makes them panics where a list of migrations is no service (a malformed name or requirement, a
    /// check that ends with no later migration): for whoever runs the program, that is an error like any other.
    ///
    /// # Errors
    /// A usage error with what the panic says, or where there are none.
    pub(crate) fn services(&self) -> anyhow::Result<Vec<Service>> {
        let hook = panic::take_hook();
        panic::set_hook(Box::new(|_| {}));
        let made = panic::catch_unwind(AssertUnwindSafe(|| (self.make)()));
        panic::set_hook(hook);
        let services = made.map_err(|payload| {
            let text = payload.downcast_ref::<String>().map(String::as_str);
            let says = text
                .or_else(|| payload.downcast_ref::<&str>().copied())
                .unwrap_or("the services could not be made");
            Failure::usage(says, "correct the migrations' list, their names or their `details()`")
        })?;
        if services.is_empty() {
            let hint = "whoever builds it lists its services in `Program::new`";
            return Err(Failure::usage("this program has no services", hint).into());
        }
        Ok(services)
    }
}

/// What all commands share.
pub(crate) struct Context {
    pub(crate) program: Program,
    pub(crate) environment: Environment,
    pub(crate) output: Output,
    pub(crate) embedded: Embedded,
}
