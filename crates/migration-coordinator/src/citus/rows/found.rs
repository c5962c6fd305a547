//! What the catalogs say of a schema's tables, keys, foreign keys and triggers, as far as it decides whether rows can be spread.
//!
//! One question with one answer, as JSON: it is asked while nothing is done, and again in the transaction that does it.

use migration_kit::{BOOKKEEPING, literal};
use serde::Deserialize;

use crate::citus::TABLES;

/// All of it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Found {
    pub(super) tables: Vec<Table>,
    pub(super) keys: Vec<Key>,
    pub(super) foreign_keys: Vec<ForeignKey>,
    pub(super) triggers: Vec<Trigger>,
    pub(super) policies: Vec<Policy>,
    pub(super) lineages: Vec<Lineage>,
}

/// A table, partitions aside.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) qualified: String,
    /// The column by which rows are to be spread, where it has that.
    pub(super) column: Option<Column>,
    pub(super) is_partitioned: bool,
    /// The column by which its rows are spread already.
    pub(super) spread_by: Option<String>,
    /// What Citus numbers alike for tables whose rows with equal values are on one node.
    pub(super) together: Option<i64>,
    /// Whether every node has it whole already.
    pub(super) is_whole: bool,
}

/// A table that inherits from another one, or is a partition of it; one of the two at least is in the schema.
#[derive(Debug, Deserialize)]
pub(super) struct Lineage {
    /// The one that inherits, by name; `None` if it is in another schema.
    pub(super) child: Option<String>,
    pub(super) child_qualified: String,
    /// The one that it inherits from, by name; `None` if it is in another schema.
    pub(super) parent: Option<String>,
    pub(super) parent_qualified: String,
    pub(super) is_partition: bool,
}

/// The column by which rows are to be spread.
#[derive(Debug, Deserialize)]
pub(super) struct Column {
    /// Its type, and its collation where that has one.
    pub(super) kind: String,
    pub(super) not_null: bool,
    pub(super) is_computed: bool,
}

/// A primary key, a unique or exclusion constraint, or a unique index that is none of them.
#[derive(Debug, Deserialize)]
pub(super) struct Key {
    pub(super) table: String,
    pub(super) qualified: String,
    /// Its name as an identifier.
    pub(super) name: String,
    /// The index's schema and name, for a unique index; `None` for a constraint.
    pub(super) index: Option<String>,
    pub(super) definition: String,
    /// Whether it has the column, and compares it by `=` where it can do so otherwise.
    pub(super) has_column: bool,
    /// Whether the column can be put in front: an index of its kind may have several, and this one does not have it.
    pub(super) can_get_column: bool,
    /// What is lost with it: statements that set its comments, and the table's replica identity and order where those name it.
    pub(super) again: Vec<String>,
    /// The views that depend on it, qualified.
    pub(super) views: Vec<String>,
}

/// A foreign key that leads out of the schema's tables, or to them.
#[derive(Debug, Deserialize)]
pub(super) struct ForeignKey {
    /// The table that refers, by name; `None` if it is in another schema.
    pub(super) table: Option<String>,
    pub(super) qualified: String,
    /// Its name as an identifier.
    pub(super) name: String,
    pub(super) columns: Vec<String>,
    /// The table that it refers to, by name; `None` if that is in another schema.
    pub(super) to: Option<String>,
    pub(super) to_qualified: String,
    /// How its definition names that table.
    pub(super) to_written: String,
    pub(super) to_columns: Vec<String>,
    /// Whether every node has that table whole.
    pub(super) to_is_whole: bool,
    pub(super) definition: String,
    pub(super) on_delete: String,
    pub(super) on_update: String,
    /// Whether it sets a column to its default that draws from a sequence.
    pub(super) sets_drawn: bool,
    pub(super) comment: Option<String>,
}

impl ForeignKey {
    /// What sets its comment again, where it has one.
    pub(super) fn comment_again(&self) -> Option<String> {
        let comment = literal(self.comment.as_ref()?);
        Some(format!("COMMENT ON CONSTRAINT {} ON {} IS {comment}", self.name, self.qualified))
    }
}

/// A trigger.
#[derive(Debug, Deserialize)]
pub(super) struct Trigger {
    pub(super) table: String,
    pub(super) qualified: String,
    /// Its name as an identifier.
    pub(super) name: String,
}

/// A policy whose expression has a subquery.
#[derive(Debug, Deserialize)]
pub(super) struct Policy {
    pub(super) table: String,
    /// Its name as an identifier.
    pub(super) name: String,
}

/// Asks for it.
pub(super) fn question(schema: &str, column: &str) -> String {
    const NAME: &str = "pg_catalog.format('%I.%I', m.nspname, c.relname)";
    const WHOLE: &str = "p.partmethod = 'n' AND p.repmodel = 't'";
    const OF_INDEX: &str = "ARRAY(SELECT said FROM (VALUES \
        (pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', m.nspname, x.relname, pg_catalog.obj_description(x.oid, 'pg_class')), \
         pg_catalog.obj_description(x.oid, 'pg_class') IS NOT NULL), \
        (pg_catalog.format('ALTER TABLE %I.%I REPLICA IDENTITY USING INDEX %I', m.nspname, c.relname, x.relname), i.indisreplident), \
        (pg_catalog.format('ALTER TABLE %I.%I CLUSTER ON %I', m.nspname, c.relname, x.relname), i.indisclustered)) AS lost (said, is_so) \
      WHERE is_so)";
    let (schema, column) = (literal(schema), literal(column));
    let names = |numbers: &str, relation: &str| {
        format!(
            "(SELECT coalesce(pg_catalog.json_agg(a.attname ORDER BY k.place), '[]') \
               FROM pg_catalog.unnest({numbers}) WITH ORDINALITY AS k(number, place) \
               JOIN pg_catalog.pg_attribute a ON a.attrelid = {relation} AND a.attnum = k.number)"
        )
    };
    let tables = format!(
        "SELECT c.relname AS name, pg_catalog.format('%I.%I', n.nspname, c.relname) AS qualified, \
           (SELECT pg_catalog.json_build_object('kind', pg_catalog.format_type(a.atttypid, NULL) || \
               coalesce(' COLLATE ' || (SELECT pg_catalog.quote_ident(l.collname) FROM pg_catalog.pg_collation l \
                                        WHERE l.oid = a.attcollation AND l.collname <> 'default'), ''), \
               'not_null', a.attnotnull, 'is_computed', a.attgenerated <> '') \
             FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attname = {column} AND NOT a.attisdropped) AS \"column\", \
           c.relkind = 'p' AS is_partitioned, \
           (SELECT pg_catalog.column_to_column_name(p.logicalrelid, p.partkey) FROM pg_catalog.pg_dist_partition p \
             WHERE p.logicalrelid = c.oid AND p.partmethod = 'h') AS spread_by, \
           (SELECT p.colocationid FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = c.oid AND p.partmethod = 'h') AS together, \
           EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = c.oid AND {WHOLE}) AS is_whole \
         FROM pg_catalog.pg_namespace n, {TABLES} AND n.nspname = {schema} ORDER BY c.relname"
    );
    let is_column = |numbers: &str, relation: &str| {
        format!(
            "EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = {relation} AND a.attname = {column} \
             AND NOT a.attisdropped AND a.attnum = ANY ({numbers}))"
        )
    };
    let constraints = format!(
        "SELECT c.relname AS \"table\", {NAME} AS qualified, pg_catalog.quote_ident(k.conname) AS name, NULL::text AS index, \
           pg_catalog.pg_get_constraintdef(k.oid) AS definition, {0} AND (k.contype <> 'x' OR EXISTS (\
             SELECT 1 FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.conexclop)) AS e (number, operator) \
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = e.number \
             JOIN pg_catalog.pg_operator o ON o.oid = e.operator WHERE a.attname = {column} AND o.oprname = '=')) AS has_column, \
           NOT {0} AND pg_catalog.pg_indexam_has_property(x.relam, 'can_multi_col') AS can_get_column, \
           pg_catalog.array_position(ARRAY['p', 'u', 'x'], k.contype::text) AS place, \
           ARRAY(SELECT pg_catalog.format('COMMENT ON CONSTRAINT %I ON %I.%I IS %L', k.conname, m.nspname, c.relname, said) \
             FROM pg_catalog.obj_description(k.oid, 'pg_constraint') AS said WHERE said IS NOT NULL) || {OF_INDEX} AS again, \
           ARRAY(SELECT DISTINCT pg_catalog.format('%I.%I', vn.nspname, v.relname) FROM pg_catalog.pg_depend d \
             JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class v ON v.oid = w.ev_class \
             JOIN pg_catalog.pg_namespace vn ON vn.oid = v.relnamespace WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
             AND d.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass AND d.refobjid = k.oid ORDER BY 1) AS views \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid JOIN pg_catalog.pg_class x ON x.oid = k.conindid \
         JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace \
         WHERE m.nspname = {schema} AND NOT c.relispartition AND k.contype IN ('p', 'u', 'x')",
        is_column("k.conkey", "c.oid"),
    );
    // The columns of an index that are in its key; those of INCLUDE come after them.
    let in_key = "(i.indkey::int2[])[0:i.indnkeyatts - 1]";
    let indexes = format!(
        "SELECT c.relname, {NAME}, pg_catalog.quote_ident(x.relname), pg_catalog.format('%I.%I', m.nspname, x.relname), \
           pg_catalog.pg_get_indexdef(i.indexrelid), {0}, NOT {0}, 4, {OF_INDEX}, ARRAY[]::text[] \
         FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indrelid JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace \
         WHERE m.nspname = {schema} AND i.indisunique AND NOT c.relispartition AND c.relkind IN ('r', 'p') \
           AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))",
        is_column(in_key, "c.oid")
    );
    let foreign_keys = format!(
        "SELECT CASE m.nspname WHEN {schema} THEN c.relname END AS \"table\", {NAME} AS qualified, \
           pg_catalog.quote_ident(k.conname) AS name, {} AS columns, \
           CASE tm.nspname WHEN {schema} THEN t.relname END AS \"to\", \
           pg_catalog.format('%I.%I', tm.nspname, t.relname) AS to_qualified, t.oid::regclass::text AS to_written, {} AS to_columns, \
           EXISTS (SELECT 1 FROM pg_catalog.pg_dist_partition p WHERE p.logicalrelid = t.oid AND {WHOLE}) AS to_is_whole, \
           pg_catalog.pg_get_constraintdef(k.oid) AS definition, k.confdeltype AS on_delete, k.confupdtype AS on_update, \
           EXISTS (SELECT 1 FROM pg_catalog.pg_attrdef f JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass \
               AND d.objid = f.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass \
             JOIN pg_catalog.pg_class q ON q.oid = d.refobjid AND q.relkind = 'S' WHERE f.adrelid = c.oid \
               AND (k.confdeltype = 'd' AND f.adnum = ANY (coalesce(k.confdelsetcols, k.conkey)) \
                 OR k.confupdtype = 'd' AND f.adnum = ANY (k.conkey))) AS sets_drawn, \
           pg_catalog.obj_description(k.oid, 'pg_constraint') AS comment \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace JOIN pg_catalog.pg_class t ON t.oid = k.confrelid \
         JOIN pg_catalog.pg_namespace tm ON tm.oid = t.relnamespace \
         WHERE k.contype = 'f' AND k.conparentid = 0 AND {schema} IN (m.nspname, tm.nspname) ORDER BY c.relname, k.conname",
        names("k.conkey", "c.oid"),
        names("k.confkey", "t.oid"),
    );
    let triggers = format!(
        "SELECT c.relname AS \"table\", {NAME} AS qualified, pg_catalog.quote_ident(g.tgname) AS name FROM pg_catalog.pg_trigger g \
         JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace \
         WHERE m.nspname = {schema} AND NOT g.tgisinternal AND g.tgparentid = 0 ORDER BY c.relname, g.tgname"
    );
    let policies = format!(
        "SELECT c.relname AS \"table\", pg_catalog.quote_ident(p.polname) AS name FROM pg_catalog.pg_policy p \
         JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace \
         WHERE m.nspname = {schema} AND pg_catalog.concat(p.polqual::text, p.polwithcheck::text) LIKE '%{{SUBLINK %' \
         ORDER BY c.relname, p.polname"
    );
    let lineages = format!(
        "SELECT CASE m.nspname WHEN {schema} THEN c.relname END AS child, {NAME} AS child_qualified, \
           CASE tm.nspname WHEN {schema} THEN t.relname END AS parent, \
           pg_catalog.format('%I.%I', tm.nspname, t.relname) AS parent_qualified, t.relkind = 'p' AS is_partition \
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_namespace m ON m.oid = c.relnamespace JOIN pg_catalog.pg_class t ON t.oid = i.inhparent \
         JOIN pg_catalog.pg_namespace tm ON tm.oid = t.relnamespace \
         WHERE t.relkind IN ('r', 'p', 'f') AND {schema} IN (m.nspname, tm.nspname) ORDER BY 2, i.inhseqno"
    );
    let all = |rows: String| format!("(SELECT coalesce(pg_catalog.json_agg(r), '[]') FROM ({rows}) AS r)");
    format!(
        "{BOOKKEEPING}SELECT pg_catalog.json_build_object('tables', {}, 'keys', {}, 'foreign_keys', {}, 'triggers', {}, \
           'policies', {}, 'lineages', {})::text",
        all(tables),
        all(format!("{constraints} UNION ALL {indexes} ORDER BY 1, 8, 3")),
        all(foreign_keys),
        all(triggers),
        all(policies),
        all(lineages),
    )
}
