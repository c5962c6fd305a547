//! An error for people and machines: what failed, why, and what to do next, each once.

use std::error::Error;

use migration_coordinator::{CheckResult, ConnectError, DeploymentError, RunError, SurveyError, UpkeepError};
use migration_kit::driver_error;
use migration_plan::{PlanError, SelectionError};
use postgres_sandbox::SandboxError;
use sea_orm::DbErr;
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgDatabaseError;
use serde::Serialize;

use super::Output;
use super::fields::TARGET;
use crate::arguments::Format;
use crate::exit::{Exit, Failure};
use crate::words;

/// An error taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    /// What failed.
    pub(crate) message: String,
    /// Why, from the nearest cause to the last.
    pub(crate) causes: Vec<String>,
    /// SQLSTATE, if the server said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sqlstate: Option<String>,
    /// An excerpt of the statement that failed, without values; `→` marks the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<String>,
    /// Where in functions and triggers the server was, from the innermost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) context: Vec<String>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Told {
    /// A check that was not answered.
    pub(crate) fn of_check(check: &CheckResult) -> Self {
        let message = format!("{}: {}", check.says, check.found);
        Self { message, causes: Vec::new(), sqlstate: None, statement: None, context: Vec::new(), hint: None }
    }

    /// What failed and why, on one line.
    pub(crate) fn on_one_line(&self) -> String {
        let causes = self.causes.iter().map(String::as_str);
        std::iter::once(self.message.as_str()).chain(causes).collect::<Vec<_>>().join(": ")
    }
}

/// The document that `--json` prints for a command that failed.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    ok: bool,
    exit_code: u8,
    errors: Vec<Told>,
}

/// Prints an error with its causes and its hint, and gives the exit that it stands for.
pub(crate) fn print(error: &anyhow::Error, output: &Output) -> Exit {
    let exit = Exit::of(error);
    let told = tell(error.as_ref());
    match output.format {
        Format::Human => write(&told, output),
        Format::Json => {
            let document =
                Document { schema: "migrate/v1", ok: false, exit_code: exit.code(), errors: vec![told] };
            // A document of plain text cannot fail to be written.
            drop(output.document(&document));
        }
        Format::Ndjson => {
            // It fails where events are shown already.
            drop(output.follow());
            event(&told);
            ended(exit);
        }
    }
    exit
}

/// Tells an error as an event, for `--format ndjson`.
pub(crate) fn event(told: &Told) {
    tracing::error!(
        target: TARGET,
        kind = "error",
        message = told.message,
        causes = told.causes.join("; "),
        sqlstate = told.sqlstate,
        statement = told.statement,
        context = (!told.context.is_empty()).then(|| told.context.join("; ")),
        hint = told.hint,
    );
}

/// The last event of `--format ndjson`: how the command ended.
pub(crate) fn ended(exit: Exit) {
    tracing::info!(target: TARGET, kind = "ended", ok = exit == Exit::Done, exit_code = u64::from(exit.code()));
}

/// Prints an error that was taken apart, for people; also where notes are not printed.
pub(crate) fn write(told: &Told, output: &Output) {
    let paint = output.paint;
    let mut lines = Vec::new();
    let mut add = |head: String, text: &str| {
        for (number, line) in text.lines().enumerate() {
            let head = if number == 0 { head.as_str() } else { "         " };
            lines.push(format!("{head} {}", paint.safe(line)));
        }
    };
    add(paint.bad("error:"), &told.message);
    for cause in &told.causes {
        add(format!("  {}", paint.faint("because")), cause);
    }
    if let Some(statement) = &told.statement {
        add(format!("       {}", paint.faint("in")), statement);
    }
    for place in &told.context {
        add(format!("       {}", paint.faint("at")), place);
    }
    if let Some(hint) = &told.hint {
        add(format!("  {}", paint.strong("hint")), hint);
    }
    lines.iter().for_each(|line| output.aside(line));
}

/// Prints why something could not be read, for people: a reason that many services share once.
pub(crate) fn write_each<'e>(errors: impl IntoIterator<Item = &'e SurveyError>, output: &Output) {
    for told in tell_each(errors) {
        write(&told, output);
    }
}

/// Takes errors apart, those that say the same once.
pub(crate) fn tell_each<'e>(errors: impl IntoIterator<Item = &'e SurveyError>) -> Vec<Told> {
    once(errors.into_iter().map(|error| tell(error)))
}

/// What says the same, once.
pub(crate) fn once(errors: impl IntoIterator<Item = Told>) -> Vec<Told> {
    let mut all: Vec<Told> = Vec::new();
    for told in errors {
        if !all.contains(&told) {
            all.push(told);
        }
    }
    all
}

/// Takes an error apart.
pub(crate) fn tell(error: &(dyn Error + 'static)) -> Told {
    if let Some(RunError::Survey(unread)) = error.downcast_ref::<RunError>() {
        // What could not be read is said by what is below it.
        return tell(unread.as_ref());
    }
    let step = match error.downcast_ref::<RunError>() {
        Some(RunError::Step(step)) => Some(step),
        _ => None,
    };
    let mut told = Told {
        message: error.to_string(),
        causes: Vec::new(),
        sqlstate: None,
        statement: step.and_then(|step| step.statement()).map(str::to_owned),
        context: Vec::new(),
        hint: hint(error),
    };
    let mut next = error.source();
    while let Some(cause) = next {
        told.hint = told.hint.or_else(|| hint(cause));
        let (text, state, deeper) = said(cause);
        told.sqlstate = told.sqlstate.or(state);
        if let Some(server) = driver(cause).and_then(postgres) {
            told.context = server.r#where().map(context).unwrap_or_default();
        }
        let before = told.causes.last().unwrap_or(&told.message);
        if !text.is_empty() && !before.contains(&text) {
            told.causes.push(text);
        }
        next = if deeper { cause.source() } else { None };
    }
    told
}

/// The driver's error that a cause is.
fn driver<'e>(cause: &'e (dyn Error + 'static)) -> Option<&'e sqlx::Error> {
    match cause.downcast_ref::<DbErr>() {
        Some(error) => driver_error(error),
        None => cause.downcast_ref::<sqlx::Error>(),
    }
}

/// What PostgreSQL itself reports.
fn postgres(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()
}

/// PostgreSQL's CONTEXT: the functions and triggers that were at work. Left out are statements, of which an excerpt is
/// shown, and the values that follow a colon.
fn context(text: &str) -> Vec<String> {
    const SHOWN: usize = 6;
    let is_place = |line: &&str| {
        line.starts_with("PL/") || line.starts_with("SQL function ") || line.starts_with("COPY ")
    };
    let places = text.lines().filter(is_place);
    places.take(SHOWN).map(|line| line.split(": ").next().unwrap_or(line).to_owned()).collect()
}

/// What a cause says, its SQLSTATE, and whether its own causes say more.
fn said(cause: &(dyn Error + 'static)) -> (String, Option<String>, bool) {
    if let Some(DbErr::Migration(text) | DbErr::Custom(text)) = cause.downcast_ref::<DbErr>() {
        return (text.clone(), None, false);
    }
    let Some(error) = driver(cause) else { return (cause.to_string(), None, true) };
    match error {
        sqlx::Error::Database(server) => {
            let Some(server) = postgres(error) else {
                return (server.message().to_owned(), None, false);
            };
            let more = [server.detail(), server.hint()].into_iter().flatten();
            let text = std::iter::once(server.message()).chain(more).collect::<Vec<_>>().join("; ");
            (format!("{text} ({})", server.code()), Some(server.code().to_owned()), false)
        }
        sqlx::Error::Io(error) => (error.to_string(), None, false),
        other => (other.to_string(), None, false),
    }
}

fn hint(error: &(dyn Error + 'static)) -> Option<String> {
    let said = if let Some(error) = error.downcast_ref::<RunError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<PlanError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<SelectionError>() {
        return Some(error.hint().to_owned());
    } else if let Some(error) = error.downcast_ref::<ConnectError>() {
        Some(error.hint())
    } else if let Some(error) = error.downcast_ref::<SurveyError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<UpkeepError>() {
        error.hint()
    } else if let Some(error) = error.downcast_ref::<DeploymentError>() {
        error.hint()
    } else {
        return of_the_program(error);
    };
    said.as_ref().map(words::hint)
}

/// What to do about an error that only a command line has.
fn of_the_program(error: &(dyn Error + 'static)) -> Option<String> {
    match error.downcast_ref::<SandboxError>() {
        Some(SandboxError::NotOurs { .. }) => Some(
            "set MIGRATE_POSTGRES_DIR to an empty or new directory, or DATABASE_URL to a server".to_owned(),
        ),
        Some(SandboxError::Damaged { .. }) => {
            Some("restore it from a backup, or delete all data in it with `db reset --yes`".to_owned())
        }
        Some(SandboxError::OtherMajor { missing, .. }) => {
            Some(format!("{}, or delete all data in it with `db reset --yes`", missing.hint()))
        }
        Some(error) => error.hint(),
        None => error.downcast_ref::<Failure>().and_then(|failure| failure.hint.clone()),
    }
}
