//! The way of a program from its arguments to its exit code.

use std::error::Error;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches};
use migration_coordinator::cancellation;
use migration_report::Class;
use tokio::signal::unix::{SignalKind, signal};
use tracing::Instrument;

use crate::arguments::{self, Alone, Arguments, Colour, Command, Format};
use crate::command;
use crate::context::{Context, Program};
use crate::environment::Environment;
use crate::exit::{Exit, Failure};
use crate::old_words;
use crate::output::{self, Answer, Output, Terminal, Text};
use crate::traces::Traces;
use crate::words::OurWords;

/// Runs a program of its own with these services: reads the process's arguments and gives its exit code.
#[must_use]
pub fn main_of(program: Program) -> ExitCode {
    let clap = Alone::command().name(program.invocation).bin_name(program.invocation);
    match clap.try_get_matches().and_then(|matches| Alone::from_arg_matches(&matches)) {
        Ok(alone) => execute(program, alone.arguments),
        Err(error) => usage(&program, &error),
    }
}

/// Runs a command whose arguments are read already.
#[must_use]
pub fn execute(program: Program, mut arguments: Arguments) -> ExitCode {
    take_format(&program, &mut arguments);
    let format = arguments.global.format();
    let terminal = Terminal::of_process(arguments.global.color, arguments.global.wide);
    let output = Output::new(format, terminal, arguments.global.quiet);
    let exit = match start(program, arguments, output.clone()) {
        Ok(exit) => exit,
        Err(failure) => output.answer(Answer::failure(failure.as_ref())),
    };
    ended(exit)
}

/// Takes the format from behind the words of a task, where it is not an option of the task's own.
fn take_format(program: &Program, arguments: &mut Arguments) {
    let Some(Command::Task { words }) = &mut arguments.command else { return };
    let named = program.tasks.iter().filter(|task| words.first().is_some_and(|word| word == task.service));
    let mut named = named.map(|task| (task.command)());
    let own = named.find(|task| words.get(1).is_some_and(|word| word == task.get_name()));
    let is_own = |long: Option<&str>| matches!(long, Some("json" | "format"));
    if own.is_some_and(|task| task.get_arguments().any(|argument| is_own(argument.get_long()))) {
        return;
    }
    if let Some(format) = arguments::take_format(words) {
        (arguments.global.json, arguments.global.format) = (false, Some(format));
    }
}

fn start(program: Program, arguments: Arguments, output: Output) -> anyhow::Result<Exit> {
    let (embedded, password_fd) = (arguments.global.embedded(), arguments.global.password_fd);
    let command = arguments.command()?;
    let environment = Environment::read(password_fd)?;
    let context = Context { program, environment, output, embedded };
    // One thread: the work is the server's, and services side by side only wait side by side.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let traces = Traces::of(&context);
    let ended = runtime.block_on(async {
        let (stop, cancellation) = cancellation();
        context.output.follow(traces.layer())?;
        let span = traces.command();
        let commanded = command::run(&context, command, &cancellation).instrument(span.clone());
        tokio::pin!(commanded);
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut signalled = None;
        loop {
            let now = tokio::select! {
                result = &mut commanded => {
                    let class = match &result {
                        Ok(answer) => answer.class,
                        Err(failure) => Class::of(failure.as_ref(), &OurWords),
                    };
                    if !matches!(class, Class::Done | Class::Pending) {
                        span.record("otel.status_code", "ERROR");
                    }
                    let result = result.map(|answer| context.output.answer(answer));
                    if class == Class::Connection {
                        say_origins(&context);
                    }
                    return result.map(|exit| signalled.filter(|_| exit != Exit::DONE).unwrap_or(exit));
                }
                _ = interrupt.recv() => Exit::Interrupted,
                _ = terminate.recv() => Exit::Terminated,
            };
            // A second signal ends it at once; the server rolls back when the connection is gone.
            if signalled.replace(now).is_some() {
                return Ok(now);
            }
            now.note_signal();
            stop.now();
        }
    });
    // A question at the terminal that nobody answers is not waited for.
    runtime.shutdown_background();
    traces.end(&context);
    ended
}

/// After a connection that failed: where its address is from, if that is not the environment.
fn say_origins(context: &Context) {
    let mut text = Text::default();
    for origin in context.environment.origins() {
        text.note(format!("{} {origin}", context.output.paint.warn("note")));
    }
    context.output.say(&text);
}

/// Prints what clap says, in the format that the arguments ask for, and gives the exit code. Help is not an error.
#[must_use]
pub fn usage(program: &Program, error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        output::wrote(error.print());
        return ended(Exit::DONE);
    }
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let format = arguments::format_of(&arguments);
    let failure = if let Some(why) = of_a_health_url(error) {
        // clap would repeat it, and it may hold a password.
        let hint = "an address over HTTP that needs no password: `--health-url http://127.0.0.1:8080/health`";
        Some(Failure::usage(format!("`--health-url` cannot be asked: {why}"), hint))
    } else if is_an_address_among(&arguments) {
        // The same.
        let has = |word: &str| arguments.iter().skip(1).any(|argument| argument == word);
        let hint = match has("move") && !has("citus") {
            true => {
                "put it into a variable of the environment or of `.env`, and name that with `--to`: others can see the arguments of \
                 a process"
            }
            false => {
                "set DATABASE_URL in the environment or in `.env`: others can see the arguments of a process"
            }
        };
        Some(Failure::usage("an argument looks like the address of a database", hint))
    } else {
        a_service(program, error)
            .or_else(|| old_words::answer(error, program))
            .or_else(|| (format != Format::Human).then(|| Failure::of_arguments(error, program.invocation)))
    };
    let exit = match failure {
        Some(failure) => of_errors(format).answer(Answer::failure(&failure)),
        None => {
            output::wrote(output::say_usage(error, &arguments));
            Class::Usage.into()
        }
    };
    ended(exit)
}

/// What is wrong with the value of `--health-url`, if that is wrong.
fn of_a_health_url(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return None };
    let why = error.source().filter(|_| argument.starts_with(HEALTH_URL))?;
    Some(why.to_string())
}

/// Whether one of these is an address, other than the one to ask for health.
fn is_an_address_among(arguments: &[String]) -> bool {
    let before = [""].into_iter().chain(arguments.iter().map(String::as_str));
    let is_own = |before: &str, argument: &str| {
        before == HEALTH_URL || argument.split_once('=').is_some_and(|(option, _)| option == HEALTH_URL)
    };
    before.zip(arguments).any(|(before, argument)| argument.contains("://") && !is_own(before, argument))
}

/// The one option whose value is an address.
const HEALTH_URL: &str = "--health-url";

/// The name of a service where a command is expected.
fn a_service(program: &Program, error: &clap::Error) -> Option<Failure> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    let name = word.split(['@', ':']).next()?;
    let services = program.services().ok()?;
    services.iter().find(|service| service.name().as_str() == name)?;
    Some(Failure::usage(
        format!("`{name}` is a service, not a command"),
        format!("to apply its migrations: `{} up {word}`", program.invocation),
    ))
}

/// The code to exit with. What could not be written makes a success a failure.
fn ended(exit: Exit) -> ExitCode {
    let exit = match output::unwritten() {
        Some(error) if matches!(exit, Exit::Ended(Class::Done | Class::Pending)) => {
            let failure = Failure {
                class: Class::Failed,
                message: format!("the output could not be written: {error}"),
                hint: Some("what was done in the database is kept; `status` shows it".to_owned()),
            };
            of_errors(Format::Human).answer(Answer::failure(&failure))
        }
        _ => exit,
    };
    ExitCode::from(exit.code())
}

/// Output of what is said before or after the command that arguments would shape it for.
fn of_errors(format: Format) -> Output {
    Output::new(format, Terminal::of_process(Colour::Auto, false), false)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[test]
    fn services_that_cannot_be_made_are_an_ordinary_error() {
        let twice = Program::new("shop", || panic!("`shop`: migration `{}` is listed twice", "m1"));
        let error = twice.services().err().unwrap();
        assert_eq!(error.to_string(), "`shop`: migration `m1` is listed twice");
        assert_eq!(Class::of(error.as_ref(), &OurWords), Class::Usage);
        let broken = Program::new("shop", || panic!("no service"));
        let empty = Program::new("shop", Vec::new);
        let error = empty.services().err().unwrap();
        assert_eq!(error.to_string(), "this program has no services");
        assert_eq!(Class::of(error.as_ref(), &OurWords), Class::Usage);
        // Once: a process has one subscriber for what happens.
        let arguments = Alone::try_parse_from(["shop", "graph"]).unwrap().arguments;
        assert_eq!(execute(broken, arguments), ExitCode::from(2));
    }
}
