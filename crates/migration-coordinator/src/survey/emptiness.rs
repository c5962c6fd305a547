//! Whether anything of a service without applied migrations is there.
//!
//! Where the journal says nothing either and nothing is there, its first run is a first install. Where the journal says that
//! migrations were applied and their tables are there, rows of the version table are gone.

use std::sync::Arc;

use migration_kit::{BOOKKEEPING, literal};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::facts::Found;
use super::histories::Part::VersionTable;
use super::{Access, JournalFacts, SurveyError};
use crate::site::{Site, text_array};

/// Asks for tables of these services: those that it names in a schema that it shares, any relation but the bookkeeping's
/// in one of its own. `None` if that need not be asked; without its schema nothing is there.
pub(super) fn query(sites: &[&Site], found: &mut [Found]) -> Option<String> {
    let mut values = Vec::new();
    for (ordinal, (p, found)) in sites.iter().zip(found).enumerate() {
        let facts = &mut found.facts;
        let is_known = facts.unread.is_none() && matches!(facts.access, Access::Absent | Access::Read);
        let named = &p.tables;
        let has_names = !p.shares_schema() || !named.is_empty();
        let says_nothing = facts.journal.is_empty() || facts.journal.facts().any(JournalFacts::is_applied);
        if !is_known || !has_names || !facts.applied.is_empty() || !says_nothing {
            continue;
        }
        if !facts.schema_exists {
            facts.first_install = true;
            continue;
        }
        let of_it = if p.shares_schema() { text_array(named.iter()) } else { "NULL::text[]".to_owned() };
        values.push(format!(
            "({ordinal}, {}, {}, {of_it})",
            literal(&p.schema),
            text_array(p.bookkeeping_tables().iter())
        ));
    }
    if values.is_empty() {
        return None;
    }
    Some(format!(
        "{BOOKKEEPING}SELECT s.ordinal, NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE n.nspname = s.schema_name AND c.relkind IN ('r', 'p', 'v', 'm', 'f') \
             AND c.relname <> ALL (s.bookkeeping) AND (s.tables IS NULL OR c.relname = ANY (s.tables))) AS is_empty \
         FROM (VALUES {}) AS s(ordinal, schema_name, bookkeeping, tables)",
        values.join(", ")
    ))
}

/// Puts answers of [`query`] where they belong.
pub(super) fn fill(sites: &[&Site], found: &mut [Found], rows: &[PgRow]) -> Result<(), sqlx::Error> {
    for row in rows {
        let ordinal = usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX);
        let (Some(found), Some(site)) = (found.get_mut(ordinal), sites.get(ordinal)) else { continue };
        let is_empty = row.try_get("is_empty")?;
        if found.facts.journal.is_empty() {
            found.facts.first_install = is_empty;
        } else if !is_empty {
            let (service, table) = VersionTable(0).names(&[site]);
            found.facts.access = Access::Lost;
            found.facts.unread =
                Some(Arc::new(SurveyError::Emptied { service, table, journal: site.journal() }));
        }
    }
    Ok(())
}
