//! The commands, one module a group. Each gives the exit that it ends with; an error is printed by its caller.

mod db;
mod graph;
mod history;
mod plan;
mod psql;
mod rejects;
mod run;
mod space;
mod status;
mod task;
mod verify;

use clap::CommandFactory;
use migration_coordinator::Cancellation;
use migration_kit::ServiceName;

use crate::arguments::{Alone, Command, Format};
use crate::database::{self, Connected};
use crate::exit::{Exit, Failure};
use crate::program::Context;

/// Runs one command.
pub(crate) async fn run(
    context: &Context,
    command: Command,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let runs = matches!(command, Command::Up { .. } | Command::Down { .. } | Command::Redo { .. });
    if context.output.format == Format::Ndjson && !runs {
        return Err(Failure::usage("`--format ndjson` is for `up`, `down` and `redo`", "use `--json`").into());
    }
    match command {
        Command::Up { targets, options } => run::up(context, targets, &options, cancellation).await,
        Command::Down { targets, options } => run::down(context, targets, &options, cancellation).await,
        Command::Redo { targets, options, allow_data_loss } => {
            run::redo(context, targets, &options, allow_data_loss, cancellation).await
        }
        Command::Status { services, check } => status::status(context, &services, check).await,
        Command::History { services, verbose } => history::history(context, &services, verbose).await,
        Command::Plan { targets, contract, down } => plan::plan(context, targets, contract, down).await,
        Command::Verify { services } => verify::verify(context, &services).await,
        Command::Locks => status::locks(context).await,
        Command::Rejects { service, count, limit } => rejects::rejects(context, &service, count, limit).await,
        Command::Graph { notation } => graph::graph(context, notation),
        Command::Space { service, reclaim } => {
            space::space(context, &service, reclaim.as_deref(), cancellation).await
        }
        Command::Task { words } => task::task(context, words, cancellation).await,
        Command::Psql { service, arguments } => psql::psql(context, &service, &arguments),
        Command::Db(command) => db::db(context, &command),
        Command::Completions { shell } => completions(context, shell),
    }
}

fn completions(context: &Context, shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    let program = context.program.invocation.split(' ').next_back().unwrap_or("migrate");
    clap_complete::generate(shell, &mut Alone::command(), program, &mut script);
    context.output.line(String::from_utf8(script)?.trim_end());
    Ok(Exit::Done)
}

/// All services, placed and ready to be asked.
fn connect(context: &Context) -> anyhow::Result<Connected> {
    database::connect(&context.environment, (context.program.services)(), context.install_postgres)
}

/// The services that were named, each of them known.
fn names(connected: &Connected, given: &[String]) -> anyhow::Result<Vec<ServiceName>> {
    given.iter().map(|text| name(connected, text)).collect()
}

/// A service that was named and is known.
fn name(connected: &Connected, given: &str) -> anyhow::Result<ServiceName> {
    let known = || connected.deployment.services().map(|(service, _, _)| service.name());
    known().find(|name| name.as_str() == given).cloned().ok_or_else(|| unknown(given, known()))
}

/// The error for a service that nobody knows.
fn unknown<'s>(given: &str, known: impl Iterator<Item = &'s ServiceName>) -> anyhow::Error {
    let all = known.map(ServiceName::as_str).collect::<Vec<_>>().join(", ");
    Failure::usage(format!("there is no service `{given}`"), format!("the services are {all}")).into()
}

/// Widths of the longest service name and of the longest migration name.
fn width(connected: &Connected) -> (usize, usize) {
    let services = connected.deployment.services();
    services.fold((0, 0), |(service_width, migration_width), (service, _, _)| {
        let longest = service.migrations().map(|(name, _)| name.as_str().len()).max().unwrap_or(0);
        (service_width.max(service.name().as_str().len()), migration_width.max(longest))
    })
}
