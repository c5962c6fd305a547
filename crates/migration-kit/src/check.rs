//! Checks: statements about a service's schema and data that a server can confirm, as data.
//!
//! A check is one query without parameters. It runs in a `READ ONLY` transaction, or in the migration's own, with the
//! service's schema as the first entry of `search_path`; schemas of extensions follow. Making a check decides nothing; the coordinator runs it.

mod column;

use std::borrow::Cow;

use migration_plan::MigrationName;

use column::{Wanted, differing};

use crate::{Made, literal, quote_identifier};

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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What holds, as a sentence without a full stop: `every run with a bot name has a bot`.
    pub says: String,
    /// What the query's result means.
    pub kind: CheckKind,
    /// The query, one statement.
    pub sql: String,
    /// Of a check that asks the catalogs about relations of the service, written by [`own`].
    of_catalog: Option<OfCatalog>,
    /// What it promises that has to have a name of its own.
    made: Option<Made>,
    /// Migration from which on the check no longer applies, because it removes what the check reads.
    pub until: Option<MigrationName>,
}

/// What a check of the catalogs asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OfCatalog {
    /// The query that lists what is not as the check says, each row an object and what is wrong with it.
    differences: String,
    /// The objects that it may list.
    objects: Vec<String>,
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

    /// The table exists in the service's schema and has at least these columns, each `name type`, with ` not null` and
    /// ` default value` where it has them: `["id integer not null default serial", "content text"]`, types as `format_type`
    /// writes them. It lists each that is missing or another; a column that a later migration adds is no difference.
    ///
    /// What is compared is what they mean. A text column may hold more than was asked for. A default is the value that it
    /// gives: `now()` stands for every way to say the time, `gen_random_uuid()` for every function that makes a UUID,
    /// `serial` for a sequence or an identity, and a constant for itself, whatever casts surround it.
    #[must_use]
    pub fn table(table: &str, columns: &[&str]) -> Self {
        let wanted: Vec<Wanted<'_>> = columns.iter().map(|column| Wanted::parse(column)).collect();
        let differences = differing(table, &format!("to_regclass({})", own(table)), &wanted);
        let sql = format!(
            "SELECT format('`%s` %s', object, difference) AS difference FROM ({differences}) AS found"
        );
        let objects = wanted.iter().map(|column| column.object(table)).chain([table.to_owned()]).collect();
        Self::none(format!("table `{table}` has the columns it should have"), sql)
            .of_catalog(differences, objects)
    }

    /// The column exists with this type, as `format_type` writes it, ` not null` appended where it is. Compared as
    /// [`Check::table`] does.
    #[must_use]
    pub fn column(table: &str, column: &str, type_: &str) -> Self {
        let spelled = format!("{column} {type_}");
        Self::of_column(table, &Wanted::parse(&spelled), format!("column `{table}.{column}` is `{type_}`"))
    }

    /// The column's default gives this value, however it is written: PostgreSQL keeps `0.0`, `'0'::double precision` and
    /// `(0)::double precision` apart. Compared as [`Check::table`] does.
    #[must_use]
    pub fn default_of(table: &str, column: &str, value: &str) -> Self {
        let says = format!("column `{table}.{column}` defaults to `{value}`");
        Self::of_column(table, &Wanted::default_of(column, value), says)
    }

    fn of_column(table: &str, wanted: &Wanted<'_>, says: String) -> Self {
        let relation = format!("to_regclass({})", own(table));
        let differences = differing(table, &relation, std::slice::from_ref(wanted));
        let objects = vec![table.to_owned(), wanted.object(table)];
        Self::holds(says, format!("SELECT NOT EXISTS ({differences})")).of_catalog(differences, objects)
    }

    /// The column does not exist.
    #[must_use]
    pub fn no_column(table: &str, column: &str) -> Self {
        let sql = format!(
            "SELECT NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass({}) AND attname = {} AND NOT attisdropped)",
            own(table),
            literal(column),
        );
        Self::of_object(
            format!("column `{table}.{column}` is gone"),
            sql,
            &format!("{table}.{column}"),
            "is still there",
        )
    }

    /// The enum type has at least these values.
    #[must_use]
    pub fn enum_type(name: &str, values: &[&str]) -> Self {
        let sql = format!(
            "SELECT array_agg(enumlabel::text) @> ARRAY[{}] FROM pg_enum WHERE enumtypid = to_regtype({})",
            values.iter().map(|value| literal(value)).collect::<Vec<_>>().join(", "),
            literal(&quote_identifier(name)),
        );
        Self::of_object(
            format!("type `{name}` has its values"),
            sql,
            name,
            "lacks values that it should have",
        )
    }

    /// The index exists and is valid.
    #[must_use]
    pub fn index(index: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_index WHERE indexrelid = to_regclass({}) AND indisvalid AND indisready)",
            own(index),
        );
        Self::of_object(format!("index `{index}` is valid"), sql, index, "is missing or not valid")
            .making(Made::Index(index.to_owned()))
    }

    /// The index does not exist.
    #[must_use]
    pub fn no_index(index: &str) -> Self {
        let sql = format!("SELECT to_regclass({}) IS NULL", own(index));
        Self::of_object(format!("index `{index}` is gone"), sql, index, "is still there")
    }

    /// The constraint exists on the table and is validated.
    #[must_use]
    pub fn constraint(table: &str, constraint: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass({}) AND conname = {} AND convalidated)",
            own(table),
            literal(constraint),
        );
        let says = format!("constraint `{constraint}` on `{table}` is validated");
        Self::of_object(says, sql, &format!("{table}.{constraint}"), "is missing or not validated")
    }

    /// The trigger exists on the table and fires for every application (not only in a replica's sessions).
    #[must_use]
    pub fn trigger(table: &str, trigger: &str) -> Self {
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_trigger WHERE tgrelid = to_regclass({}) AND tgname = {} AND tgenabled IN ('O', 'A'))",
            own(table),
            literal(trigger),
        );
        let says = format!("trigger `{trigger}` on `{table}` is enabled");
        Self::of_object(says, sql, &format!("{table}.{trigger}"), "is missing or not enabled")
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

    /// Notes what has to have been made where it holds.
    pub(crate) fn making(self, made: Made) -> Self {
        Self { made: Some(made), ..self }
    }

    /// The index or function that has to have been made where it holds.
    pub(crate) fn made(&self) -> Option<&Made> {
        self.made.as_ref()
    }

    /// Whether it asks the catalogs alone: what there is, not what rows say. Such a check is answered at once.
    #[must_use]
    pub fn is_of_schema(&self) -> bool {
        self.of_catalog.is_some()
    }

    /// The query to be asked. Relations of the checks above are looked up in the service's schema, the first of `search_path`,
    /// alone: schemas of extensions that follow there may hold others of the same name.
    #[must_use]
    pub fn question(&self) -> Cow<'_, str> {
        match self.of_catalog {
            Some(_) => Cow::Owned(in_own_schema(&self.sql)),
            None => Cow::Borrowed(&self.sql),
        }
    }

    /// Of a check that asks the catalogs alone: the query that lists what is not as it says, one row for each object. The
    /// columns are `object` (`table`, `table.column`, `table.constraint`, or the name of an index or a type) and
    /// `difference`.
    #[must_use]
    pub fn differences(&self) -> Option<String> {
        self.of_catalog.as_ref().map(|asked| in_own_schema(&asked.differences))
    }

    /// The objects that [`Check::differences`] may list.
    #[must_use]
    pub fn objects(&self) -> &[String] {
        self.of_catalog.as_ref().map_or(&[], |asked| &asked.objects)
    }

    /// A check of one object whose query answers with one boolean.
    fn of_object(says: String, sql: String, object: &str, difference: &str) -> Self {
        let differences = format!(
            "SELECT {} AS object, {} AS difference WHERE coalesce(({sql}), false) IS FALSE",
            literal(object),
            literal(difference)
        );
        Self::holds(says, sql).of_catalog(differences, vec![object.to_owned()])
    }

    fn of_catalog(self, differences: String, objects: Vec<String>) -> Self {
        Self { of_catalog: Some(OfCatalog { differences, objects }), ..self }
    }

    fn new(kind: CheckKind, says: impl Into<String>, sql: impl Into<String>) -> Self {
        Self { says: says.into(), kind, sql: sql.into(), of_catalog: None, made: None, until: None }
    }
}

/// The query with the relations of the service looked up in the first schema of `search_path` alone.
fn in_own_schema(sql: &str) -> String {
    sql.replace("to_regclass('", "to_regclass(quote_ident(current_schema()) || '.")
}

/// A relation of the service, as its checks write it.
fn own(relation: &str) -> String {
    literal(&quote_identifier(relation))
}
