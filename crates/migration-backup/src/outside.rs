//! What a service's objects use that is in no dump of it: functions, types, tables of other schemas, foreign servers. A backup is whole without
//! them, but only where they are it can be restored.

use migration_coordinator::WITH_ITS_RELATION;
use migration_kit::literal;
use migration_plan::few_words;
use sqlx::{PgConnection, Row};

use crate::manifest::Outside;
use crate::owned::{Owned, identified, list, rows};

/// The namespace of what uses something.
const HOME: &str = "coalesce(c.relnamespace, p.pronamespace, o.typnamespace)";

/// How many are named in a sentence.
const SHOWN: usize = 3;

/// Looks for it, as far as the server knows it: not in the bodies of functions. Extensions are another thing.
pub(crate) async fn outside(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<Outside>, sqlx::Error> {
    let of = |catalog: &str| format!("d.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass");
    let to = |catalog: &str| format!("d.refclassid = 'pg_catalog.{catalog}'::pg_catalog.regclass");
    let own = format!("SELECT own.oid::pg_catalog.oid FROM ({}) AS own(oid)", owned.oids());
    let routines_and_types = owned.own_routines_and_types.iter().map(ToString::to_string);
    let within = |namespace: &str, schemas: &[String]| {
        format!(
            "{namespace} IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ({}))",
            list(schemas)
        )
    };
    // In a shared schema only a part is the service's, and only that is in its dump.
    let (is_own, is_others) = if owned.shares {
        let is_own = format!(
            "({} OR c.oid IN ({own}) OR c.oid IS NULL AND coalesce(p.oid, o.oid)::int8 = ANY (ARRAY[{}]::int8[]))",
            within(HOME, &owned.schemas[1..]),
            routines_and_types.collect::<Vec<_>>().join(", ")
        );
        (
            is_own,
            format!(
                "r.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND r.oid NOT IN ({own}) AND i.schema NOT LIKE 'pg\\_%'"
            ),
        )
    } else {
        (within(HOME, &owned.schemas), "false".to_owned())
    };
    let sql = format!(
        "SELECT DISTINCT CASE WHEN by.type = 'default value' THEN 'default of `' || pg_catalog.substr(by.identity, 5) || '`' \
             ELSE by.type || ' `' || by.identity || '`' END, i.type, i.identity \
         FROM pg_catalog.pg_depend d \
         {WITH_ITS_RELATION} \
         LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(home.relation, CASE WHEN {class} THEN d.objid END) \
         LEFT JOIN pg_catalog.pg_proc p ON {proc} AND p.oid = d.objid \
         LEFT JOIN pg_catalog.pg_type o ON o.oid = CASE WHEN {type_} THEN d.objid ELSE k.contypid END \
         LEFT JOIN pg_catalog.pg_class r ON {to_class} AND r.oid = d.refobjid, \
         LATERAL pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) AS i, \
         LATERAL (SELECT CASE WHEN w.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END AS catalog, \
           coalesce(w.ev_class, d.objid) AS oid, CASE WHEN w.oid IS NULL THEN d.objsubid ELSE 0 END AS part) AS user_, \
         LATERAL pg_catalog.pg_identify_object(user_.catalog, user_.oid, user_.part) AS by \
         WHERE {is_own} AND NOT coalesce(t.tgisinternal, false) AND coalesce(r.relkind, 'r') NOT IN ('i', 'I') \
           AND (i.schema NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND i.schema NOT IN ({identified}) AND NOT {to_constraint} \
             OR {is_others} OR {to_server} OR {to_wrapper} OR {to_language}) \
           AND i.identity IS NOT NULL AND by.identity IS NOT NULL \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend m WHERE m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e') \
         ORDER BY 1, 2, 3",
        class = of("pg_class"),
        proc = of("pg_proc"),
        type_ = of("pg_type"),
        to_class = to("pg_class"),
        to_constraint = to("pg_constraint"),
        to_server = to("pg_foreign_server"),
        to_wrapper = to("pg_foreign_data_wrapper"),
        to_language = to("pg_language"),
        identified = identified(&owned.schemas),
    );
    let used = |row: &sqlx::postgres::PgRow| {
        Ok(Outside { used_by: row.try_get(0)?, kind: row.try_get(1)?, name: row.try_get(2)? })
    };
    rows(connection, &sql).await?.iter().map(used).collect()
}

/// Why a backup cannot be tried where only the service is; `None` if it can.
pub(crate) fn not_in_backup(outside: &[Outside]) -> Option<String> {
    let uses = outside.iter().map(ToString::to_string);
    (!outside.is_empty())
        .then(|| format!("{}, {} in the backup", few_words(uses, SHOWN), is_not(outside.len())))
}

/// The question whether something of this kind is there, whose name is `i.identity`; `None` for one that is seen when it is used.
pub(crate) fn is_there(kind: &str) -> Option<String> {
    let find = match kind {
        "function" | "procedure" | "aggregate" => "to_regprocedure",
        "type" => "to_regtype",
        "table" | "view" | "materialized view" | "sequence" | "foreign table" | "index" => "to_regclass",
        "collation" => "to_regcollation",
        "operator" => "to_regoperator",
        "server" => {
            return Some("EXISTS (SELECT FROM pg_catalog.pg_foreign_server WHERE pg_catalog.quote_ident(srvname) = i.identity)".to_owned());
        }
        _ => return None,
    };
    Some(format!("pg_catalog.{find}(i.identity) IS NOT NULL"))
}

/// What of it is missing in a database, in words.
pub(crate) async fn missing(
    connection: &mut PgConnection,
    outside: &[Outside],
) -> Result<Option<String>, sqlx::Error> {
    let mut absent = Vec::new();
    for found in outside {
        let Some(is_there) = is_there(&found.kind) else { continue };
        let sql = format!("SELECT {is_there} FROM (SELECT {}::text AS identity) AS i", literal(&found.name));
        let is_there: bool =
            rows(connection, &sql).await?.first().ok_or(sqlx::Error::RowNotFound)?.try_get(0)?;
        if !is_there {
            absent.push(found.to_string());
        }
    }
    let is_not = is_not(absent.len());
    Ok((!absent.is_empty()).then(|| format!("{}, {is_not} there", few_words(absent, SHOWN))))
}

/// Begins to say of so many things that they are not somewhere.
fn is_not(n: usize) -> &'static str {
    if n == 1 { "which is not" } else { "none of which is" }
}
