//! `task`: what a service can do to its data and that is no migration, under the service's migration lock.

use std::time::Duration;

use migration_coordinator::{Cancellation, under_lock};
use migration_kit::Service;
use migration_plan::Catalog;

use super::{connect, known, name};
use crate::exit::{Exit, Failure};
use crate::output::Table;
use crate::program::{Context, Task, TaskContext};

/// How long to wait for another run's migration lock.
const WAIT: Duration = Duration::from_secs(60);

pub(super) async fn task(
    context: &Context,
    words: Vec<String>,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let mut words = words.into_iter();
    let (Some(service), Some(task)) = (words.next(), words.next()) else {
        list(context);
        return Ok(Exit::Done);
    };
    let services = context.program.services()?;
    known(&Catalog::new(services.iter().map(Service::known).collect())?, &service)?;
    let tasks = || context.program.tasks.iter().filter(|known| known.service == service);
    let Some(found) = tasks().find(|known| (known.command)().get_name() == task) else {
        let known: Vec<String> = tasks().map(|known| (known.command)().get_name().to_owned()).collect();
        let hint = match known.as_slice() {
            [] => "`task` lists the tasks of all services".to_owned(),
            names => format!("its tasks are {}", names.join(", ")),
        };
        return Err(Failure::usage(format!("service `{service}` has no task `{task}`"), hint).into());
    };
    let bin_name = format!("{} task {service} {task}", context.program.invocation);
    let command = (found.command)().bin_name(bin_name);
    let arguments = match command.try_get_matches_from(std::iter::once(task).chain(words)) {
        Ok(arguments) => arguments,
        Err(error) => {
            // A closed pipe is the reader's choice.
            drop(error.print());
            return Ok(if error.use_stderr() { Exit::Usage } else { Exit::Done });
        }
    };
    run(context, found, arguments, cancellation).await
}

async fn run(
    context: &Context,
    task: &Task,
    arguments: clap::ArgMatches,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let service = name(&connected, task.service)?;
    let work = |db| (task.run)(TaskContext { arguments, db });
    let done = under_lock(&connected.deployment, &service, WAIT, cancellation, work).await??;
    if context.output.is_human() {
        let message = done.get("message").and_then(|message| message.as_str());
        for line in message.map_or_else(|| done.to_string(), str::to_owned).lines() {
            context.output.line(line);
        }
    } else {
        context.output.document(&done)?;
    }
    Ok(Exit::Done)
}

fn list(context: &Context) {
    if context.program.tasks.is_empty() {
        context.output.line("no service has tasks");
        return;
    }
    let mut table = Table::new(&["SERVICE", "TASK", "WHAT IT DOES"]);
    for task in &context.program.tasks {
        let command = (task.command)();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        table.row([task.service.to_owned(), command.get_name().to_owned(), about]);
    }
    context.output.table(&table);
}
