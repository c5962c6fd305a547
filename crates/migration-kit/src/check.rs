//! Checks: statements about a service's schema and data that a server can confirm, as data.
//!
//! A check is one query without parameters. It runs in a `READ ONLY` transaction, or in the migration's own, with the
//! service's schema as the only entry of `search_path`. Making a check decides nothing; the coordinator runs it.

use migration_plan::MigrationName;

/// What a check's query means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckKind {
    /// The query lists violations; the check holds if it returns no row.
    None,
    /// The query returns one boolean; the check holds if it is true.
    Holds,
    /// The query returns one text, printed for the reader; the check always holds.
    Report,
}

/// One check: what it says, and the query that asks the server.
#[derive(Debug, Clone)]
pub struct Check {
    /// What holds, as a sentence without a full stop: `every run with a bot name has a bot`.
    pub says: String,
    /// What the query's result means.
    pub kind: CheckKind,
    /// The query, one statement.
    pub sql: String,
    /// Migration from which on the check no longer applies, because it removes what the check reads.
    pub until: Option<MigrationName>,
}

impl Check {
    /// A check whose query lists the rows that violate it.
    #[must_use]
    pub fn none(says: impl Into<String>, sql: impl Into<String>) -> Self {
        Self::new(CheckKind::None, says, sql)
    }

    /// A check whose query returns one boolean.
    #[must_use]
    pub fn holds(says: impl Into<String>, sql: impl Into<String>) -> Self {
        Self::new(CheckKind::Holds, says, sql)
    }

    /// A figure for the reader: the query returns one text, and the check always holds.
    #[must_use]
    pub fn report(says: impl Into<String>, sql: impl Into<String>) -> Self {
        Self::new(CheckKind::Report, says, sql)
    }

    /// The table exists in the service's schema and has exactly these columns, in any order, each `name type` with
    /// ` not null` where it is: `["id integer not null", "content text"]`, types as `format_type` writes them.
    #[must_use]
    pub fn table(table: &str, columns: &[&str]) -> Self {
        let mut expected: Vec<&str> = columns.to_vec();
        expected.sort_unstable();
        let sql = format!(
            "SELECT coalesce(array_agg(attname || ' ' || format_type(atttypid, atttypmod) \
             || CASE WHEN attnotnull THEN ' not null' ELSE '' END ORDER BY (attname || ' ' || \
             format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END) COLLATE \"C\"), \
             '{{}}') = ARRAY[{}]::text[] \
             FROM pg_attribute WHERE attrelid = to_regclass({}) AND attnum > 0 AND NOT attisdropped",
            expected.iter().map(|column| literal(column)).collect::<Vec<_>>().join(", "),
            literal(&quote_identifier(table)),
        );
        Self::holds(format!("table `{table}` has the columns it should have"), sql)
    }

    /// The column exists with this type, as `format_type` writes it, ` not null` appended where it is.
    #[must_use]
    pub fn column(table: &str, column: &str, type_: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped \
             AND format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END = {})",
            literal(&quote_identifier(table)),
            literal(column),
            literal(type_),
        );
        Self::holds(format!("column `{table}.{column}` is `{type_}`"), sql)
    }

    /// The column does not exist.
    #[must_use]
    pub fn no_column(table: &str, column: &str) -> Self {
        let sql = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped)",
            literal(&quote_identifier(table)),
            literal(column),
        );
        Self::holds(format!("column `{table}.{column}` is gone"), sql)
    }

    /// The index exists and is valid.
    #[must_use]
    pub fn index(index: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass({}) AND indisvalid AND indisready)",
            literal(&quote_identifier(index)),
        );
        Self::holds(format!("index `{index}` is valid"), sql)
    }

    /// The index does not exist.
    #[must_use]
    pub fn no_index(index: &str) -> Self {
        let sql = format!("SELECT to_regclass({}) IS NULL", literal(&quote_identifier(index)));
        Self::holds(format!("index `{index}` is gone"), sql)
    }

    /// The constraint exists on the table and is validated.
    #[must_use]
    pub fn constraint(table: &str, constraint: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass({}) AND conname = {} AND convalidated)",
            literal(&quote_identifier(table)),
            literal(constraint),
        );
        Self::holds(format!("constraint `{constraint}` on `{table}` is validated"), sql)
    }

    /// The trigger exists on the table and fires for every application (not only in a replica's sessions).
    #[must_use]
    pub fn trigger(table: &str, trigger: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass({}) AND tgname = {} AND tgenabled IN ('O', 'A'))",
            literal(&quote_identifier(table)),
            literal(trigger),
        );
        Self::holds(format!("trigger `{trigger}` on `{table}` is enabled"), sql)
    }

    /// Ends the check with a later migration, which removes what the check reads.
    ///
    /// # Panics
    /// If `migration` is empty, which a literal in a migration is not.
    #[must_use]
    pub fn until(mut self, migration: &'static str) -> Self {
        self.until = Some(migration.parse().expect("the name of a migration is not empty"));
        self
    }

    fn new(kind: CheckKind, says: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { says: says.into(), kind, sql: sql.into(), until: None }
    }
}

/// Quotes a text as an SQL string literal; needs `standard_conforming_strings = on`, the default since 9.1.
#[must_use]
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quotes a name as an SQL identifier.
#[must_use]
pub fn quote_identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
