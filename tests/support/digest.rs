//! What a service's schema holds, as text that is equal for equal databases.
//!
//! Left out is what differs between two undisturbed runs too: the clock, random ids, and the gaps that a rolled-back
//! transaction leaves in the numbers of a sequence.

use std::collections::BTreeMap;
use std::fmt::Write;

use postgres_sandbox::Database;

/// Numbers that a migration gives out: of these, only whether there is one counts.
const SURROGATES: [&str; 3] = ["bot_id", "deployment_id", "token_id"];

/// Columns that a migration fills from the clock or at random, as `table.column`.
const VOLATILE: [&str; 8] = [
    "account.created_at",
    "account.updated_at",
    "bot.created_at",
    "bot.updated_at",
    "course_deployment.created_at",
    "course_deployment.updated_at",
    "user_preferences.id",
    "user_preferences.created_at",
];

/// What makes the name of a service's journal: it has a line more for each attempt.
const JOURNAL: &str = "migration_journal_";
/// What makes the name of a service's cursors of backfills: of a backfill that is done none is left, while their empty
/// table may stay where somebody else holds it.
const CURSORS: &str = "migration_backfill_";

/// The definitions of all that is in a schema but for bookkeeping, and what is unfinished: backfills, and indexes that
/// `pg_dump` leaves out because they are invalid.
pub(crate) fn schema(database: &Database, schema: &str) -> String {
    let dump =
        migration_testing::dump_schema(database, schema, &migration_kit::version_table(schema)).unwrap();
    // A column that is made again comes last.
    let mut text: String = dump
        .lines()
        .map(|line| line.strip_suffix(',').unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let mut questions = invalid_indexes(schema);
    for table in tables(database, schema).keys().filter(|table| table.starts_with(CURSORS)) {
        write!(questions, ";\n{}", cursors(schema, table)).unwrap();
    }
    text.push_str(&database.psql(&questions).unwrap());
    text
}

/// The rows of all tables of a schema, each as a number and a hash, but for journals and cursors.
pub(crate) fn rows(database: &Database, schema: &str) -> String {
    // In one session: a program a table takes longer than all that is asked.
    let questions: Vec<String> = tables(database, schema)
        .iter()
        .filter(|(table, _)| !table.starts_with(JOURNAL) && !table.starts_with(CURSORS))
        .map(|(table, columns)| hash(schema, table, columns))
        .collect();
    database.psql(&questions.join(";\n")).unwrap()
}

/// The tables of a schema with their columns.
fn tables(database: &Database, schema: &str) -> BTreeMap<String, Vec<String>> {
    let columns = database
        .psql(&format!(
            "SELECT c.relname, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
             WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 \
             AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        ))
        .unwrap();
    let mut tables = BTreeMap::<_, Vec<_>>::new();
    for (table, column) in columns.lines().filter_map(|line| line.split_once('|')) {
        tables.entry(table.to_owned()).or_default().push(column.to_owned());
    }
    tables
}

/// Asks for the number and the hash of a table's rows, in an order of their own.
fn hash(schema: &str, table: &str, columns: &[String]) -> String {
    let values: Vec<String> = columns
        .iter()
        .filter(|column| !is_volatile(table, column))
        .map(|column| {
            let compared = if SURROGATES.contains(&column.as_str()) { "IS NOT NULL" } else { "" };
            format!("coalesce((\"{column}\" {compared})::text, '∅')")
        })
        .collect();
    let row = if values.is_empty() { "''".to_owned() } else { values.join(" || '|' || ") };
    format!(
        "SELECT '{table}: ' || count(*) || ' rows, ' \
         || coalesce(md5(string_agg(row, E'\\n' ORDER BY row COLLATE \"C\")), '') \
         FROM (SELECT {row} AS row FROM \"{schema}\".\"{table}\") AS rows"
    )
}

/// Asks for backfills that are not done.
fn cursors(schema: &str, table: &str) -> String {
    format!(
        "SELECT 'open backfill of ' || table_name || ' by ' || migration \
         FROM \"{schema}\".\"{table}\" ORDER BY 1"
    )
}

/// Asks for what a concurrent build left behind.
fn invalid_indexes(schema: &str) -> String {
    format!(
        "SELECT 'invalid index ' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid \
         WHERE c.relnamespace = '{schema}'::regnamespace AND NOT i.indisvalid ORDER BY 1"
    )
}

fn is_volatile(table: &str, column: &str) -> bool {
    let of_bookkeeping = table.starts_with("seaql_migrations_") || table.starts_with("migration_reject_");
    VOLATILE.contains(&format!("{table}.{column}").as_str())
        || (table == "user_preferences" && column == "updated_at")
        || (of_bookkeeping && ["id", "applied_at", "rejected_at"].contains(&column))
}

/// The lines that differ.
pub(crate) fn difference(expected: &str, found: &str) -> String {
    let missing = expected
        .lines()
        .filter(|line| !found.lines().any(|other| other == *line))
        .map(|line| format!("- {line}"));
    let added = found
        .lines()
        .filter(|line| !expected.lines().any(|other| other == *line))
        .map(|line| format!("+ {line}"));
    missing.chain(added).collect::<Vec<_>>().join("\n")
}
