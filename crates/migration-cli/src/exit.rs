//! Exit codes: the one place where a class becomes a number. They are part of the interface and never change.

use std::sync::atomic::{AtomicBool, Ordering};

use migration_report::Class;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By itself.
    Ended(Class),
    /// By Ctrl-C.
    Interrupted,
    /// By SIGTERM.
    Terminated,
}

/// Whether the process was told to end by SIGTERM, and not by Ctrl-C.
static TERMINATED: AtomicBool = AtomicBool::new(false);

impl Exit {
    /// Nothing went wrong.
    pub(crate) const DONE: Self = Self::Ended(Class::Done);

    /// Notes the signal by which the process is stopped.
    pub(crate) fn note_signal(self) {
        TERMINATED.store(self == Self::Terminated, Ordering::SeqCst);
    }

    /// The number.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ended(class) => match class {
                Class::Done => 0,
                Class::Failed => 1,
                Class::Usage => 2,
                Class::Pending => 3,
                Class::Integrity => 4,
                Class::Busy => 5,
                Class::Partial => 6,
                Class::Refused => 7,
                Class::Connection => 8,
                Class::Interrupted => 130,
            },
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }
}

impl From<Class> for Exit {
    /// What was stopped from outside ends by the signal that was noted.
    fn from(class: Class) -> Self {
        match class {
            Class::Interrupted if TERMINATED.load(Ordering::SeqCst) => Self::Terminated,
            Class::Interrupted => Self::Interrupted,
            class => Self::Ended(class),
        }
    }
}

/// An error of the command line itself, with its class and the next step to take.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// A task's answer to arguments or a configuration that it cannot use (exit code 2), with the next step to take.
#[must_use]
pub fn wrong_usage(error: impl std::error::Error, hint: &str) -> anyhow::Error {
    Failure::usage(error.to_string(), hint).into()
}

impl Failure {
    /// What clap says of arguments, on one line.
    pub(crate) fn of_arguments(error: &clap::Error, invocation: &str) -> Self {
        let text = error.render().to_string();
        let message = text.trim_start_matches("error: ").split("\n\n").next().unwrap_or_default();
        let message = message.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::usage(message, format!("`{invocation} --help` explains the arguments"))
    }

    /// Wrong usage or configuration.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { class: Class::Usage, message: message.into(), hint: Some(hint.into()) }
    }
}
