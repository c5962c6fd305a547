//! The arguments of `generate`.

use std::path::PathBuf;

use clap::Args;
use migration_plan::MigrationId;
use migration_rehearsal::ColumnName;

/// What `generate` understands.
#[derive(Debug, Clone, Args)]
pub(crate) struct GenerateOptions {
    /// Directory that has a directory of each service's name
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Outside of a transaction, in steps that can be repeated: for tables that are in use
    #[arg(long)]
    pub(crate) steps: bool,
    /// Write its statements into SQL files beside the module
    #[arg(long, conflicts_with = "steps")]
    pub(crate) sql: bool,
    /// It removes what old code may still read, and is held back until then
    #[arg(long)]
    pub(crate) contract: bool,
    /// Write what closes the difference between the service's sea-orm entities and its schema, as `diff` shows it: without
    /// `--contract`, what running code does not notice
    #[arg(long, conflicts_with_all = ["sql", "steps"])]
    pub(crate) from_entities: bool,
    /// This column has another name in its entity, which `--contract` gives it; may be given several times
    #[arg(long, value_name = "TABLE.COLUMN=NAME", value_parser = renaming, requires = "from_entities")]
    pub(crate) rename: Vec<(ColumnName, String)>,
    /// This column of an entity is new, and none that no entity mentions; may be given several times
    #[arg(long, value_name = "TABLE.COLUMN", value_parser = column, requires = "from_entities")]
    pub(crate) new: Vec<ColumnName>,
    /// Drop this column, which no entity mentions; may be given several times
    #[arg(long, value_name = "TABLE.COLUMN", value_parser = column, requires_all = ["from_entities", "contract"])]
    pub(crate) drop: Vec<ColumnName>,
    /// A migration of another service that must be applied before; may be given several times
    #[arg(long, value_name = "SERVICE:MIGRATION")]
    pub(crate) requires: Vec<MigrationId>,
}

/// A table and a column of it.
fn column(text: &str) -> Result<ColumnName, String> {
    match text.split_once('.') {
        Some((table, column)) if !table.is_empty() && !column.is_empty() => {
            Ok((table.to_owned(), column.to_owned()))
        }
        _ => Err("expected `table.column`".to_owned()),
    }
}

/// A column and its new name.
fn renaming(text: &str) -> Result<(ColumnName, String), String> {
    match text.split_once('=') {
        Some((from, to)) if !to.is_empty() => Ok((column(from)?, to.to_owned())),
        _ => Err("expected `table.column=name`".to_owned()),
    }
}
