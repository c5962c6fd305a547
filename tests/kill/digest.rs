//! What a service's schema holds, as text that is equal for equal databases.
//!
//! Left out is what differs between two undisturbed runs too: the clock, random ids, and the gaps that a rolled-back
//! transaction leaves in the numbers of a sequence.

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

/// Tables of the bookkeeping that differ by the number of attempts.
const ATTEMPTS: [&str; 2] = ["migration_journal_", "migration_backfill_"];

/// Definitions and rows of all tables of a schema.
pub(crate) fn digest(database: &Database, schema: &str) -> String {
    let exclude = format!("--exclude-table={schema}.migration_backfill_*");
    let schema_arg = format!("--schema={schema}");
    let dump =
        database.pg_dump(&["--schema-only", "--no-owner", "--no-privileges", &schema_arg, &exclude]).unwrap();
    let mut text: String = dump
        .lines()
        .filter(|line| {
            !line.is_empty()
                && !line.starts_with("--")
                && !line.starts_with("SET ")
                && !line.starts_with('\\')
        })
        .fold(String::new(), |text, line| text + line + "\n");
    let tables = database
        .psql(&format!(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = '{schema}' AND c.relkind = 'r' ORDER BY 1"
        ))
        .unwrap();
    for table in tables.lines().filter(|table| !ATTEMPTS.iter().any(|prefix| table.starts_with(prefix))) {
        writeln!(text, "{table}: {}", rows(database, schema, table)).unwrap();
    }
    text
}

/// Number and hash of a table's rows, in an order of their own.
fn rows(database: &Database, schema: &str, table: &str) -> String {
    let columns = database
        .psql(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = '{schema}.{table}'::regclass AND attnum > 0 \
             AND NOT attisdropped ORDER BY attnum"
        ))
        .unwrap();
    let values: Vec<String> = columns
        .lines()
        .filter(|column| !is_volatile(table, column))
        .map(|column| {
            let compared = if SURROGATES.contains(&column) { "IS NOT NULL" } else { "" };
            format!("coalesce((\"{column}\" {compared})::text, '∅')")
        })
        .collect();
    let row = if values.is_empty() { "''".to_owned() } else { values.join(" || '|' || ") };
    database
        .psql(&format!(
            "SELECT count(*) || ' rows, ' || coalesce(md5(string_agg(row, E'\\n' ORDER BY row COLLATE \"C\")), '') \
             FROM (SELECT {row} AS row FROM \"{schema}\".\"{table}\") AS rows"
        ))
        .unwrap()
}

fn is_volatile(table: &str, column: &str) -> bool {
    let of_bookkeeping = table.starts_with("seaql_migrations_") || table.starts_with("migration_reject_");
    VOLATILE.contains(&format!("{table}.{column}").as_str())
        || (table == "user_preferences" && column == "updated_at")
        || (of_bookkeeping && ["id", "applied_at", "rejected_at"].contains(&column))
}
