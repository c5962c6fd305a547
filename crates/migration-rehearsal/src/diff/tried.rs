//! What the server makes of a change: it is tried on the empty table, and taken back. Whether a table is written anew is decided
//! from types and expressions, so that rows would make no difference.

use migration_kit::{literal, quote_identifier};
use postgres_sandbox::{Database, SandboxError};

use super::change::{EntityChange, EntityDifference, NewColumn, Retyping};
use crate::RehearsalError;

/// Finds out what only the server knows of a change. One that it refuses is none that can be derived.
pub(super) fn on_server(
    database: &Database,
    schema: &str,
    difference: &mut EntityDifference,
) -> Result<(), RehearsalError> {
    let Some(table) = difference.object.parent.as_deref() else { return Ok(()) };
    let column = quote_identifier(&difference.object.name);
    let attempt = |alterations: &[String]| try_to(database, schema, table, alterations);
    match &mut difference.change {
        EntityChange::NewColumn(new) => {
            let NewColumn { type_, default, generated, .. } = &*new;
            let default = default.as_ref().map(|default| format!(" DEFAULT {default}")).unwrap_or_default();
            let generated = generated.as_ref().map(|generated| format!(" {generated}")).unwrap_or_default();
            // Its type may be one that is not there yet, which rewrites nothing.
            let tried = attempt(&[format!("ADD COLUMN {column} {type_}{default}{generated}")])?;
            new.rewrites = tried.unwrap_or(false);
        }
        EntityChange::Retyped { from, to, how } => {
            let cast = |type_: &str, is_cast: bool| {
                let using = if is_cast { format!(" USING {column}::{type_}") } else { String::new() };
                format!("ALTER COLUMN {column} TYPE {type_}{using}")
            };
            let mut refused = String::new();
            for (is_cast, is_cast_back) in [(false, false), (true, false), (false, true), (true, true)] {
                let there = cast(to, is_cast);
                match attempt(&[there.clone(), cast(from, is_cast_back)])? {
                    Ok(_) => {
                        let rewrites = attempt(&[there])?.unwrap_or(true);
                        *how = Retyping { is_cast, is_cast_back, rewrites };
                        return Ok(());
                    }
                    Err(says) => refused = says,
                }
            }
            let says = format!("is of type {from}, and its field of {to}: {refused}");
            difference.change = EntityChange::Other(says);
        }
        _ => {}
    }
    Ok(())
}

/// Alters a table and takes that back: whether its rows were written anew, or what the server says.
fn try_to(
    database: &Database,
    schema: &str,
    table: &str,
    alterations: &[String],
) -> Result<Result<bool, String>, RehearsalError> {
    let table = quote_identifier(table);
    let file = format!("SELECT 'file ' || coalesce(pg_relation_filenode({}), 0);\n", literal(&table));
    let alter: String = alterations.iter().map(|alter| format!("ALTER TABLE {table} {alter};\n")).collect();
    let sql = format!(
        "BEGIN;\nSET LOCAL search_path = {}, public, extensions;\n{file}{alter}{file}ROLLBACK;\n",
        quote_identifier(schema)
    );
    match database.psql(&sql) {
        Ok(output) => {
            let files: Vec<&str> = output.lines().filter(|line| line.starts_with("file ")).collect();
            Ok(Ok(files.first() != files.last()))
        }
        Err(SandboxError::Failed { message, .. }) => {
            let said = message.lines().find_map(|line| line.split_once("ERROR:  "));
            Ok(Err(said.map_or(message.clone(), |(_, says)| says.to_owned())))
        }
        Err(other) => Err(other.into()),
    }
}
