//! What belongs to a service in a schema that it shares, decided in one place: what bears one of its names exactly, and what hangs
//! on that. An index, a column's sequence, statistics and a partition belong where their table does; a type or a function that no
//! service names belongs where all relations do that use it. A name that only begins alike says nothing.
//!
//! Here the server is asked what there is and on what it hangs; whose that is, [`Deployment::owner_of`] says.
//!
//! [`Deployment::owner_of`]: crate::Deployment

use migration_kit::{BOOKKEEPING, literal};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use crate::site::{Site, text_array};

/// A thing in a schema, as far as it says whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    pub(crate) kind: Kind,
    /// The name that counts: of a relation that hangs on a table, the table's; of a function, with the types of its arguments.
    pub(crate) name: String,
    /// The relations that use it, where it is a type or a function; an empty name for what is no relation of its schema.
    pub(crate) used_by: Vec<String>,
}

/// What a thing is, as far as names of different kinds are different ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Relation,
    Type,
    Function,
    /// What no service can name, such as a collation.
    Other,
}

/// Number of a catalog and of an object in it.
pub type Number = (i64, i64);

/// Whether anything of a service is applied, or begun. Where nothing is, what bears its names in a shared schema is of others, but for
/// its bookkeeping and for what it takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// Nothing.
    Nothing,
    /// Something.
    Something,
}

impl Thing {
    /// A table, view, sequence or the like.
    #[must_use]
    pub fn relation(name: &str) -> Self {
        Self { kind: Kind::Relation, name: name.to_owned(), used_by: Vec::new() }
    }

    /// A type.
    #[must_use]
    pub fn type_(name: &str) -> Self {
        Self { kind: Kind::Type, ..Self::relation(name) }
    }

    /// A function, by its name with the types of its arguments.
    #[must_use]
    pub fn function(signature: &str) -> Self {
        Self { kind: Kind::Function, ..Self::relation(signature) }
    }

    /// What the server calls by this word.
    pub(crate) fn of_kind(kind: &str, name: &str) -> Self {
        let kind = match kind {
            "function" | "procedure" | "aggregate" | "routine" => Kind::Function,
            "type" | "domain" | "composite type" => Kind::Type,
            "table" | "view" | "materialized view" | "foreign table" | "sequence" | "index" => Kind::Relation,
            _ => Kind::Other,
        };
        Self { kind, ..Self::relation(name) }
    }

    /// The relations that use it.
    pub fn used_by(&self) -> impl Iterator<Item = Self> {
        self.used_by.iter().map(|relation| Self::relation(relation))
    }

    /// One of the answers to `question`, with its number.
    ///
    /// # Errors
    /// If the row is another one.
    pub fn read(row: &PgRow) -> Result<(Number, Self), sqlx::Error> {
        let kind = match row.try_get("kind")? {
            "relation" => Kind::Relation,
            "type" => Kind::Type,
            _ => Kind::Function,
        };
        let thing = Self { kind, name: row.try_get("name")?, used_by: row.try_get("used_by")? };
        Ok(((row.try_get("catalog")?, row.try_get("oid")?), thing))
    }
}

/// What is joined to a dependency `d` of `pg_depend` for the relation that its dependent is of, `home.relation`: a view's rule (`w`), a
/// constraint (`k`), a column's default (`a`), a trigger (`t`), a policy (`y`), statistics (`s`), an index (`x`). It is null of what is of no
/// relation: a relation itself, a function, a type with its constraints.
pub const WITH_ITS_RELATION: &str = "\
    LEFT JOIN pg_catalog.pg_rewrite w ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND w.oid = d.objid \
    LEFT JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND k.oid = d.objid \
    LEFT JOIN pg_catalog.pg_attrdef a ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND a.oid = d.objid \
    LEFT JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid \
    LEFT JOIN pg_catalog.pg_policy y ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND y.oid = d.objid \
    LEFT JOIN pg_catalog.pg_statistic_ext s ON d.classid = 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass AND s.oid = d.objid \
    LEFT JOIN pg_catalog.pg_index x ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND x.indexrelid = d.objid \
    CROSS JOIN LATERAL (SELECT coalesce(w.ev_class, nullif(k.conrelid, 0), a.adrelid, t.tgrelid, y.polrelid, s.stxrelid, x.indrelid) \
      AS relation) AS home";

/// A condition on a relation `c` in a schema `n`: that it is a table of this service, none of its bookkeeping and no part of another
/// one. Where it shares its schema and names none, every table there may be its own.
pub(crate) fn is_table_of(site: &Site) -> String {
    let named = match site.shares_schema() && !site.tables.is_empty() {
        true => format!(" AND c.relname = ANY ({})", text_array(&site.tables)),
        false => String::new(),
    };
    format!(
        "n.nspname = {} AND c.relkind IN ('r', 'p', 'f') AND NOT c.relispartition AND c.relname <> ALL ({}){named}",
        literal(&site.schema),
        text_array(site.bookkeeping_tables()),
    )
}

/// The name that counts of a relation `c`: of the table on which it hangs, of a partition that of the whole, or its own.
pub(crate) fn name_of(c: &str) -> String {
    format!(
        "(SELECT coalesce(whole.relname, {c}.relname)::text FROM (SELECT coalesce(\
             (SELECT i.indrelid FROM pg_catalog.pg_index i WHERE i.indexrelid = {c}.oid), \
             (SELECT d.refobjid FROM pg_catalog.pg_depend d WHERE {c}.relkind = 'S' AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND d.objid = {c}.oid AND d.objsubid = 0 AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
               AND d.deptype IN ('a', 'i') LIMIT 1), {c}.oid) AS oid) AS home \
           LEFT JOIN pg_catalog.pg_class whole ON whole.oid = coalesce(pg_catalog.pg_partition_root(home.oid), home.oid) \
             AND whole.relnamespace = {c}.relnamespace)"
    )
}

/// The same of a relation `u` that uses something of a schema; empty if it is in another one.
fn user(namespace: &str) -> String {
    format!("CASE WHEN u.relnamespace = {namespace} THEN {} ELSE '' END", name_of("u"))
}

/// The question for the relations, types and functions of this schema with what they hang on; only for those with these numbers, if
/// some are given. `functions` are all that services name there, as they write them.
pub(crate) fn question(
    schema: &str,
    functions: impl IntoIterator<Item = impl AsRef<str>>,
    only: Option<&[Number]>,
) -> String {
    let of = |catalog: &str, oid: &str| match only {
        None => String::new(),
        Some(numbers) => {
            let numbers: Vec<String> =
                numbers.iter().map(|(catalog, oid)| format!("({catalog}, {oid})")).collect();
            let numbers = if numbers.is_empty() { "(0, 0)".to_owned() } else { numbers.join(", ") };
            format!(
                " AND ('pg_catalog.{catalog}'::pg_catalog.regclass::oid::int8, {oid}::int8) IN (VALUES {numbers})"
            )
        }
    };
    // One without arguments in parentheses is none that the server can read.
    let mut functions: Vec<String> =
        functions.into_iter().map(|function| function.as_ref().to_owned()).collect();
    functions.retain(|function| function.contains('(') && function.ends_with(')'));
    let schema = literal(schema);
    format!(
        "{BOOKKEEPING}SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::oid::int8 AS catalog, c.oid::int8 AS oid, 'relation' AS kind, \
           {relation} AS name, ARRAY[]::text[] AS used_by \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {schema} AND c.relkind <> 'c'{of_relations} \
         UNION ALL SELECT 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass::oid::int8, s.oid::int8, 'relation', \
           CASE WHEN c.relnamespace = n.oid THEN {relation} ELSE '' END, ARRAY[]::text[] \
         FROM pg_catalog.pg_statistic_ext s JOIN pg_catalog.pg_namespace n ON n.oid = s.stxnamespace \
         JOIN pg_catalog.pg_class c ON c.oid = s.stxrelid WHERE n.nspname = {schema}{of_statistics} \
         UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::oid::int8, y.oid::int8, 'type', y.typname::text, \
           ARRAY(SELECT DISTINCT {user} FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class u ON u.oid = a.attrelid \
             WHERE a.atttypid IN (y.oid, y.typarray) AND NOT a.attisdropped) \
         FROM pg_catalog.pg_type y JOIN pg_catalog.pg_namespace n ON n.oid = y.typnamespace \
         LEFT JOIN pg_catalog.pg_class k ON k.oid = y.typrelid \
         WHERE n.nspname = {schema} AND (y.typtype IN ('e', 'd', 'r') OR y.typtype = 'b' AND y.typelem = 0 OR k.relkind = 'c'){of_types} \
         UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::oid::int8, p.oid::int8, 'function', \
           coalesce((SELECT f.named FROM pg_catalog.unnest({functions}) AS f(named) \
               WHERE pg_catalog.to_regprocedure(pg_catalog.quote_ident(n.nspname) || '.' || f.named) = p.oid LIMIT 1), \
             p.proname || '(' || pg_catalog.replace(pg_catalog.oidvectortypes(p.proargtypes), pg_catalog.quote_ident(n.nspname) || '.', '') || ')'), \
           ARRAY(SELECT DISTINCT CASE WHEN u.oid IS NULL THEN '' ELSE {user} END FROM pg_catalog.pg_depend d \
             {WITH_ITS_RELATION} LEFT JOIN pg_catalog.pg_class u ON u.oid = home.relation \
             WHERE d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.refobjid = p.oid) \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = {schema}{of_functions}",
        relation = name_of("c"),
        user = user("n.oid"),
        functions = text_array(functions),
        of_relations = of("pg_class", "c.oid"),
        of_statistics = of("pg_statistic_ext", "s.oid"),
        of_types = of("pg_type", "y.oid"),
        of_functions = of("pg_proc", "p.oid"),
    )
}
