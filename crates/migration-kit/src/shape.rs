//! The shape of a table as the catalogs have it, and the comparison of one that exists with one that is wanted.
//!
//! `CREATE TABLE IF NOT EXISTS` accepts whatever has the name. A migration that may meet its table asks
//! [`existing_table`] instead: the wanted table is made in `pg_temp`, inside a savepoint that is rolled back, so that
//! both shapes are read from the server and its spelling of types, defaults and constraints cancels out.
//!
//! Compared are the kind of the table, its columns, constraints, indexes and triggers, each by name. A text may be longer than
//! wanted, and there may be more indexes that refuse no row, and more columns that a new row may leave out. What the journal says
//! was accepted by name may differ. What is let pass is said in a setting of the transaction, so that it can be recorded.
//! Deliberately left out:
//! the order of columns, comments, privileges, rows, and which function a trigger calls (its name says little of what it
//! does, and whoever adopts the table gives the trigger a function of its own).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};
use sea_orm_migration::SchemaManager;

use crate::session::{BOOKKEEPING, refusal};
use crate::{literal, quote_identifier};

/// What has the name of a table that a migration wants to create.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Nothing: the table is to be created.
    Nothing,
    /// A table of the wanted shape, or one that differs in nothing that matters: it can be adopted.
    Same,
}

/// One object of a table that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Difference {
    /// The object: `column name`, `index ix_name`.
    object: String,
    /// Its wanted definition; `None` if it should not exist.
    wanted: Option<String>,
    /// The definition found; `None` if it does not exist.
    found: Option<String>,
}

/// The objects of a table and their definitions, without the table's schema.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shape(BTreeMap<String, String>);

/// Asks what has the name `table` in the current schema. Changes nothing.
///
/// `definition` gives the statements that create the wanted table with its indexes and triggers in a schema, whose
/// name it gets quoted; they name every object that they create or use with it.
///
/// # Errors
/// [`DbErr::Migration`] with every difference if there is a table of another shape; otherwise an error of the
/// connection or of the statements. The role needs the privilege `TEMPORARY`, which everybody has by default.
pub async fn existing_table(
    manager: &SchemaManager<'_>,
    table: &str,
    definition: impl Fn(&str) -> Vec<String>,
) -> Result<Existing, DbErr> {
    let db = manager.get_connection();
    let schema = current_schema(manager).await?;
    let own = crate::qualified(&schema, table);
    let Some(found) = Shape::read(db, &own).await? else {
        return Ok(Existing::Nothing);
    };
    let tx = db.begin().await?;
    let wanted = Shape::made_by(&tx, table, definition("pg_temp")).await;
    tx.rollback().await?;
    let (tolerated, mut differences): (Vec<_>, Vec<_>) =
        wanted?.differences(&found).into_iter().partition(Difference::is_harmless);
    if !differences.is_empty() {
        let accepted = accepted(db).await?;
        differences.retain(|difference| !accepted.contains(&difference.name(table)));
    }
    if differences.is_empty() {
        tolerate(db, table, &tolerated).await?;
        return Ok(Existing::Same);
    }
    let listed = differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    Err(refusal(format!("table `{table}` exists with another shape, and was left as it is: {listed}")))
}

/// The setting in which a migration's transaction says what it let pass of a table that it adopts: a JSON list of pairs, the
/// object as checks name it and how it differs. Whoever runs the migration may read and record it.
pub const TOLERATED_SETTING: &str = "migrate.tolerated";

/// Says what is let pass.
async fn tolerate(db: &impl ConnectionTrait, table: &str, tolerated: &[Difference]) -> Result<(), DbErr> {
    let pairs: Vec<[String; 2]> =
        tolerated.iter().map(|difference| [difference.name(table), difference.to_string()]).collect();
    let pairs = serde_json::to_string(&pairs).map_err(|error| DbErr::Json(error.to_string()))?;
    let sql = format!(
        "{BOOKKEEPING}SELECT pg_catalog.set_config('{TOLERATED_SETTING}', {}, true)",
        literal(&pairs)
    );
    db.query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await.map(drop)
}

/// Objects of which the journals in the current schema say that they were accepted, as checks name them. Services that share a
/// schema have no table in common; a table of others whose name begins alike is no journal.
async fn accepted(db: &impl ConnectionTrait) -> Result<BTreeSet<String>, DbErr> {
    let text = |sql: String| Statement::from_string(DbBackend::Postgres, format!("{BOOKKEEPING}{sql}"));
    let journals = "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c \
                    WHERE relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(current_schema())) \
                      AND relkind = 'r' AND relname LIKE 'migration\\_journal\\_%' \
                      AND pg_catalog.has_table_privilege(c.oid, 'SELECT') \
                      AND (SELECT pg_catalog.count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND NOT a.attisdropped \
                           AND a.attname IN ('outcome', 'consent')) = 2";
    let mut accepted = BTreeSet::new();
    for journal in db.query_all_raw(text(journals.to_owned())).await? {
        let journal: String = journal.try_get_by_index(0)?;
        let of_journal =
            format!("SELECT consent FROM {journal} WHERE outcome = 'accepted' AND consent IS NOT NULL");
        for object in db.query_all_raw(text(of_journal)).await? {
            accepted.insert(object.try_get_by_index(0)?);
        }
    }
    Ok(accepted)
}

/// The schema in which a migration creates what it does not qualify: the service's.
///
/// # Errors
/// [`DbErr::Migration`] if `search_path` names no schema that exists; otherwise an error of the connection.
pub async fn current_schema(manager: &SchemaManager<'_>) -> Result<String, DbErr> {
    let sql = format!("{BOOKKEEPING}SELECT current_schema()::text");
    let row =
        manager.get_connection().query_one_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    row.map_or(Ok(None), |row| row.try_get_by_index::<Option<String>>(0))?
        .ok_or_else(|| refusal("the schema of `search_path` does not exist"))
}

impl Shape {
    /// The shape of the table of this quoted name; `None` if there is none.
    async fn read(db: &impl ConnectionTrait, quoted: &str) -> Result<Option<Self>, DbErr> {
        let sql = format!("{BOOKKEEPING}{}", SHAPE.replace("{relation}", &literal(quoted)));
        let rows = db.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
        let objects = rows
            .iter()
            .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
            .collect::<Result<BTreeMap<String, String>, DbErr>>()?;
        Ok((!objects.is_empty()).then_some(Self(objects)))
    }

    /// The shape of the table that the statements make in `pg_temp`.
    async fn made_by(db: &impl ConnectionTrait, table: &str, statements: Vec<String>) -> Result<Self, DbErr> {
        for statement in statements {
            db.execute_unprepared(&format!("{BOOKKEEPING}{statement}")).await?;
        }
        Self::read(db, &format!("pg_temp.{}", quote_identifier(table))).await?.ok_or_else(|| {
            refusal(format!("the definition of `{table}` creates no table of this name in its schema"))
        })
    }

    fn differences(&self, found: &Self) -> Vec<Difference> {
        let objects: BTreeSet<&String> = self.0.keys().chain(found.0.keys()).collect();
        objects
            .into_iter()
            .map(|object| Difference {
                object: object.clone(),
                wanted: self.0.get(object).cloned(),
                found: found.0.get(object).cloned(),
            })
            .filter(|difference| difference.wanted != difference.found)
            .collect()
    }
}

impl Difference {
    /// What checks call the object of this table.
    fn name(&self, table: &str) -> String {
        let (kind, name) = self.object.split_once(' ').unwrap_or((&self.object, table));
        let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        let name = name.replace("\"\"", "\"");
        if matches!(kind, "index" | "table") { name } else { format!("{table}.{name}") }
    }

    /// Whether whoever uses the table as it is wanted does not notice: the same in other words, texts that may be longer, an
    /// index more that refuses no row, or a column more that a new row may leave out.
    fn is_harmless(&self) -> bool {
        match (&self.wanted, &self.found) {
            (Some(wanted), Some(found)) if self.object.starts_with("column ") => holds_as_much(wanted, found),
            (None, Some(found)) if self.object.starts_with("column ") => {
                let [_, rest] = type_and_rest(found);
                !rest.contains(" not null") || rest.contains(" default ") || rest.contains(" generated ")
            }
            (None, Some(found)) => self.object.starts_with("index ") && found.starts_with("plain "),
            (wanted, found) => wanted == found,
        }
    }
}

/// Whether a column of the second definition takes every value of the first, and gives the same where none is named.
fn holds_as_much(wanted: &str, found: &str) -> bool {
    let ([wanted, of_wanted], [found, of_found]) = (type_and_rest(wanted), type_and_rest(found));
    let limit = |type_: &str| match type_.strip_prefix("character varying") {
        Some("") => Some(u32::MAX),
        Some(limit) => limit.trim_matches(['(', ')']).parse().ok(),
        None => (type_ == "text").then_some(u32::MAX),
    };
    let is_as_wide =
        matches!((limit(&wanted), limit(&found)), (Some(wanted), Some(found)) if found >= wanted);
    (wanted == found || is_as_wide)
        && of_wanted.replace("CURRENT_TIMESTAMP", "now()") == of_found.replace("CURRENT_TIMESTAMP", "now()")
}

/// The type of a column's definition, and what else it says.
fn type_and_rest(definition: &str) -> [String; 2] {
    let ends = [" collate ", " not null", " generated ", " default "];
    let end = ends.iter().filter_map(|word| definition.find(word)).min().unwrap_or(definition.len());
    [definition[..end].to_owned(), definition[end..].to_owned()]
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, wanted, found } = self;
        match (wanted, found) {
            (Some(wanted), Some(found)) => write!(f, "{object} should be `{wanted}` and is `{found}`"),
            (Some(wanted), None) => write!(f, "{object} is missing, it should be `{wanted}`"),
            (None, found) => {
                write!(f, "{object} is not expected, it is `{}`", found.as_deref().unwrap_or_default())
            }
        }
    }
}

/// Objects and definitions of the relation `{relation}`. Definitions are cut where they would name the table's schema;
/// not-null constraints, which are rows of `pg_constraint` since 18, are part of their columns.
const SHAPE: &str = "\
WITH relation AS (SELECT * FROM pg_class WHERE oid = to_regclass({relation}))
SELECT 'table' AS object,
       CASE relkind WHEN 'r' THEN 'ordinary' WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign'
                    WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' ELSE relkind::text END
       || CASE relpersistence WHEN 'u' THEN ' unlogged' ELSE '' END
       || CASE WHEN relrowsecurity THEN ' with row security' ELSE '' END
       || CASE WHEN EXISTS (SELECT FROM pg_inherits WHERE inhrelid = relation.oid) THEN ' inheriting' ELSE '' END
       AS definition
FROM relation
UNION ALL
SELECT 'column ' || quote_ident(attname),
       format_type(atttypid, atttypmod)
       || CASE WHEN attcollation <> typcollation THEN ' collate ' || attcollation::regcollation ELSE '' END
       || CASE WHEN attnotnull THEN ' not null' ELSE '' END
       || CASE attidentity WHEN 'a' THEN ' generated always as identity'
                           WHEN 'd' THEN ' generated by default as identity' ELSE '' END
       || CASE WHEN attgenerated <> '' THEN ' generated as ' WHEN adbin IS NOT NULL THEN ' default ' ELSE '' END
       || coalesce(pg_get_expr(adbin, adrelid), '')
FROM relation JOIN pg_attribute ON attrelid = relation.oid JOIN pg_type ON pg_type.oid = atttypid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attnum > 0 AND NOT attisdropped
UNION ALL
SELECT 'constraint ' || quote_ident(conname), pg_get_constraintdef(pg_constraint.oid)
FROM relation JOIN pg_constraint ON conrelid = relation.oid
WHERE contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'index ' || quote_ident(index.relname),
       CASE WHEN indisunique THEN 'unique' ELSE 'plain' END
       || substring(pg_get_indexdef(indexrelid) FROM ' USING .*$')
       || CASE WHEN indisvalid THEN '' ELSE ', invalid' END
FROM relation JOIN pg_index ON indrelid = relation.oid JOIN pg_class AS index ON index.oid = indexrelid
UNION ALL
SELECT 'trigger ' || quote_ident(tgname),
       regexp_replace(
           replace(replace(pg_get_triggerdef(pg_trigger.oid),
                           format(' ON %s.%I ', relnamespace::regnamespace, relname), ' '),
                   format(' ON pg_temp.%I ', relname), ' '),
           ' EXECUTE FUNCTION .*$', '')
       || CASE tgenabled WHEN 'O' THEN '' WHEN 'D' THEN ', disabled' ELSE ', enabled for replicas' END
FROM relation JOIN pg_trigger ON tgrelid = relation.oid
WHERE NOT tgisinternal";
