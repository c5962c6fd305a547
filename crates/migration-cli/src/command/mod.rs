//! The commands, one module per group. Each gives an [`Answer`] or an error, and prints neither.

#[cfg(feature = "rehearsal")]
mod adopt;
mod apply;
#[cfg(feature = "rehearsal")]
mod artifacts;
mod backup;
#[cfg(feature = "rehearsal")]
mod check;
#[cfg(feature = "rehearsal")]
mod check_files;
mod citus;
mod completions;
mod databases;
mod db;
mod deploy;
#[cfg(feature = "rehearsal")]
mod diff;
mod doctor;
#[cfg(feature = "rehearsal")]
mod drift;
#[cfg(feature = "rehearsal")]
mod generate;
mod graph;
mod history;
mod locks;
mod moving;
#[cfg(feature = "rehearsal")]
mod new_service;
#[cfg(feature = "rehearsal")]
mod object;
mod plan;
mod psql;
mod rejects;
mod repair;
mod reset;
mod restore;
mod roles;
mod run;
#[cfg(feature = "serve")]
mod serve;
mod space;
#[cfg(feature = "rehearsal")]
mod sql;
mod status;
mod task;
mod verify;
mod wait;

use migration_coordinator::Cancellation;
use migration_kit::ServiceName;
use migration_plan::{Catalog, NameError, counted};
use migration_report::Class;

use crate::arguments::{CitusCommand, Command, Contract, Format, WaitFor};
use crate::context::Context;
use crate::database::{self, Connected};
use crate::exit::Failure;
use crate::old_words;
use crate::output::{Answer, Text};

/// Runs one command.
pub(crate) async fn run(
    context: &Context,
    command: Command,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let runs = matches!(
        command,
        Command::Up { .. } | Command::Down { .. } | Command::Redo { .. } | Command::Apply { .. }
    );
    if context.output.format == Format::Ndjson && !runs {
        let what = "`--format ndjson` is for `up`, `down`, `redo` and `apply`";
        return Err(Failure::usage(what, "use `--json`").into());
    }
    #[cfg(feature = "rehearsal")]
    let checks = matches!(command, Command::Check { .. });
    #[cfg(not(feature = "rehearsal"))]
    let checks = false;
    if context.output.format == Format::Github && !checks {
        return Err(Failure::usage("`--format github` is for `check`", "use `--json`").into());
    }
    // What only reads ends at the first signal, whatever it waits for: there is nothing to settle.
    if only_reads(&command) {
        let read = cancellation.unless_cancelled(perform(context, command, cancellation)).await;
        return read.unwrap_or_else(|| Ok(Answer::silent(Class::Interrupted)));
    }
    if changes_something(&command) {
        context.output.goes_on_unread();
    }
    perform(context, command, cancellation).await
}

/// Whether it may change a database, or keep something of one.
fn changes_something(command: &Command) -> bool {
    #[cfg(feature = "rehearsal")]
    if matches!(command, Command::Adopt { .. } | Command::Stamp { .. }) {
        return true;
    }
    matches!(
        command,
        Command::Up { .. }
            | Command::Down { .. }
            | Command::Redo { .. }
            | Command::Apply { .. }
            | Command::Deploy(_)
            | Command::Backup { .. }
            | Command::Restore(_)
            | Command::Move(_)
            | Command::Repair(_)
            | Command::Reset(_)
            | Command::Roles(_)
            | Command::Citus(_)
            | Command::Space { .. }
            | Command::Task { .. }
    )
}

fn only_reads(command: &Command) -> bool {
    #[cfg(feature = "rehearsal")]
    if matches!(
        command,
        Command::Artifacts { .. }
            | Command::Check { .. }
            | Command::Diff { .. }
            | Command::Drift { .. }
            | Command::Sql { .. }
    ) {
        return true;
    }
    matches!(
        command,
        Command::Status { .. }
            | Command::History { .. }
            | Command::Plan { .. }
            | Command::Verify { .. }
            | Command::Locks
            | Command::Doctor
            | Command::Backups { .. }
            | Command::Citus(CitusCommand::Status { .. })
            | Command::Wait { .. }
            | Command::Rejects { .. }
            | Command::Space { reclaim: None, .. }
    )
}

async fn perform(context: &Context, command: Command, cancellation: &Cancellation) -> anyhow::Result<Answer> {
    match command {
        Command::Up { targets, options } => {
            let targets = old_words::to_apply(targets, &context.program)?;
            run::up(context, targets, &options, cancellation).await
        }
        Command::Down { targets, options, allow_data_loss } => {
            let targets = old_words::to_revert(targets, &context.program)?;
            run::down(context, targets, &options, allow_data_loss, cancellation).await
        }
        Command::Redo { targets, options, allow_data_loss } => {
            let targets = old_words::to_revert(targets, &context.program)?;
            run::redo(context, targets, &options, allow_data_loss, cancellation).await
        }
        Command::Status { services, check, verbose } => {
            status::status(context, &services, status::Asked { check, verbose }).await
        }
        Command::History { services, verbose } => history::history(context, &services, verbose).await,
        Command::Plan { targets, contract, ignore_soak, down, out } => {
            let of_direction = if down { old_words::to_revert } else { old_words::to_apply };
            let targets = of_direction(targets, &context.program)?;
            let contract = Contract { contract, ignore_soak }.steps();
            plan::plan(context, targets, contract, down, out.as_deref()).await
        }
        Command::Apply { file, options } => apply::apply(context, &file, &options, cancellation).await,
        Command::Verify { services } => verify::verify(context, &services).await,
        Command::Doctor => doctor::doctor(context).await,
        Command::Wait { services, what: WaitFor::Current, timeout } => {
            wait::wait(context, &services, timeout).await
        }
        #[cfg(feature = "serve")]
        Command::Serve(arguments) => serve::serve(context, &arguments, cancellation).await,
        Command::Locks => locks::locks(context).await,
        Command::Rejects { service, count, limit } => rejects::rejects(context, &service, count, limit).await,
        Command::Graph { notation } => graph::graph(context, notation),
        Command::Space { service, reclaim } => {
            space::space(context, &service, reclaim.as_deref(), cancellation).await
        }
        Command::Citus(asked) => citus::run(context, &asked, cancellation).await,
        Command::Backup { services, options } => {
            backup::backup(context, &services, &options, cancellation).await
        }
        Command::Backups { services, directory } => backup::backups(context, &services, directory.as_deref()),
        Command::Deploy(arguments) => deploy::deploy(context, *arguments, cancellation).await,
        Command::Restore(options) => restore::restore(context, &options, cancellation).await,
        Command::Move(asked) => moving::move_service(context, &asked, cancellation).await,
        Command::Repair(asked) => repair::repair(context, &asked, cancellation).await,
        Command::Reset(asked) => reset::reset(context, &asked, cancellation).await,
        Command::Roles(asked) => roles::roles(context, &asked, cancellation).await,
        Command::Task { words } => task::task(context, words, cancellation).await,
        Command::Psql { service, arguments } => psql::psql(context, &service, &arguments).await,
        Command::Db(command) => db::db(context, &command),
        #[cfg(feature = "rehearsal")]
        Command::Adopt { services, from, options } => {
            adopt::adopt(context, &services, &from, &options, cancellation).await
        }
        #[cfg(feature = "rehearsal")]
        Command::Stamp { targets, options } => {
            let targets = old_words::to_record(targets, &context.program)?;
            adopt::stamp(context, targets, &options, cancellation).await
        }
        #[cfg(feature = "rehearsal")]
        Command::Drift { services, repair } => drift::drift(context, &services, repair).await,
        #[cfg(feature = "rehearsal")]
        Command::Diff { services } => diff::diff(context, &services).await,
        #[cfg(feature = "rehearsal")]
        Command::Sql { targets, options } => {
            let of_direction = if options.down { old_words::to_revert } else { old_words::to_apply };
            sql::sql(context, of_direction(targets, &context.program)?, &options).await
        }
        #[cfg(feature = "rehearsal")]
        Command::Check { services, options } => check::check(context, &services, &options).await,
        #[cfg(feature = "rehearsal")]
        Command::Artifacts { services, directory, check } => {
            artifacts::artifacts(context, &services, &directory, check).await
        }
        #[cfg(feature = "rehearsal")]
        Command::Generate { service, name, options } => {
            generate::generate(context, &service, &name, &options).await
        }
        #[cfg(feature = "rehearsal")]
        Command::NewService { name, directory } => new_service::new_service(context, &name, &directory),
        Command::Completions { shell } => completions::completions(context, shell),
    }
}

/// All services, placed and ready to be asked.
fn connect(context: &Context) -> anyhow::Result<Connected> {
    let connected = database::connect(&context.environment, context.program.services()?, context.embedded);
    notes(context);
    connected
}

/// Says what was noticed in the environment.
fn notes(context: &Context) {
    let mut text = Text::default();
    for note in context.environment.take_notes() {
        text.note(format!("{} {note}", context.output.paint.warn("note")));
    }
    context.output.say(&text);
}

/// A number of services, in words.
fn services(n_services: usize) -> String {
    counted(n_services, "service", "services")
}

/// A number of migrations, in words.
fn migrations(n_migrations: usize) -> String {
    counted(n_migrations, "migration", "migrations")
}

/// The services that were named, each of them known.
fn names(connected: &Connected, given: &[String]) -> anyhow::Result<Vec<ServiceName>> {
    given.iter().map(|text| name(connected, text)).collect()
}

/// A service that was named, by its name in the catalog.
fn known(catalog: &Catalog, given: &str) -> anyhow::Result<ServiceName> {
    let named = given.parse();
    let name =
        named.map_err(|error: NameError| Failure::usage(error.to_string(), "`status` lists the services"))?;
    Ok(catalog.named(&name)?.name.clone())
}

/// A service that was named and is known.
fn name(connected: &Connected, given: &str) -> anyhow::Result<ServiceName> {
    known(connected.deployment.catalog(), given)
}
