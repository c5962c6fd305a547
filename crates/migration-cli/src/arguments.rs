//! The arguments, as clap reads them. No argument takes a secret: addresses come from the environment.
//!
//! It is as long as the help, which is read as a whole.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use migration_plan::Selection;

#[cfg(feature = "rehearsal")]
mod adopt;
#[cfg(feature = "rehearsal")]
mod author;
mod backup;
mod citus;
mod deploy;
mod moving;
#[cfg(feature = "rehearsal")]
mod rehearsal;
mod repair;
mod roles;
mod run;
#[cfg(feature = "serve")]
mod serve;

#[cfg(feature = "rehearsal")]
pub(crate) use adopt::{AdoptFrom, AdoptOptions, Source};
#[cfg(feature = "rehearsal")]
pub(crate) use author::GenerateOptions;
pub(crate) use backup::{BackupArguments, ResetArguments, RestoreArguments};
pub(crate) use citus::CitusCommand;
pub(crate) use deploy::{DeployArguments, OnFailure};
pub(crate) use moving::MoveArguments;
#[cfg(feature = "rehearsal")]
pub(crate) use rehearsal::{CheckOptions, SqlOptions};
pub(crate) use repair::RepairArguments;
pub(crate) use roles::RolesArguments;
pub(crate) use run::{ApplyOptions, Consent, Contract, RunArguments, UpOptions};
use run::{duration, selection};
#[cfg(feature = "serve")]
pub(crate) use serve::ServeArguments;

use crate::database::Embedded;
use crate::exit::Failure;
use crate::help;

/// Brings the databases of several services to where they should be.
#[derive(Debug, Args)]
#[command(after_long_help = help::PROGRAM)]
pub struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) up: UpOptions,
    #[command(flatten)]
    pub(crate) global: Global,
}

impl Arguments {
    /// The command; `up` if none is named.
    ///
    /// # Errors
    /// [`Failure`] if something that only `up` understands precedes another command, which would not heed it.
    pub(crate) fn command(self) -> Result<Command, Failure> {
        let Some(command) = self.command else {
            return Ok(Command::Up { targets: Vec::new(), options: self.up });
        };
        if self.up != UpOptions::default() {
            return Err(Failure::usage(
                "an option of `up` precedes the command",
                "write options behind the command that they are for: `up --contract`",
            ));
        }
        Ok(command)
    }
}

/// The arguments of a program that has no others.
#[derive(Debug, Parser)]
#[command(version, about)]
pub(crate) struct Alone {
    #[command(flatten)]
    pub(crate) arguments: Arguments,
}

/// What every command understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Print for machines: one JSON document on stdout
    #[arg(long, global = true, hide_short_help = true, help_heading = "Output", conflicts_with = "format")]
    pub(crate) json: bool,
    /// How to print; `ndjson` (one event per line) is for commands that run migrations, `github` (annotations) for `check`
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Output",
        value_enum,
        value_name = "FORMAT"
    )]
    pub(crate) format: Option<Format>,
    /// When to use colour and progress bars
    #[arg(long, global = true, hide_short_help = true, help_heading = "Output", value_enum, default_value_t = Colour::Auto, value_name = "WHEN")]
    pub(crate) color: Colour,
    /// Print whole tables, however narrow the terminal is
    #[arg(long, global = true, hide_short_help = true, help_heading = "Output")]
    pub(crate) wide: bool,
    /// Print results and errors only
    #[arg(long, short, global = true, hide_short_help = true, help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Read the password for all addresses from this open file descriptor, such as a pipe; it wins over every other one
    #[arg(long, global = true, hide_short_help = true, help_heading = "Database", value_name = "N")]
    pub(crate) password_fd: Option<u32>,
    /// Install PostgreSQL with the system's package manager if there is none and none can be downloaded
    #[arg(long, global = true, hide_short_help = true, help_heading = "Database")]
    pub(crate) install_postgres: bool,
    /// Fail if no address is set, instead of using the embedded PostgreSQL; the default where `CI` is set
    #[arg(
        long,
        global = true,
        hide_short_help = true,
        help_heading = "Database",
        conflicts_with = "install_postgres"
    )]
    pub(crate) no_embedded: bool,
}

/// How output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
    /// One JSON object a line, an event each.
    Ndjson,
    /// For people, with a line per finding that GitHub shows beside the file.
    Github,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Colour {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl Global {
    pub(crate) fn embedded(&self) -> Embedded {
        Embedded { never: self.no_embedded, install: self.install_postgres }
    }

    pub(crate) fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format.unwrap_or(Format::Human) }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply pending migrations: all services, or those named, each to its head or its target
    #[command(visible_alias = "upgrade")]
    #[command(after_help = help::UP)]
    Up {
        /// `SERVICE`, or `SERVICE@TARGET` with a migration, the id of its predecessor in another tool, a unique prefix of either,
        /// `head` or `+N`; `:` is as good as `@`
        #[arg(value_name = "SERVICE[@TARGET]", value_parser = selection)]
        targets: Vec<Selection>,
        #[command(flatten)]
        options: UpOptions,
    },
    /// Revert migrations, back to a target of each service named
    #[command(visible_aliases = ["downgrade", "revert"])]
    #[command(after_help = help::DOWN)]
    Down {
        /// `SERVICE@TARGET` with `-N`, `base`, or the migration to stay at
        #[arg(value_name = "SERVICE@TARGET", required = true, value_parser = selection)]
        targets: Vec<Selection>,
        #[command(flatten)]
        options: RunArguments,
        /// Allow reverting migrations that loses data
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Revert a service's last migration (or back to a target) and apply it again
    #[command(after_help = help::REDO)]
    Redo {
        /// `SERVICE`, or `SERVICE@TARGET` as for `down`
        #[arg(value_name = "SERVICE[@TARGET]", required = true, value_parser = selection)]
        targets: Vec<Selection>,
        #[command(flatten)]
        options: RunArguments,
        /// Allow migrations that are declared to lose data
        #[arg(long)]
        allow_data_loss: bool,
    },
    /// Show the state of each service; changes nothing
    #[command(visible_aliases = ["current", "info"])]
    #[command(after_help = help::STATUS)]
    Status {
        /// Services to show; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Exit with 3 if something is pending, with 4 if a history does not fit or the schema lacks what applied migrations left, with 6
        /// if a migration stopped midway
        #[arg(long)]
        check: bool,
        /// Show the role's rights, event triggers, row security and settings that our sessions override, too
        #[arg(long, short)]
        verbose: bool,
    },
    /// List each service's migrations and whether they are applied; with `--verbose`, every run from the journal
    #[command(after_help = help::HISTORY)]
    History {
        /// Services to show; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Show the journal: every run, who ran it, how it ended
        #[arg(long, short)]
        verbose: bool,
    },
    /// Show what `up` would do; changes nothing
    #[command(after_help = help::PLAN)]
    Plan {
        /// As for `up`
        #[arg(value_name = "SERVICE[@TARGET]", value_parser = selection)]
        targets: Vec<Selection>,
        /// Plan contract steps too, as `up --contract` would apply them
        #[arg(long)]
        contract: bool,
        /// Plan as if soak times had passed, as `up --contract --ignore-soak` would apply them
        #[arg(long, requires = "contract")]
        ignore_soak: bool,
        /// Plan what `down` would revert to these targets
        #[arg(long, conflicts_with = "contract")]
        down: bool,
        /// Write the plan into this file, for `apply` to carry it out as it is
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Carry out a plan that `plan --out` wrote; refused if it would not be the same now
    #[command(after_help = help::APPLY)]
    Apply {
        /// The plan
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        options: ApplyOptions,
    },
    /// Check that the database still looks as the applied migrations left it
    #[command(after_help = help::VERIFY)]
    Verify {
        /// Services to verify; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
    },
    /// Look whether everything is as a run needs it: settings, servers, rights, what has surprised others; exit with 4 if not
    #[command(after_help = help::DOCTOR)]
    Doctor,
    /// Show which sessions hold the migration locks
    #[command(after_help = help::LOCKS)]
    Locks,
    /// List data that migrations could not convert, and why
    #[command(after_help = help::REJECTS)]
    Rejects {
        /// Service to ask
        service: String,
        /// Count them by reason instead of listing them
        #[arg(long)]
        count: bool,
        /// Most entries to list
        #[arg(long, value_name = "N", default_value_t = 1000)]
        limit: u64,
    },
    /// Show the graph of migrations and their requirements; asks no database
    #[command(after_help = help::GRAPH)]
    Graph {
        /// Notation; Mermaid if none is named
        #[arg(long, value_enum, value_name = "NOTATION")]
        notation: Option<GraphFormat>,
    },
    /// Show the size of a service's tables, and give the space of removed rows and columns back
    #[command(after_help = help::SPACE)]
    Space {
        /// Service to ask
        service: String,
        /// Rewrite this table compactly. Takes an ACCESS EXCLUSIVE lock for as long as the rewrite takes: nobody reads or
        /// writes the table meanwhile
        #[arg(long, value_name = "TABLE")]
        reclaim: Option<String>,
    },
    /// Show on which node of Citus each service is, put one on a node, or move it to another
    #[command(subcommand)]
    #[command(after_help = help::CITUS)]
    Citus(CitusCommand),
    /// Back up services: what each owns, at one moment, as an archive that is restored on trial, and a manifest beside it
    #[command(after_help = help::BACKUP)]
    Backup {
        /// Services to back up; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        #[command(flatten)]
        options: BackupArguments,
    },
    /// List backups and check each archive; exit with 4 if one is damaged or incomplete
    #[command(after_help = help::BACKUPS)]
    Backups {
        /// Services whose backups are listed; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Directory of the backups; `MIGRATE_BACKUP_DIR`, else `backups`, if none is named
        #[arg(long, value_name = "DIRECTORY")]
        directory: Option<PathBuf>,
    },
    /// Restore one service from a backup: what is there is set aside, and replaced in one transaction
    #[command(after_help = help::RESTORE)]
    Restore(RestoreArguments),
    /// Move one service to another server: nobody writes meanwhile, and what came there is proved to be what was here
    #[command(after_help = help::MOVE)]
    Move(MoveArguments),
    /// Explain what is wrong with a service's history and what mends it; exit with 4 if something is. With an option, mend that
    #[command(after_help = help::REPAIR)]
    Repair(RepairArguments),
    /// Drop what one service owns and nothing else, in one transaction; refused if others use it, or if it has rows
    #[command(after_help = help::RESET)]
    Reset(ResetArguments),
    /// Make an owner role and an application role for services, as far as they are missing; `up` runs as the owner then
    #[command(after_help = help::ROLES)]
    Roles(RolesArguments),
    /// Deploy: look at everything, back up, apply, verify, see that the application is healthy; on failure, the way back
    #[command(after_help = help::DEPLOY)]
    Deploy(Box<DeployArguments>),
    /// Run a task of a service that is not a migration
    #[command(after_help = help::TASK)]
    Task {
        /// The service, the task and its arguments; without a task, the list of them
        #[arg(value_name = "SERVICE TASK ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
    /// Open psql in a service's schema
    #[command(after_help = help::PSQL)]
    Psql {
        /// Service to open
        service: String,
        /// Arguments for psql
        #[arg(value_name = "PSQL ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Manage the embedded PostgreSQL that is used where no DATABASE_URL is set
    #[command(subcommand, after_help = help::DB)]
    Db(DbCommand),
    /// Print what `up` or `down` would send, as a script for `psql`; what a database has is left out if an address is set
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::SQL)]
    Sql {
        /// As for `up`, or for `down` with `--down`; all services if none is named
        #[arg(value_name = "SERVICE[@TARGET]", value_parser = selection)]
        targets: Vec<Selection>,
        #[command(flatten)]
        options: SqlOptions,
    },
    /// Compare the live schema of each service with what its applied migrations make on a server of its own
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::DRIFT)]
    Drift {
        /// Services that are compared; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Print the statements that bring the schemas back, as a script for `psql`; those that lose rows are comments
        #[arg(long)]
        repair: bool,
    },
    /// Compare the sea-orm entities of services with the schema that their migrations make; exit with 4 on a difference
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::DIFF)]
    Diff {
        /// Services that are compared; all that have entities if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
    },
    /// Take over an existing database: record as applied what an earlier system has applied, if that makes the live schema
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::ADOPT)]
    Adopt {
        /// Services to take over; those that the earlier tool's table knows, if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        #[command(flatten)]
        from: AdoptFrom,
        #[command(flatten)]
        options: AdoptOptions,
    },
    /// Record migrations up to a target as applied, without running them, if they make the live schema
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::STAMP)]
    Stamp {
        /// As for `up`
        #[arg(value_name = "SERVICE@TARGET", required = true, value_parser = selection)]
        targets: Vec<Selection>,
        #[command(flatten)]
        options: AdoptOptions,
    },
    /// Write `migrations.lock` and `schema.sql` of each service, from a run of all migrations on a server of its own
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::ARTIFACTS)]
    Artifacts {
        /// Services whose files are written; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// Directory that has a directory of each service's name
        #[arg(long, value_name = "DIRECTORY", default_value = ".")]
        directory: PathBuf,
        /// Write nothing; exit with 1 if a file is not what its migrations do
        #[arg(long)]
        check: bool,
    },
    /// Check everything that has to hold before a release, on servers of its own; exit with 4 if something does not
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::CHECK)]
    Check {
        /// Services that are checked; all if none is named. Or SQL files of any tool, which are applied in this order and checked
        /// for hazards
        #[arg(value_name = "SERVICE|FILE.sql")]
        services: Vec<String>,
        #[command(flatten)]
        options: CheckOptions,
    },
    /// Write the source of a new migration of a service and register it; its statements are left to you
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::GENERATE)]
    Generate {
        /// Service that gets the migration
        service: String,
        /// Its name without the time: `add_invoice_due`
        name: String,
        #[command(flatten)]
        options: GenerateOptions,
    },
    /// Write the package of a new service, without migrations, and register it in its workspace
    #[cfg(feature = "rehearsal")]
    #[command(after_help = help::NEW_SERVICE)]
    NewService {
        /// Its name, which is also that of its schema: `billing`, `order_history`
        name: String,
        /// Directory that has a directory of each service's name
        #[arg(long, value_name = "DIRECTORY", default_value = ".")]
        directory: PathBuf,
    },
    /// Wait until nothing is pending that this build needs, and exit with 3 if that takes too long: for init containers
    #[command(after_help = help::WAIT)]
    Wait {
        /// Services to wait for; all if none is named
        #[arg(value_name = "SERVICE")]
        services: Vec<String>,
        /// What to wait for
        #[arg(long = "for", value_enum, value_name = "WHAT", default_value_t = WaitFor::Current)]
        what: WaitFor,
        /// How long to wait: `90s`, `5m`, `0`
        #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration)]
        timeout: Duration,
    },
    /// Serve a status page, health, readiness and metrics over HTTP; reads only, and for this machine only unless `--listen` says otherwise
    #[cfg(feature = "serve")]
    #[command(after_help = help::SERVE)]
    Serve(ServeArguments),
    /// Print a completion script for a shell
    #[command(after_help = help::COMPLETIONS)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

/// What can be done with the embedded cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Start it, and let it run until `stop`
    Start,
    /// Stop it; its data is kept
    Stop,
    /// Show whether it runs, where it is and how large
    Status,
    /// Stop it and delete all its data
    Reset {
        /// Really delete
        #[arg(long)]
        yes: bool,
    },
}

/// What can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WaitFor {
    /// Nothing is pending; contract steps that are held back do not count.
    Current,
}

/// Notations of a graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// Mermaid, for Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
    /// JSON.
    Json,
}

/// The format that arguments ask for which clap could not read as a whole.
pub(crate) fn format_of(arguments: &[String]) -> Format {
    take_format(&mut arguments.to_vec()).unwrap_or(Format::Human)
}

/// Takes the options for the format out of arguments, and gives the last one. What is behind `--` is something else.
pub(crate) fn take_format(arguments: &mut Vec<String>) -> Option<Format> {
    let mut format = None;
    let mut next = 0;
    while let Some(word) = arguments.get(next).filter(|word| *word != "--") {
        let (named, n_words) = match word.strip_prefix("--format") {
            Some("") => (arguments.get(next + 1).map(String::as_str), 2),
            Some(rest) => (rest.strip_prefix('='), 1),
            None => (None, 1),
        };
        let found = match named.and_then(|named| Format::from_str(named, true).ok()) {
            None if word == "--json" => Some(Format::Json),
            found => found,
        };
        if found.is_some() {
            arguments.drain(next..next + n_words);
            format = found;
        } else {
            next += 1;
        }
    }
    format
}
