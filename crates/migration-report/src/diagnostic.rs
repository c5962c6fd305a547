//! An error taken apart: what failed, why, what to do next, each once, and what class of failure it is.

use std::error::Error;

use migration_coordinator::{CheckResult, ConnectError, DeploymentError, RunError, SurveyError, UpkeepError};
use migration_kit::{POLICY_HINT, driver_error, is_cut_by_policy};
use migration_plan::{PlanError, SelectionError};
use sea_orm::DbErr;
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgDatabaseError;
use serde::Serialize;

use crate::words::worded;
use crate::{Class, Words};

/// An error taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// What failed, and on which object.
    pub message: String,
    /// Why, from the nearest cause to the last.
    pub causes: Vec<String>,
    /// SQLSTATE, if the server said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
    /// An excerpt of the statement that failed, without values; `→` marks the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<String>,
    /// Where in functions and triggers the server was, from the innermost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub context: Vec<String>,
    /// What to do next, in the program's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// What kind of failure it is.
    #[serde(skip)]
    pub class: Class,
}

impl Diagnostic {
    /// Takes an error apart.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static), words: &dyn Words) -> Self {
        if let Some(RunError::Survey(unread)) = error.downcast_ref::<RunError>() {
            // What could not be read is said by what is below it.
            return Self::of(unread.as_ref(), words);
        }
        let step = match error.downcast_ref::<RunError>() {
            Some(RunError::Step(step)) => Some(step),
            _ => None,
        };
        let mut diagnostic = Self {
            statement: step.and_then(|step| step.statement()).map(str::to_owned),
            hint: hint(error, words),
            ..Self::plain(&error.to_string(), Class::of(error, words))
        };
        let mut next = error.source();
        while let Some(cause) = next {
            diagnostic.hint = diagnostic.hint.or_else(|| hint(cause, words));
            let (text, state, deeper) = said(cause);
            diagnostic.sqlstate = diagnostic.sqlstate.or(state);
            if let Some(server) = driver(cause).and_then(postgres) {
                diagnostic.context = server.r#where().map(context).unwrap_or_default();
            }
            let before = diagnostic.causes.last().unwrap_or(&diagnostic.message);
            let text = without_passwords(&text);
            if !text.is_empty() && !before.contains(&text) {
                diagnostic.causes.push(text);
            }
            next = if deeper { cause.source() } else { None };
        }
        diagnostic
    }

    /// A check that was not answered.
    #[must_use]
    pub fn of_unanswered(check: &CheckResult) -> Self {
        Self::plain(&check.to_string(), if check.locked { Class::Busy } else { Class::Connection })
    }

    /// A failure without causes.
    fn plain(message: &str, class: Class) -> Self {
        Self {
            message: without_passwords(message),
            causes: Vec::new(),
            sqlstate: None,
            statement: None,
            context: Vec::new(),
            hint: None,
            class,
        }
    }

    /// What failed and why, on one line.
    #[must_use]
    pub fn on_one_line(&self) -> String {
        let causes = self.causes.iter().map(String::as_str);
        std::iter::once(self.message.as_str()).chain(causes).collect::<Vec<_>>().join(": ")
    }
}

/// A text in which no address has a password: an argument that is one, where another word belongs, is repeated in the message.
fn without_passwords(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        shown.push_str(before);
        shown.push_str("://");
        let end = after.find(|char: char| char.is_whitespace() || char == '`').unwrap_or(after.len());
        rest = match after[..end].rsplit_once('@') {
            Some((who, _)) => {
                shown.push_str(who.split_once(':').map_or(who, |(user, _)| user));
                &after[who.len()..]
            }
            None => after,
        };
    }
    shown + rest
}

/// What says the same, once.
#[must_use]
pub fn each_once(diagnostics: impl IntoIterator<Item = Diagnostic>) -> Vec<Diagnostic> {
    let mut all: Vec<Diagnostic> = Vec::new();
    for diagnostic in diagnostics {
        if !all.contains(&diagnostic) {
            all.push(diagnostic);
        }
    }
    all
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

fn hint(error: &(dyn Error + 'static), words: &dyn Words) -> Option<String> {
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
    } else if driver(error).is_some_and(is_cut_by_policy) {
        Some(POLICY_HINT.into())
    } else {
        return words.own(error).and_then(|own| own.hint);
    };
    said.map(|hint| worded(&hint, words))
}

#[cfg(test)]
mod tests {
    use super::without_passwords;

    #[test]
    fn an_address_is_shown_without_its_password() {
        for (text, shown) in [
            ("no address: a@b:c", "no address: a@b:c"),
            ("`postgres://ada:word@h:1/d` is none", "`postgres://ada@h:1/d` is none"),
            ("`chat@postgres://ada:w@r:d/x@h/d`", "`chat@postgres://ada@h/d`"),
            ("http://h:80/a b://u:p@h", "http://h:80/a b://u@h"),
            ("://ada:ö@", "://ada@"),
        ] {
            assert_eq!(without_passwords(text), shown);
        }
    }
}
