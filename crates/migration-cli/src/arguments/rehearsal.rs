//! The arguments of `check` and `sql`.

use std::path::PathBuf;

use clap::Args;
use migration_rehearsal::{Check, Rules};

/// What `check` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct CheckOptions {
    /// Directory that has a directory of each service's name
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Schema on top of which SQL files are checked: a file as `pg_dump --schema-only` writes it, or a database, by its address
    /// or by the variable that holds it; only its schema is read
    #[arg(long, value_name = "FILE|ADDRESS|VARIABLE")]
    pub(crate) base: Option<String>,
    /// Judge by the rules for Citus too: what it refuses of a schema that is on a node, and what fails there later
    #[arg(long)]
    pub(crate) citus: bool,
    /// Leave a check out, by the name in the table; may be given several times
    #[arg(long, value_name = "CHECK", value_parser = skippable)]
    pub(crate) skip: Vec<Check>,
    /// Write lock and schema files that are not what the migrations do, instead of reporting them
    #[arg(long)]
    pub(crate) update: bool,
    /// Write the results into this file too, as JUnit's XML
    #[arg(long, value_name = "FILE")]
    pub(crate) junit: Option<PathBuf>,
    /// Write the hazards into this file too, as SARIF
    #[arg(long, value_name = "FILE")]
    pub(crate) sarif: Option<PathBuf>,
}

impl CheckOptions {
    /// The rules by which hazards are found.
    pub(crate) fn rules(&self) -> Rules {
        Rules { citus: self.citus }
    }
}

/// What `sql` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct SqlOptions {
    /// Print what reverts
    #[arg(long)]
    pub(crate) down: bool,
    /// Begin where this migration of the service is the last one applied, whatever a database has; `base` is nothing
    #[arg(long, value_name = "MIGRATION")]
    pub(crate) from: Option<String>,
    /// End with this migration of the service
    #[arg(long, value_name = "MIGRATION")]
    pub(crate) to: Option<String>,
    /// Take contract steps too where the service is installed already; without, they are left out as `up` does
    #[arg(long, conflicts_with_all = ["down", "from", "to"])]
    pub(crate) contract: bool,
    /// Write one file per service into this directory; the names say in what order, where there is one
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) out: Option<PathBuf>,
}

/// A check that takes time and can be left out.
fn skippable(name: &str) -> Result<Check, String> {
    let all = [Check::RoundTrip, Check::Alone, Check::Rows, Check::Interleaved];
    let found = all.into_iter().find(|check| check.as_str() == name);
    found.ok_or_else(|| format!("only {} can be left out", all.map(|check| format!("`{check}`")).join(", ")))
}
