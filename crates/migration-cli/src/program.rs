//! A program: its services, its tasks, and the way from its arguments to its exit code.

use std::future::Future;
use std::io::IsTerminal;
use std::pin::Pin;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use migration_coordinator::cancellation;
use migration_kit::Service;
use sea_orm::DatabaseConnection;
use tokio::signal::unix::{SignalKind, signal};

use crate::arguments::{Alone, Arguments, Colour};
use crate::command;
use crate::environment::Environment;
use crate::exit::Exit;
use crate::output::{Output, error};

/// The services of a program and their tasks, in the order in which they are shown.
pub struct Program {
    /// How the program is called by its user, for help and hints: `cargo xtask migrate`.
    pub invocation: &'static str,
    /// Makes the services.
    pub services: fn() -> Vec<Service>,
    /// Tasks of the services that are not migrations.
    pub tasks: Vec<Task>,
}

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

/// What all commands share.
pub(crate) struct Context {
    pub(crate) program: Program,
    pub(crate) environment: Environment,
    pub(crate) output: Output,
    pub(crate) install_postgres: bool,
}

/// Runs a program of its own with these services: reads the process's arguments and gives its exit code.
#[must_use]
pub fn main_of(program: Program) -> ExitCode {
    let clap = Alone::command().name(program.invocation).bin_name(program.invocation);
    match clap.try_get_matches().and_then(|matches| Alone::from_arg_matches(&matches)) {
        Ok(alone) => execute(program, alone.arguments),
        Err(error) => usage(&error),
    }
}

/// Runs a command whose arguments are read already.
#[must_use]
pub fn execute(program: Program, arguments: Arguments) -> ExitCode {
    let format = arguments.global.format();
    let coloured = coloured(arguments.global.color);
    let output = Output::new(format, coloured, arguments.global.quiet);
    let exit = match start(program, arguments, output) {
        Ok(exit) => exit,
        Err(failure) => error::print(&failure, format, coloured),
    };
    ExitCode::from(exit.code())
}

fn start(program: Program, arguments: Arguments, output: Output) -> anyhow::Result<Exit> {
    let install_postgres = arguments.global.install_postgres;
    let command = arguments.command()?;
    let environment = Environment::read()?;
    let context = Context { program, environment, output, install_postgres };
    // One thread: the work is the server's, and services side by side only wait side by side.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (stop, cancellation) = cancellation();
        let commanded = command::run(&context, command, &cancellation);
        tokio::pin!(commanded);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut signalled = None;
        loop {
            let now = tokio::select! {
                result = &mut commanded => {
                    return result.map(|exit| signalled.filter(|_| exit != Exit::Done).unwrap_or(exit));
                }
                _ = interrupt.recv() => Exit::Interrupted,
                _ = terminate.recv() => Exit::Terminated,
            };
            // A second signal ends it at once; the server rolls back when the connection is gone.
            if signalled.replace(now).is_some() {
                return Ok(now);
            }
            stop.now();
        }
    })
}

/// Prints what clap says; help is not an error.
fn usage(error: &clap::Error) -> ExitCode {
    // A closed pipe is the reader's choice.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(Exit::Usage.code()) } else { ExitCode::SUCCESS }
}

fn coloured(colour: Colour) -> bool {
    match colour {
        Colour::Always => true,
        Colour::Never => false,
        #[expect(clippy::disallowed_methods, reason = "this is the command line")]
        Colour::Auto => {
            std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::io::stdout().is_terminal()
        }
    }
}
