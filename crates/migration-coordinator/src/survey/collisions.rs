//! What is in the schema of a service under a name that it would make, while nothing of the service is applied: of another
//! service, of another program's, of an earlier system, of nobody, or its own where its history is gone. Without this, the first `CREATE`
//! that meets it fails.

use std::fmt;

use migration_kit::{BOOKKEEPING, Made, ServiceName, literal};
use migration_plan::few_words;
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{Access, ServiceFacts};
use crate::belongings::{self, Applied, Thing};
use crate::deployment::Deployment;
use crate::site::{Site, text_array};

/// What is under names that a service would make.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collisions {
    /// The objects.
    pub objects: Vec<Collision>,
    /// Tables that a migration takes over where they are there: no obstacle to it, and not the service's until it has.
    pub adoptable: Vec<Collision>,
    /// Services that this deployment does not place in the schema and that have a journal there: the objects may be theirs.
    pub strangers: Vec<String>,
}

/// An object whose name a service would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collision {
    /// What it is, as the server calls it: `table`, `view`, `index`.
    pub kind: String,
    /// Its name; of a function, with the types of its arguments.
    pub name: String,
    /// The service of the deployment to which it belongs.
    pub service: Option<ServiceName>,
    /// The role to which it belongs.
    pub role: String,
}

impl fmt::Display for Collision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}` of ", self.kind, self.name)?;
        match &self.service {
            Some(service) => write!(f, "service `{service}`"),
            None => write!(f, "role `{}`", self.role),
        }
    }
}

impl fmt::Display for Collisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        f.write_str(&few_words(&self.objects, SHOWN))?;
        if !self.strangers.is_empty() && self.objects.iter().any(|object| object.service.is_none()) {
            let strangers = few_words(self.strangers.iter().map(|name| format!("`{name}`")), SHOWN);
            write!(f, "; in this schema is also the journal of {strangers}")?;
        }
        Ok(())
    }
}

/// Asks what is there under the names of the services among these that have nothing applied; `None` if there is no such service. A schema
/// of its own in which there is nothing need not be asked.
pub(super) fn query(sites: &[&Site], facts: &[ServiceFacts]) -> Option<String> {
    let nothing_is_done = |facts: &ServiceFacts| {
        let is_known = matches!(facts.access, Access::Absent | Access::Read);
        is_known && facts.schema_exists && matches!(facts.anything_applied(), Ok(Applied::Nothing))
    };
    let asked = sites.iter().zip(facts).enumerate();
    let may_have_some = |site: &Site, facts: &ServiceFacts| site.shares_schema() || !facts.first_install;
    let asked = asked.filter(|(_, (site, facts))| may_have_some(site, facts) && nothing_is_done(facts));
    let values: Vec<String> = asked
        .map(|(ordinal, (site, _))| {
            let of = |is_it: fn(&Made) -> bool| {
                text_array(site.makes.iter().filter(|made| is_it(made)).map(Made::name))
            };
            format!(
                "({ordinal}, {}, {}, {}, {}, {}, {}, {})",
                literal(&site.schema),
                of(|made| matches!(made, Made::Table(_))),
                of(|made| matches!(made, Made::Index(_))),
                of(|made| matches!(made, Made::Type(_))),
                of(|made| matches!(made, Made::Function(_))),
                text_array(&site.adoptable),
                literal(&site.journal_name()),
            )
        })
        .collect();
    if values.is_empty() {
        return None;
    }
    Some(format!(
        "{BOOKKEEPING}SELECT s.ordinal, found.kind, found.name, pg_catalog.pg_get_userbyid(found.owner)::text AS role, \
           found.bears, found.name = ANY (s.adoptable) AND found.kind = 'table' AS adoptable \
         FROM (VALUES {}) AS s(ordinal, schema_name, tables, indexes, types, functions, adoptable, journal) \
         JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema_name \
         CROSS JOIN LATERAL (\
           SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'v' THEN 'view' \
                    WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' \
                    WHEN 'c' THEN 'type' ELSE 'index' END AS kind, c.relname::text AS name, c.relowner AS owner, \
                  {bears} AS bears \
           FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid \
           LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
           WHERE c.relnamespace = n.oid \
             AND (c.relname = ANY (s.tables) OR c.relname = ANY (s.indexes) AND c.relkind <> 'c' \
                  OR c.relname = ANY (s.types) AND c.relkind NOT IN ('i', 'I', 'S')) \
             AND NOT coalesce(t.relname = ANY (s.tables), false) \
           UNION ALL \
           SELECT 'type', t.typname::text, t.typowner, NULL FROM pg_catalog.pg_type t \
           WHERE t.typnamespace = n.oid AND t.typrelid = 0 AND t.typcategory <> 'A' \
             AND (t.typname = ANY (s.tables) OR t.typname = ANY (s.types)) \
           UNION ALL \
           SELECT CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END, \
                  p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', p.proowner, NULL \
           FROM pg_catalog.unnest(s.functions) AS f(signature) \
           JOIN pg_catalog.pg_proc p \
             ON p.oid = pg_catalog.to_regprocedure(pg_catalog.quote_ident(s.schema_name) || '.' || f.signature) \
           UNION ALL \
           SELECT 'journal', pg_catalog.substr(c.relname, 19), c.relowner, NULL FROM pg_catalog.pg_class c \
           WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND c.relname LIKE 'migration\\_journal\\_%' AND c.relname <> s.journal\
         ) AS found ORDER BY s.ordinal, found.kind, found.name",
        values.join(", "),
        bears = belongings::name_of("c"),
    ))
}

/// Puts the answers of [`query`] where they belong.
pub(super) fn fill(
    (deployment, database): (&Deployment, usize),
    sites: &[&Site],
    facts: &mut [ServiceFacts],
    rows: &[PgRow],
) -> Result<(), sqlx::Error> {
    for row in rows {
        let ordinal = usize::try_from(row.try_get::<i32, _>("ordinal")?).unwrap_or(usize::MAX);
        let (Some(facts), Some(site)) = (facts.get_mut(ordinal), sites.get(ordinal)) else { continue };
        let (kind, name): (String, String) = (row.try_get("kind")?, row.try_get("name")?);
        if kind == "journal" {
            let is_here = |other: &&Site| {
                deployment.is_one_database(other.database, database) && other.schema == site.schema
            };
            if !deployment.sites().filter(is_here).any(|other| other.name().as_str() == name) {
                facts.collisions.strangers.push(name);
            }
            continue;
        }
        // An index may be on a table of another service.
        let bears: Option<String> = row.try_get("bears")?;
        let thing = Thing::of_kind(&kind, bears.as_deref().unwrap_or(&name));
        let owner = deployment.owner_of(database, &site.schema, &thing);
        let service = owner.filter(|owner| *owner != site.name()).cloned();
        let collisions = &mut facts.collisions;
        let found =
            if row.try_get("adoptable")? { &mut collisions.adoptable } else { &mut collisions.objects };
        found.push(Collision { kind, name, service, role: row.try_get("role")? });
    }
    Ok(())
}
