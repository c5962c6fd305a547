//! `cargo xtask bench`: what the command line costs, against `psql` running the same SQL.
//!
//! Every figure is a ratio or a difference between two things that ran by turns on one server in one run, because
//! machines differ and are shared. Nothing here is a test: a figure beyond its limit is printed as such, for a person to
//! judge. It never touches a database that it did not make.

mod assessments;
mod backfill;
mod bookreader;
mod builds;
mod chart;
mod chat;
mod cold;
mod commands;
mod figure;
mod growth;
mod load;
mod nothing;
mod peers;
mod process;
mod profochatbot;
mod rag;
mod readers;
mod revert;
mod server;
mod size;
mod under_load;

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use postgres_sandbox::Cluster;

use self::figure::{Figures, Report, tell};
use self::process::Programs;

/// Measure what the command line costs, against `psql` running the same SQL and other tools.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask bench", bin_name = "cargo xtask bench", version)]
struct Arguments {
    /// What to measure; everything but `build` if nothing is named
    #[arg(value_enum)]
    names: Vec<Name>,
    /// Directory with builds of `migrate`, `synthetic` and `plain`, instead of making release builds
    #[arg(long, value_name = "DIRECTORY")]
    programs: Option<PathBuf>,
    /// Also write the tables as `report.md` and the ratios as `ratios.svg` into this directory
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
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
    /// Carrying evaluations over in three sizes, up to as many as there are rows
    Backfill,
    /// How long builds take from nothing, and a start after an edit; for a machine with nothing else to do
    Build,
    /// Carrying a million evaluations over, on a server without other work
    Assessments,
    /// The same beside an application that reads and writes
    AssessmentsLoad,
    /// The same work by plain sea-orm-migration, Alembic, Django, dbmate, sqlx-cli and pgroll, as far as `PATH` has them
    Peers,
    /// `check`, `sql`, `drift`, `backup` and `restore`, the last two against `pg_dump` and `pg_restore`
    Commands,
    /// Reverting contract steps over a hundred thousand rows
    Revert,
    /// A million messages with a column, indexes and checks beside an application that reads and writes
    ChatLoad,
    /// What is known of a million users, with an index less, beside an application that reads and writes
    RagLoad,
    /// A million conversations made multi-tenant beside an application that reads and writes
    ProfochatbotLoad,
    /// A million books and what their readers set beside an application that reads and writes
    BookreaderLoad,
}

impl Name {
    fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Nothing => "nothing",
            Self::Growth => "growth",
            Self::Backfill => "backfill",
            Self::Build => "build",
            Self::Assessments => "assessments",
            Self::AssessmentsLoad => "assessments-load",
            Self::Peers => "peers",
            Self::Commands => "commands",
            Self::Revert => "revert",
            Self::ChatLoad => "chat-load",
            Self::RagLoad => "rag-load",
            Self::ProfochatbotLoad => "profochatbot-load",
            Self::BookreaderLoad => "bookreader-load",
        }
    }

    /// Who is compared, ours first.
    fn sides(self) -> (&'static str, &'static str) {
        match self {
            Self::Peers => ("other tool", "psql"),
            Self::Commands => ("ours", "`pg_dump`, `pg_restore`"),
            Self::Backfill => ("ours", "one `UPDATE`"),
            Self::Build => ("took", "packages compiled"),
            _ => ("ours", "psql"),
        }
    }
}

/// What all benchmarks share.
struct Bench {
    programs: Programs,
    cluster: Cluster,
    repeat: u32,
    rows: u64,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Measures what was asked for and prints a table of each.
fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(directory) = &arguments.out {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    if arguments.names.contains(&Name::Build) {
        anyhow::ensure!(arguments.names.len() == 1, "`build` is measured alone");
        let mut report = Report::begun(builds::describe()?)?;
        let mut figures = Figures::new(Name::Build);
        builds::measure(&mut figures)?;
        report.add(figures)?;
        return arguments.out.map_or(Ok(()), |directory| Ok(report.write(&directory)?));
    }
    let programs = match arguments.programs {
        Some(directory) => Programs::in_directory(&directory)?,
        None => Programs::build()?,
    };
    let cluster = server::durable()?;
    let mut report = Report::begun(server::describe(&cluster)?)?;
    let bench = Bench { programs, cluster, repeat: arguments.repeat, rows: arguments.rows };
    let all = || Name::value_variants().iter().copied().filter(|name| *name != Name::Build).collect();
    let names = if arguments.names.is_empty() { all() } else { arguments.names };
    for name in names {
        let mut figures = Figures::new(name);
        bench.measure(name, &mut figures)?;
        report.add(figures)?;
        if let Some(directory) = &arguments.out {
            report.write(directory)?;
        }
    }
    Ok(())
}

impl Bench {
    fn measure(&self, name: Name, figures: &mut Figures) -> anyhow::Result<()> {
        match name {
            Name::Cold => cold::measure(self, figures),
            Name::Nothing => nothing::measure(self, figures),
            Name::Growth => growth::measure(self, figures),
            Name::Backfill => backfill::measure(self, figures),
            Name::Build => builds::measure(figures),
            Name::Peers => peers::measure(self, figures),
            Name::Commands => commands::measure(self, figures),
            Name::Assessments => assessments::measure(self, figures),
            Name::AssessmentsLoad => under_load::measure(self, &assessments::subject(self.rows), figures),
            Name::Revert => revert::measure(self, figures),
            Name::ChatLoad => under_load::measure(self, &chat::subject(self), figures),
            Name::RagLoad => under_load::measure(self, &rag::subject(self), figures),
            Name::ProfochatbotLoad => under_load::measure(self, &profochatbot::subject(self), figures),
            Name::BookreaderLoad => under_load::measure(self, &bookreader::subject(self), figures),
        }
    }
}

/// The middle one of several durations.
fn median(mut samples: Vec<Duration>) -> Duration {
    samples.sort_unstable();
    samples.get(samples.len() / 2).copied().unwrap_or_default()
}
