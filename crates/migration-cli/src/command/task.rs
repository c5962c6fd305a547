//! `task`: what a service can do to its data and that is no migration, under the service's migration lock.

use std::time::Duration;

use migration_coordinator::{Cancellation, on_its_own};
use migration_kit::{Service, sqlstate};
use migration_plan::Catalog;
use migration_report::{Class, Found};
use sea_orm::DbErr;
use serde::Serialize;

use super::{connect, known, name};
use crate::context::{Context, Task, TaskContext};
use crate::exit::Failure;
use crate::output::{Answer, Body, Table, Text, say_usage};

/// How long to wait for another run's migration lock.
const WAIT: Duration = Duration::from_secs(60);

pub(super) async fn task(
    context: &Context,
    words: Vec<String>,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let mut words = words.into_iter();
    let Some(service) = words.next() else { return list(context, None) };
    let services = context.program.services()?;
    known(&Catalog::new(services.iter().map(Service::known).collect())?, &service)?;
    let Some(task) = words.next() else { return list(context, Some(&service)) };
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
    let command = (found.command)().bin_name(&bin_name);
    let words: Vec<String> = std::iter::once(task).chain(words).collect();
    let arguments = match command.try_get_matches_from(&words) {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && !context.output.is_human() => {
            return Err(Failure::of_arguments(&error, &bin_name).into());
        }
        Err(error) => {
            // A closed pipe is the reader's choice.
            drop(say_usage(&error, &words));
            return Ok(Answer::silent(if error.use_stderr() { Class::Usage } else { Class::Done }));
        }
    };
    run(context, found, arguments, cancellation).await
}

async fn run(
    context: &Context,
    task: &Task,
    arguments: clap::ArgMatches,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let service = name(&connected, task.service)?;
    let work = |db, _| (task.run)(TaskContext { arguments, db });
    let done = on_its_own(&connected.deployment, &service, WAIT, cancellation, work)
        .await?
        .map_err(|error| not_applied(error, task.service))?;
    let message = done.get("message").and_then(|message| message.as_str());
    let mut text = Text::default();
    message.map_or_else(|| done.to_string(), str::to_owned).lines().for_each(|line| text.line(line));
    Ok(Answer { text: Some(text), body: Body::Task(done), ..Answer::silent(Class::Done) })
}

/// A task's error, which says that migrations are missing where what it asks for is not there.
fn not_applied(error: anyhow::Error, service: &str) -> anyhow::Error {
    const UNDEFINED: [&str; 3] = ["42P01", "42703", "3F000"];
    let is_missing = error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<DbErr>())
        .any(|cause| sqlstate(cause).is_some_and(|state| UNDEFINED.contains(&state.as_str())));
    if !is_missing {
        return error;
    }
    let message = format!("service `{service}`: the migrations that the task needs are not applied");
    Failure { class: Class::Pending, message, hint: Some(format!("run `up {service}` first")) }.into()
}

/// The tasks of a service, or of all.
fn list(context: &Context, service: Option<&str>) -> anyhow::Result<Answer> {
    let mut text = Text::default();
    let mut tasks = Vec::new();
    let mut table = Table::new(&["SERVICE", "TASK", "WHAT IT DOES"]);
    for task in context.program.tasks.iter().filter(|task| service.is_none_or(|name| task.service == name)) {
        let command = (task.command)();
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        let (service, name) = (task.service.to_owned(), command.get_name().to_owned());
        table.row([service.clone(), name.clone(), about.clone()]);
        tasks.push(TaskReport { service, name, about });
    }
    match service {
        _ if !tasks.is_empty() => text.table(table),
        Some(service) => text.line(format!("service `{service}` has no tasks")),
        None => text.line("no service has tasks"),
    }
    Ok(Answer::of("task", Found::whole(Tasks { tasks }), text)?)
}

/// The tasks that there are.
#[derive(Serialize)]
struct Tasks {
    tasks: Vec<TaskReport>,
}

/// A task of a service.
#[derive(Serialize)]
struct TaskReport {
    service: String,
    name: String,
    about: String,
}
