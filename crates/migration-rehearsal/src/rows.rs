//! Rows for tables of a server that the rehearsal started: what fails only where there are some is not seen on empty tables.
//!
//! Which rows a table takes is found out by trying: values by the column's type, those that its checks name, and those of the
//! rows that it refers to. A table that takes none of them stays empty.

use migration_kit::{literal, quote_identifier};
use postgres_sandbox::Database;

use crate::RehearsalError;

/// What triggers need and a role lacks that may use nothing but the triggers' table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Denied {
    /// The table of the triggers.
    pub(crate) table: String,
    /// What the server says.
    pub(crate) says: String,
}

/// What became of the tables.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    /// Those for which no row could be made.
    pub(crate) empty: Vec<String>,
    /// What their triggers lack, one of each table.
    pub(crate) denied: Vec<Denied>,
}

/// Makes the functions that the others here call; those of `trace.sql` may be there or not.
pub(crate) fn prepare(database: &Database) -> Result<(), RehearsalError> {
    let schema = "CREATE SCHEMA IF NOT EXISTS migration_trace;";
    database.psql(&format!("SET client_min_messages = warning; {schema}\n{}", include_str!("rows.sql")))?;
    Ok(())
}

/// Gives the tables of these schemas that are empty some rows, and tries what the triggers of these tables need.
pub(crate) fn fill(database: &Database, schemas: &[String]) -> Result<Filled, RehearsalError> {
    // Functions of triggers find what they name without a schema as the application of these schemas does.
    let path = schemas.iter().map(|schema| quote_identifier(schema)).collect::<Vec<_>>().join(", ");
    let list = schemas.iter().map(|schema| literal(schema)).collect::<Vec<_>>().join(", ");
    let lines = database.psql(&format!(
        "SET client_min_messages = warning; SET search_path = {path}, public; \
         SELECT 'empty', fill, '' FROM migration_trace.fill(ARRAY[{list}]::name[]) AS fill; \
         SELECT 'denied', of_table, says FROM migration_trace.denied(ARRAY[{list}]::name[])"
    ))?;
    let mut filled = Filled::default();
    for line in lines.lines() {
        match line.splitn(3, '|').collect::<Vec<_>>()[..] {
            ["denied", table, says] => {
                filled.denied.push(Denied { table: table.to_owned(), says: says.to_owned() });
            }
            [_, table, _] => filled.empty.push(table.to_owned()),
            _ => {}
        }
    }
    Ok(filled)
}

/// Takes all rows out of the tables that were given some.
pub(crate) fn empty(database: &Database) -> Result<(), RehearsalError> {
    database.psql("SET client_min_messages = warning; SELECT migration_trace.empty()")?;
    Ok(())
}

/// The schemas of a database but for the server's own and ours.
pub(crate) fn schemas(database: &Database) -> Result<Vec<String>, RehearsalError> {
    let names = database.psql(
        "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'migration_trace')",
    )?;
    Ok(names.lines().map(str::to_owned).collect())
}
