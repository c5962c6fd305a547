//! The questions to the server: whether this transaction may have touched what is not its service's, what that is, both
//! asked inside it, and what objects were before, asked from outside.

use migration_kit::{BOOKKEEPING, bookkeeping, literal, settings};

use crate::bookkeeping::BEGUN_AT;

/// Kinds of `pg_class.relkind` that a user knows by another word than `table`.
const RELATION_KIND: &str = "CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' \
                             WHEN 'S' THEN 'sequence' WHEN 'f' THEN 'foreign table' WHEN 'c' THEN 'type' ELSE 'table' END";

/// What belongs to neither a service nor another owner: the server's own, and what is temporary.
const ELSEWHERE: &str = "n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') AND n.nspname NOT LIKE 'pg\\_temp\\_%' \
                         AND n.nspname NOT LIKE 'pg\\_toast\\_temp\\_%'";

/// Catalogs whose objects are locked, not their tables, when they are dropped.
const OBJECT_CATALOGS: [&str; 7] = [
    "pg_proc",
    "pg_type",
    "pg_namespace",
    "pg_extension",
    "pg_event_trigger",
    "pg_publication",
    "pg_foreign_server",
];

/// Catalogs of the whole server to whose locks PostgreSQL holds on until the transaction ends. What was written there is not
/// looked up: only a superuser may read the first.
const SERVER_CATALOGS: &str = "('pg_authid'::regclass, 'pg_auth_members'::regclass, 'pg_db_role_setting'::regclass, 'pg_tablespace'::regclass)";

/// Objects of the database that are in no schema: kind, catalog, and of a row `x` its number, name, owner, and when it counts.
const DATABASE_WIDE: [[&str; 6]; 10] = [
    ["database", "pg_database", "oid", "x.datname::text", "pg_get_userbyid(x.datdba)", "true"],
    ["event trigger", "pg_event_trigger", "oid", "x.evtname::text", "pg_get_userbyid(x.evtowner)", "true"],
    ["publication", "pg_publication", "oid", "x.pubname::text", "pg_get_userbyid(x.pubowner)", "true"],
    [
        "table of a publication",
        "pg_publication_rel",
        "oid",
        "x.prrelid::regclass::text",
        OF_PUBLICATION,
        "true",
    ],
    ["foreign server", "pg_foreign_server", "oid", "x.srvname::text", "pg_get_userbyid(x.srvowner)", "true"],
    [
        "foreign-data wrapper",
        "pg_foreign_data_wrapper",
        "oid",
        "x.fdwname::text",
        "pg_get_userbyid(x.fdwowner)",
        "true",
    ],
    ["language", "pg_language", "oid", "x.lanname::text", "pg_get_userbyid(x.lanowner)", "true"],
    // Those of one schema are not looked at: they concern what is created there from now on.
    [
        "default privileges",
        "pg_default_acl",
        "oid",
        "pg_get_userbyid(x.defaclrole)::text",
        "pg_get_userbyid(x.defaclrole)",
        "x.defaclnamespace = 0",
    ],
    ["comment", "pg_shdescription", "objoid", COMMENTED, "'unknown'::name", "true"],
    ["comment", "pg_description", "objoid", COMMENTED, "'unknown'::name", COMMENT_COUNTS],
];

const OF_PUBLICATION: &str =
    "(SELECT pg_get_userbyid(p.pubowner) FROM pg_publication p WHERE p.oid = x.prpubid)";

const COMMENTED: &str = "pg_describe_object(x.classoid, x.objoid, 0)";

/// A comment on an object that is in no schema; making an extension comments on it.
const COMMENT_COUNTS: &str = "x.classoid IN ('pg_extension'::regclass, 'pg_event_trigger'::regclass, 'pg_publication'::regclass, \
                              'pg_foreign_server'::regclass, 'pg_language'::regclass, 'pg_cast'::regclass) \
                              AND x.objoid NOT IN (SELECT oid FROM made)";

/// Completes `mode` to a condition: the lock modes that writing to a table or altering it takes. `SHARE` alone keeps writers out and
/// changes nothing; building an index takes it too, but writes a row of `pg_class`.
const STRONGER: &str = "NOT IN ('AccessShareLock', 'RowShareLock', 'ShareLock')";

/// Number of this transaction. `age` counts from there only if it has its number when `age` is first asked, so this has to
/// be materialized: it is then read before any row is looked at.
const MINE: &str = "SELECT pg_current_xact_id()::text::int8 AS top";

/// Whether the transaction touched anything outside of this schema, which must be the service's own; sets `search_path`, and
/// anew what a migration may have set.
/// It may give a false positive (a table that was dropped, a function of its own), never a false negative: most migrations
/// need no more than this, at a fifth of the price of [`inside`]. No row if there is no such schema.
///
/// Without parameters, so that the server plans it once a session; with some it would do so five times.
pub(super) fn suspicion(schema: &str, search_path: &str) -> String {
    let elsewhere = |namespace: &str| {
        format!(
            "{namespace} <> own.oid AND {namespace} <> 'pg_catalog'::regnamespace AND {namespace} <> 'pg_toast'::regnamespace"
        )
    };
    let wrote = |catalog: &str, condition: &str| {
        format!(
            "{} AND EXISTS (SELECT FROM {catalog} x WHERE {condition} AND {})",
            may_be_written(catalog),
            ours()
        )
    };
    format!(
        "{BOOKKEEPING}WITH mine AS MATERIALIZED ({MINE}) \
         SELECT set_config('search_path', {}, true), {}, {BEGUN_AT} AS begun_at, \
           EXISTS (SELECT FROM pg_lock_status() AS held WHERE held.pid = pg_backend_pid() AND held.granted AND (\
             held.locktype = 'relation' AND held.mode {STRONGER} AND coalesce((\
               SELECT {} FROM pg_class x WHERE x.oid = held.relation), true) \
             OR held.locktype = 'relation' AND held.mode = 'RowExclusiveLock' AND held.relation IN {SERVER_CATALOGS} \
             OR held.locktype = 'object' AND held.mode = 'AccessExclusiveLock')) \
           OR {} OR {} OR {} OR {} AS is_suspicious \
         FROM pg_namespace AS own CROSS JOIN mine WHERE own.nspname = {}",
        search_path,
        settings::anew(),
        elsewhere("x.relnamespace"),
        wrote("pg_class", &elsewhere("x.relnamespace")),
        wrote("pg_type", &elsewhere("x.typnamespace")),
        wrote("pg_namespace", "x.oid <> own.oid"),
        ["pg_proc", "pg_enum", "pg_extension"]
            .into_iter()
            .chain(DATABASE_WIDE.map(|[_, catalog, ..]| catalog))
            .map(may_be_written)
            .collect::<Vec<_>>()
            .join(" OR "),
        literal(schema),
    )
}

/// Numbers for all that the transaction touched until now, as one array, for [`inside`] to leave out: what earlier steps of
/// the same transaction did.
pub(super) fn seen() -> String {
    let written = ["pg_class", "pg_proc", "pg_type", "pg_namespace"]
        .into_iter()
        .map(|catalog| (catalog, "oid"))
        .chain([("pg_enum", "oid"), ("pg_extension", "oid")])
        .chain(DATABASE_WIDE.map(|[_, catalog, number, ..]| (catalog, number)))
        .map(|(catalog, number)| {
            format!(
                "UNION ALL SELECT {} FROM {catalog} x CROSS JOIN mine WHERE (SELECT {}) AND {}",
                number_of_row(catalog, number),
                may_be_written(catalog),
                ours()
            )
        })
        .collect::<Vec<_>>()
        .join(" ");
    format!(
        "{BOOKKEEPING}WITH mine AS MATERIALIZED ({MINE}) \
         SELECT ARRAY(SELECT {NUMBER_OF_LOCK} FROM pg_lock_status() WHERE pid = pg_backend_pid() AND granted {written})::text"
    )
}

/// A number for a lock: what is locked, and how.
const NUMBER_OF_LOCK: &str = "hashtextextended(concat_ws(' ', locktype, relation, classid, objid, mode), 0)";

/// A number for the row `x` of a catalog that was written.
fn number_of_row(catalog: &str, number: &str) -> String {
    format!("hashtextextended(concat_ws(' ', '{catalog}', x.{number}), 0)")
}

/// Whether the row `x` of a catalog was written since [`seen`].
fn is_new(catalog: &str, number: &str) -> String {
    format!("{} <> ALL ($3::int8[])", number_of_row(catalog, number))
}

/// What the transaction touched; of an extension that it made or changed, the extension and none of its members. `$1` is the
/// service's schema, `$2` whether all of the schema is its own, `$3` what was [`seen`] before. One row at least, with nulls where
/// nothing was touched.
pub(super) fn inside(search_path: &str) -> String {
    let anew = settings::anew();
    let functions =
        written("function", "pg_proc", "proname", "pronamespace", "proowner", "created or replaced", "true");
    let types = written(
        "type",
        "pg_type",
        "typname",
        "typnamespace",
        "typowner",
        "created or altered",
        "x.typrelid = 0 AND x.typelem = 0 AND x.typtype IN ('e', 'd', 'r', 'b')",
    );
    let dropped = OBJECT_CATALOGS
        .map(|catalog| {
            format!(
                "UNION ALL SELECT 'object', '', '', NULL, 'dropped', classid::int8, objid::int8 FROM held \
                 WHERE locktype = 'object' AND mode = 'AccessExclusiveLock' AND classid = '{catalog}'::regclass \
                   AND NOT EXISTS (SELECT FROM {catalog} WHERE oid = objid)"
            )
        })
        .join(" ");
    let database_wide = DATABASE_WIDE
        .map(|[kind, catalog, number, name, owner, condition]| {
            format!(
                "UNION ALL SELECT '{kind}', '', {name}, {owner}::text, 'created or altered', \
                        '{catalog}'::regclass::oid::int8, x.{number}::int8 \
                 FROM {catalog} x CROSS JOIN mine WHERE (SELECT {}) AND {} AND {condition} AND {}",
                may_be_written(catalog),
                ours(),
                is_new(catalog, number)
            )
        })
        .join(" ");
    format!(
        "{BOOKKEEPING}WITH held AS MATERIALIZED (\
           SELECT locktype, relation, classid, objid, mode FROM pg_locks WHERE pid = pg_backend_pid() AND granted \
             AND {NUMBER_OF_LOCK} <> ALL ($3::int8[])), \
         mine AS MATERIALIZED ({MINE}), \
         made AS MATERIALIZED (SELECT x.oid FROM pg_extension x CROSS JOIN mine WHERE {ours}), \
         locked AS MATERIALIZED (SELECT relation, bool_or(mode <> 'RowExclusiveLock') AS altered FROM held \
           WHERE locktype = 'relation' AND mode {STRONGER} GROUP BY relation), \
         relations AS (SELECT relation AS oid, altered FROM locked \
           UNION ALL SELECT x.oid, true FROM pg_class x CROSS JOIN mine WHERE {ours} AND {new_relation}), \
         tables AS (SELECT coalesce(i.indrelid, d.refobjid, r.oid) AS oid, bool_or(r.altered) AS altered \
           FROM (SELECT r.* FROM relations r LEFT JOIN pg_class c ON c.oid = r.oid \
             WHERE r.altered OR c.relkind IS DISTINCT FROM 'S') AS r \
           LEFT JOIN pg_index i ON i.indexrelid = r.oid \
           LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.objsubid = 0 \
             AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') \
             AND EXISTS (SELECT FROM pg_class s WHERE s.oid = r.oid AND s.relkind = 'S') GROUP BY 1), \
         touched(kind, schema, name, role, did, catalog, oid) AS (\
           SELECT {RELATION_KIND}, n.nspname::text, c.relname::text, pg_get_userbyid(c.relowner)::text, \
                  CASE WHEN t.altered THEN 'altered' ELSE 'written to' END, 'pg_class'::regclass::oid::int8, c.oid::int8 \
           FROM tables t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {ELSEWHERE} \
           UNION ALL SELECT 'table', '', '', NULL, 'dropped', 'pg_class'::regclass::oid::int8, relation::int8 \
           FROM locked WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) \
           UNION ALL SELECT DISTINCT 'catalog', 'pg_catalog', relation::regclass::text, \
                  (SELECT pg_get_userbyid(c.relowner)::text FROM pg_class c WHERE c.oid = relation), 'written to', \
                  'pg_class'::regclass::oid::int8, relation::int8 FROM held \
           WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND relation IN {SERVER_CATALOGS} \
           {dropped} {functions} {types} {database_wide} \
           UNION ALL SELECT 'type', n.nspname::text, t.typname::text, pg_get_userbyid(t.typowner)::text, 'altered', \
                  'pg_type'::regclass::oid::int8, t.oid::int8 \
           FROM pg_enum x JOIN pg_type t ON t.oid = x.enumtypid JOIN pg_namespace n ON n.oid = t.typnamespace CROSS JOIN mine \
           WHERE {ours} AND {ELSEWHERE} AND {new_value} \
           UNION ALL SELECT 'schema', '', n.nspname::text, pg_get_userbyid(n.nspowner)::text, 'created or altered', \
                  'pg_namespace'::regclass::oid::int8, n.oid::int8 \
           FROM pg_namespace n JOIN pg_namespace x USING (oid) CROSS JOIN mine WHERE {ours} AND {ELSEWHERE} AND {new_schema} AND n.nspname <> $1 \
           UNION ALL SELECT 'extension', n.nspname::text, x.extname::text, pg_get_userbyid(x.extowner)::text, 'created or altered', \
                  'pg_extension'::regclass::oid::int8, x.oid::int8 \
           FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace JOIN made ON made.oid = x.oid WHERE {new_extension}) \
         SELECT set_config('search_path', {search_path}, true), {anew}, {BEGUN_AT} AS begun_at, t.kind, \
                coalesce(t.schema, '') AS schema, coalesce(t.name, '') AS name, t.role, coalesce(t.did, '') AS did, \
                coalesce(t.catalog, 0) AS catalog, coalesce(t.oid, 0) AS oid \
         FROM (SELECT 1) AS always LEFT JOIN (\
           SELECT DISTINCT * FROM touched WHERE NOT ($2 AND schema = $1 AND kind <> 'extension') AND NOT EXISTS (\
             SELECT FROM pg_depend e JOIN made ON made.oid = e.refobjid AND e.refclassid = 'pg_extension'::regclass \
             WHERE e.classid::int8 = catalog AND e.objid::int8 = touched.oid AND e.deptype = 'e')) AS t ON true",
        ours = ours(),
        new_relation = is_new("pg_class", "oid"),
        new_value = is_new("pg_enum", "oid"),
        new_schema = is_new("pg_namespace", "oid"),
        new_extension = is_new("pg_extension", "oid"),
    )
}

/// The event triggers that run for a migration's statements too, by name.
pub(super) const EVENT_TRIGGERS: &str = bookkeeping!(
    "SELECT evtname::text FROM pg_catalog.pg_event_trigger \
                                         WHERE evtenabled NOT IN ('D', 'R') ORDER BY 1"
);

/// Whether the row `x` was written by this transaction or a subtransaction of it: we see it, and the transaction that wrote it has not
/// ended. Those of others that began after us have: else we would not see them.
fn ours() -> &'static str {
    "CASE WHEN age(x.xmin) <= 0 THEN pg_xact_status((mine.top - age(x.xmin))::text::xid8) = 'in progress' ELSE false END"
}

/// Objects of a catalog that this transaction wrote. Whether it wrote any is asked first, of the statistics, so that a
/// large catalog is not read for nothing.
fn written(
    kind: &str,
    catalog: &str,
    name: &str,
    namespace: &str,
    owner: &str,
    did: &str,
    condition: &str,
) -> String {
    format!(
        "UNION ALL SELECT '{kind}', n.nspname::text, x.{name}::text, pg_get_userbyid(x.{owner})::text, '{did}', \
                '{catalog}'::regclass::oid::int8, x.oid::int8 \
         FROM {catalog} x JOIN pg_namespace n ON n.oid = x.{namespace} CROSS JOIN mine \
         WHERE (SELECT {}) AND {} AND {ELSEWHERE} AND {condition} AND {}",
        may_be_written(catalog),
        ours(),
        is_new(catalog, "oid")
    )
}

/// Whether this transaction may have written rows of a catalog, by the statistics, if the server keeps any. They may still
/// count what this session wrote within the last second.
fn may_be_written(catalog: &str) -> String {
    format!(
        "(current_setting('track_counts') = 'off' OR pg_stat_get_xact_tuples_inserted('{catalog}'::regclass) \
         + pg_stat_get_xact_tuples_updated('{catalog}'::regclass) > 0)"
    )
}

/// Catalog, number, kind, schema, name and owner of those of these objects that are there, seen from outside. Indexes
/// and what belongs to a table (its row type, its storage) are named with their table, members of an extension that is among them with that. Names are read from the catalogs:
/// `pg_identify_object` puts quotes around those that need them.
pub(super) fn outside(numbers: &[(i64, i64)]) -> String {
    let numbers: Vec<String> = numbers.iter().map(|(catalog, oid)| format!("({catalog}, {oid})")).collect();
    let numbers = numbers.join(", ");
    format!(
        "{BOOKKEEPING}SELECT d.catalog::int8, d.oid::int8, i.type, coalesce(n.nspname::text, ''), \
           coalesce(c.relname::text, p.proname::text, t.typname::text, s.nspname::text, x.extname::text, i.identity), \
           coalesce(pg_get_userbyid(coalesce(c.relowner, p.proowner, t.typowner, s.nspowner, x.extowner)), 'unknown')::text \
         FROM (VALUES {numbers}) AS d(catalog, oid) \
         CROSS JOIN LATERAL pg_identify_object(d.catalog::oid, d.oid::oid, 0) AS i \
         LEFT JOIN pg_class c ON c.oid = d.oid AND d.catalog::oid = 'pg_class'::regclass \
         LEFT JOIN pg_proc p ON p.oid = d.oid AND d.catalog::oid = 'pg_proc'::regclass \
         LEFT JOIN pg_type t ON t.oid = d.oid AND d.catalog::oid = 'pg_type'::regclass \
         LEFT JOIN pg_namespace s ON s.oid = d.oid AND d.catalog::oid = 'pg_namespace'::regclass \
         LEFT JOIN pg_extension x ON x.oid = d.oid AND d.catalog::oid = 'pg_extension'::regclass \
         LEFT JOIN pg_namespace n ON n.oid = coalesce(c.relnamespace, p.pronamespace, t.typnamespace, x.extnamespace) \
         WHERE i.identity IS NOT NULL AND i.type NOT IN ('index', 'toast table') \
           AND coalesce(n.nspname, '') NOT LIKE 'pg\\_t%' \
           AND NOT EXISTS (SELECT FROM pg_depend m JOIN (VALUES {numbers}) AS gone(catalog, oid) \
             ON m.refclassid = gone.catalog::oid AND m.refobjid = gone.oid::oid \
             WHERE m.classid = d.catalog::oid AND m.objid = d.oid::oid AND m.deptype = 'e') \
           AND NOT EXISTS (SELECT FROM pg_type r WHERE d.catalog::oid = 'pg_type'::regclass \
             AND (r.oid = d.oid AND r.typrelid <> 0 OR r.typarray = d.oid))"
    )
}
