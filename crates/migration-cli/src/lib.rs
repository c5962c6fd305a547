//! The command line over any list of services: it reads arguments and environment, prints, and picks exit codes.
//!
//! Nothing is decided here that a program without a command line would need too: what runs, and how, is the
//! coordinator's part. Data goes to stdout, everything else to stderr; no secret goes anywhere.

mod arguments;
mod command;
mod context;
mod database;
mod environment;
mod exit;
mod help;
mod http;
mod json_file;
mod not_written;
mod old_words;
mod output;
mod program;
mod saved_plan;
mod shell;
mod traces;
mod words;

pub use arguments::Arguments;
pub use context::{Program, Task, TaskContext, TaskFuture};
pub use exit::wrong_usage;
pub use program::{execute, main_of, usage};

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
