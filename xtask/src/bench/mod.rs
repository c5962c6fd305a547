//! `cargo xtask bench`: what the command line costs, against `psql` running the same SQL.
//!
//! Every figure is a ratio or a difference between two things that ran by turns on one server in one run, because
//! machines differ and are shared. Nothing here is a test: a figure beyond its limit is printed as such, for a person to
//! judge. It never touches a database that it did not make.

mod assessments;
mod cold;
mod figure;
mod growth;
mod load;
mod nothing;
mod process;
mod profochatbot;
mod readers;
mod revert;
mod server;
mod size;
mod synthetic;
mod under_load;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use postgres_sandbox::Cluster;

use self::figure::Figures;
pub(crate) use self::synthetic::SyntheticArguments;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// What to measure; everything if nothing is named
    #[arg(value_enum)]
    names: Vec<Name>,
    /// A release build of this program, instead of making one
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// How often the short ones are repeated; the long ones are run a third as often, and once under load
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Rows of the big tables
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    rows: u64,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// 100 small migrations of five services on an empty database
    Cold,
    /// `up` and `status` where nothing is pending
    Nothing,
    /// The same with up to 500 services and up to 10,000 applied migrations
    Growth,
    /// Carrying a million evaluations over, on a server without other work
    Assessments,
    /// The same beside an application that reads and writes
    AssessmentsLoad,
    /// Reverting contract steps over a hundred thousand rows
    Revert,
    /// A million conversations made multi-tenant beside an application that reads and writes
    ProfochatbotLoad,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Nothing => "nothing",
            Self::Growth => "growth",
            Self::Assessments => "assessments",
            Self::AssessmentsLoad => "assessments-load",
            Self::Revert => "revert",
            Self::ProfochatbotLoad => "profochatbot-load",
        }
    }
}

/// What all benchmarks share.
struct Bench {
    binary: PathBuf,
    cluster: Cluster,
    repeat: u32,
    rows: u64,
}

/// Measures what was asked for and prints a table of it.
///
/// # Errors
/// If the program cannot be built, there is no PostgreSQL, or something that is measured fails.
pub(crate) fn run(arguments: BenchArguments) -> anyhow::Result<()> {
    let binary = match arguments.binary {
        Some(binary) => binary.canonicalize()?,
        None => process::build()?,
    };
    let cluster = server::durable()?;
    let bench = Bench { binary, cluster, repeat: arguments.repeat, rows: arguments.rows };
    let names = if arguments.names.is_empty() { Name::value_variants().to_vec() } else { arguments.names };
    figure::head(&server::describe(&bench.cluster)?)?;
    for name in names {
        let mut figures = Figures::new(name);
        match name {
            Name::Cold => cold::measure(&bench, &mut figures)?,
            Name::Nothing => nothing::measure(&bench, &mut figures)?,
            Name::Growth => growth::measure(&bench, &mut figures)?,
            Name::Assessments => assessments::measure(&bench, &mut figures)?,
            Name::AssessmentsLoad => {
                under_load::measure(&bench, &assessments::subject(&bench), &mut figures)?;
            }
            Name::Revert => revert::measure(&bench, &mut figures)?,
            Name::ProfochatbotLoad => {
                under_load::measure(&bench, &profochatbot::subject(&bench), &mut figures)?;
            }
        }
        figures.print()?;
    }
    Ok(())
}

/// The middle one of several durations.
fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
