//! Checks: statements about a service's schema and data that a server can confirm, as data.
//!
//! A check is one query without parameters. It runs in a `READ ONLY` transaction, or in the migration's own, with the
//! service's schema as the first entry of `search_path`; schemas of extensions follow. Making a check decides nothing; the coordinator runs it.

use std::borrow::Cow;

use migration_plan::MigrationName;

/// The type of a column of `pg_attribute` as checks write it.
const COLUMN_TYPE: &str =
    "format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END";

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
    /// Whether every relation in the query is one of the service, written by [`own`].
    is_of_catalog: bool,
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

    /// The table exists in the service's schema and has at least these columns, each `name type` with ` not null` where it
    /// is: `["id integer not null", "content text"]`, types as `format_type` writes them. It lists each that is missing or
    /// another; a column that a later migration adds is no difference.
    #[must_use]
    pub fn table(table: &str, columns: &[&str]) -> Self {
        let relation = format!("to_regclass({})", own(table));
        let mut sql = format!("SELECT 'the table does not exist' AS difference WHERE {relation} IS NULL");
        for column in columns {
            let (name, type_) = column.split_once(' ').unwrap_or((column, ""));
            let (name, type_) = (literal(name), literal(type_));
            sql.push_str(&format!(
                " UNION ALL SELECT format('column %s: expected %s, found %s', {name}, {type_}, coalesce(found.type, \
                 'none')) FROM (SELECT) AS one LEFT JOIN (SELECT {COLUMN_TYPE} AS type FROM pg_attribute \
                 WHERE attrelid = {relation} AND attname = {name} AND NOT attisdropped) AS found ON true \
                 WHERE {relation} IS NOT NULL AND found.type IS DISTINCT FROM {type_}"
            ));
        }
        Self::none(format!("table `{table}` has the columns it should have"), sql).of_catalog()
    }

    /// The column exists with this type, as `format_type` writes it, ` not null` appended where it is.
    #[must_use]
    pub fn column(table: &str, column: &str, type_: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped \
             AND {COLUMN_TYPE} = {})",
            own(table),
            literal(column),
            literal(type_),
        );
        Self::holds(format!("column `{table}.{column}` is `{type_}`"), sql).of_catalog()
    }

    /// The column's default is this constant, however it is written: PostgreSQL keeps `0.0`, `'0'::double precision` and
    /// `(0)::double precision` apart, which give the same value. Numbers are compared as numbers, all else as text.
    #[must_use]
    pub fn default_of(table: &str, column: &str, constant: &str) -> Self {
        // What is left of a constant without its casts, parentheses and quotes.
        const BARE: &str = r#"btrim(regexp_replace(pg_get_expr(adbin, adrelid), '::"?[a-z_ ]+"?(\([0-9,]+\))?', '', 'g'), '()''')"#;
        let says = format!("column `{table}.{column}` defaults to `{constant}`");
        let is_it = if constant.parse::<f64>().is_ok_and(f64::is_finite) {
            let number = "'^[+-]?[0-9]+([.][0-9]*)?$'";
            format!(
                "CASE WHEN bare ~ {number} THEN bare::numeric = {}::numeric ELSE false END",
                literal(constant)
            )
        } else {
            format!("bare = {}", literal(constant))
        };
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_attribute JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             CROSS JOIN LATERAL (SELECT {BARE} AS bare) AS found \
             WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped AND {is_it})",
            own(table),
            literal(column),
        );
        Self::holds(says, sql).of_catalog()
    }

    /// The column does not exist.
    #[must_use]
    pub fn no_column(table: &str, column: &str) -> Self {
        let sql = format!(
            "SELECT NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped)",
            own(table),
            literal(column),
        );
        Self::holds(format!("column `{table}.{column}` is gone"), sql).of_catalog()
    }

    /// The index exists and is valid.
    #[must_use]
    pub fn index(index: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass({}) AND indisvalid AND indisready)",
            own(index),
        );
        Self::holds(format!("index `{index}` is valid"), sql).of_catalog()
    }

    /// The index does not exist.
    #[must_use]
    pub fn no_index(index: &str) -> Self {
        let sql = format!("SELECT to_regclass({}) IS NULL", own(index));
        Self::holds(format!("index `{index}` is gone"), sql).of_catalog()
    }

    /// The constraint exists on the table and is validated.
    #[must_use]
    pub fn constraint(table: &str, constraint: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass({}) AND conname = {} AND convalidated)",
            own(table),
            literal(constraint),
        );
        Self::holds(format!("constraint `{constraint}` on `{table}` is validated"), sql).of_catalog()
    }

    /// The trigger exists on the table and fires for every application (not only in a replica's sessions).
    #[must_use]
    pub fn trigger(table: &str, trigger: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass({}) AND tgname = {} AND tgenabled IN ('O', 'A'))",
            own(table),
            literal(trigger),
        );
        Self::holds(format!("trigger `{trigger}` on `{table}` is enabled"), sql).of_catalog()
    }

    /// Ends the check with a later migration of the service, which removes what the check reads;
    /// [`Service::new`](crate::Service::new) refuses another name.
    ///
    /// # Panics
    /// If `migration` is empty, which a literal in a migration is not.
    #[must_use]
    pub fn until(mut self, migration: &'static str) -> Self {
        self.until = Some(migration.parse().expect("the name of a migration is not empty"));
        self
    }

    /// Whether it asks the catalogs alone: what there is, not what rows say. Such a check is answered at once.
    #[must_use]
    pub fn is_of_schema(&self) -> bool {
        self.is_of_catalog
    }

    /// The query to be asked. Relations of the checks above are looked up in the service's schema, the first of `search_path`,
    /// alone: schemas of extensions that follow there may hold others of the same name.
    #[must_use]
    pub fn question(&self) -> Cow<'_, str> {
        if self.is_of_catalog {
            Cow::Owned(self.sql.replace("to_regclass('", "to_regclass(quote_ident(current_schema()) || '."))
        } else {
            Cow::Borrowed(&self.sql)
        }
    }

    fn of_catalog(self) -> Self {
        Self { is_of_catalog: true, ..self }
    }

    fn new(kind: CheckKind, says: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { says: says.into(), kind, sql: sql.into(), is_of_catalog: false, until: None }
    }
}

/// A relation of the service, as its checks write it.
fn own(relation: &str) -> String {
    literal(&quote_identifier(relation))
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
