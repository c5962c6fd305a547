//! What an earlier system may have left elsewhere in the database: tables of an empty service's names, and version tables of
//! other tools. Without this, a first run would make an empty twin beside a table with all the rows.

use std::fmt;

use migration_kit::{BOOKKEEPING, literal, qualified};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{Access, ServiceFacts};
use crate::belongings::Thing;
use crate::connect_error::is_locked;
use crate::deployment::Deployment;
use crate::site::{Site, text_array};

/// Version tables of Alembic, sea-orm, sqlx, diesel, Flyway, Django, Prisma, and of dbmate, golang-migrate and Rails.
pub const VERSION_TABLES: [&str; 8] = [
    "alembic_version",
    "seaql_migrations",
    "_sqlx_migrations",
    "__diesel_schema_migrations",
    "flyway_schema_history",
    "django_migrations",
    "_prisma_migrations",
    "schema_migrations",
];

/// A table in another schema that an empty service may have had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Twin {
    /// The table, with its schema.
    pub table: String,
    /// What is known of its rows.
    pub rows: TwinRows,
}

/// Whether a twin has rows. An empty table is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TwinRows {
    /// It has.
    Some,
    /// Not known: our role may not read it.
    Forbidden,
    /// Not known: another transaction kept it locked.
    Locked,
    /// Not known, for what the server says.
    Unreadable(String),
}

impl TwinRows {
    /// Why it is not known.
    fn unknown(error: &sqlx::Error) -> Self {
        const INSUFFICIENT_PRIVILEGE: &str = "42501";
        match error.as_database_error() {
            _ if is_locked(error) => Self::Locked,
            Some(server) if server.code().is_some_and(|code| code == INSUFFICIENT_PRIVILEGE) => {
                Self::Forbidden
            }
            Some(server) => Self::Unreadable(server.message().to_owned()),
            None => Self::Unreadable(error.to_string()),
        }
    }
}

impl fmt::Display for Twin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { table, rows } = self;
        match rows {
            TwinRows::Some => write!(f, "`{table}` with rows"),
            TwinRows::Forbidden => write!(f, "`{table}`, which this role may not read"),
            TwinRows::Locked => write!(f, "`{table}`, which another transaction locks"),
            TwinRows::Unreadable(why) => write!(f, "`{table}`, which could not be read ({why})"),
        }
    }
}

/// A table that may be a twin.
pub(super) struct Candidate {
    ordinal: usize,
    schema: String,
    table: String,
    readable: bool,
    /// Whether it has rows, or why that is not known; `None` until it was asked.
    found: Option<Result<bool, TwinRows>>,
}

/// Asks for tables of these names outside the schemas of the empty services among these; `None` if none is empty.
pub(super) fn query(sites: &[&Site], facts: &[ServiceFacts]) -> Option<String> {
    let is_empty = |facts: &ServiceFacts| {
        let is_known = matches!(facts.access, Access::Absent | Access::Read) && facts.unread.is_none();
        is_known && facts.first_install && facts.applied.is_empty() && facts.journal.is_empty()
    };
    let empty = sites.iter().zip(facts).enumerate().filter(|(_, (_, facts))| is_empty(facts));
    let values: Vec<String> = empty
        .map(|(ordinal, (site, _))| {
            let names = site.tables.iter().map(String::as_str).chain(VERSION_TABLES);
            format!("({ordinal}, {}, {})", literal(&site.schema), text_array(names))
        })
        .collect();
    if values.is_empty() {
        return None;
    }
    Some(format!(
        "{BOOKKEEPING}SELECT s.ordinal, n.nspname::text AS schema_name, c.relname::text AS table_name, \
                pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable \
         FROM (VALUES {}) AS s(ordinal, schema_name, names) \
         JOIN pg_catalog.pg_class c ON c.relname = ANY (s.names) AND c.relkind IN ('r', 'p') \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname <> s.schema_name AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%' \
         ORDER BY s.ordinal, n.nspname, c.relname",
        values.join(", ")
    ))
}

/// The candidates among the answers of [`query`]: what a service of the deployment has is nobody's twin.
pub(super) fn candidates(
    deployment: &Deployment,
    database: usize,
    rows: &[PgRow],
) -> Result<Vec<Candidate>, sqlx::Error> {
    let mut candidates = Vec::new();
    for row in rows {
        let candidate = Candidate {
            ordinal: usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX),
            schema: row.try_get("schema_name")?,
            table: row.try_get("table_name")?,
            readable: row.try_get("readable")?,
            found: None,
        };
        let is_version_table = VERSION_TABLES.contains(&candidate.table.as_str());
        let owner = if is_version_table {
            deployment.owner_of_schema(database, &candidate.schema)
        } else {
            deployment.owner_of(database, &candidate.schema, &Thing::relation(&candidate.table))
        };
        if owner.is_none() {
            candidates.push(candidate);
        }
    }
    Ok(candidates)
}

/// Asks which of these have rows, all at once; `None` if none can be read.
pub(super) fn filled(candidates: &[Candidate]) -> Option<String> {
    let readable = candidates.iter().enumerate().filter(|(_, candidate)| candidate.readable);
    let asked: Vec<String> = readable
        .map(|(number, Candidate { schema, table, .. })| {
            let table = qualified(schema, table);
            format!("SELECT {number} AS number, EXISTS (SELECT 1 FROM {table}) AS has_rows")
        })
        .collect();
    (!asked.is_empty()).then(|| format!("{BOOKKEEPING}{}", asked.join(" UNION ALL ")))
}

/// Notes the answers to [`filled`].
pub(super) fn note(candidates: &mut [Candidate], rows: &[PgRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        let number = usize::try_from(row.try_get::<i32, _>("number")?).unwrap_or(usize::MAX);
        if let Some(candidate) = candidates.get_mut(number) {
            candidate.found = Some(Ok(row.try_get("has_rows")?));
        }
    }
    Ok(())
}

impl Candidate {
    /// Notes why this one could not be read.
    pub(super) fn fail(&mut self, error: &sqlx::Error) {
        self.found = Some(Err(TwinRows::unknown(error)));
    }
}

/// Puts the twins where they belong: candidates that have rows, or of which that is not known.
pub(super) fn fill(facts: &mut [ServiceFacts], candidates: Vec<Candidate>) {
    for Candidate { ordinal, schema, table, found, .. } in candidates {
        let rows = match found {
            Some(Ok(false)) => continue,
            Some(Ok(true)) => TwinRows::Some,
            Some(Err(unknown)) => unknown,
            None => TwinRows::Forbidden,
        };
        if let Some(facts) = facts.get_mut(ordinal) {
            facts.twins.push(Twin { table: format!("{schema}.{table}"), rows });
        }
    }
}
