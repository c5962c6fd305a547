//! What of a service would not go with it, and what it uses that is not its own: named before anything is done.

use migration_kit::{literal, qualified, quote_identifier};
use sqlx::{PgConnection, Row};

use crate::outside::is_there;
use crate::owned::{Owned, identified, list, rows};

/// What a service would leave behind.
#[derive(Debug, Default)]
pub(super) struct LeftBehind {
    /// Why it cannot go, and what to do about it.
    pub(super) why: Option<(String, &'static str)>,
    /// What is worth knowing, a sentence each.
    pub(super) notes: Vec<String>,
}

/// Something of the database that the service uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Used {
    /// What the server calls its kind: `function`, `type`, `table`.
    kind: String,
    /// Its name, with its schema and the types of its arguments.
    identity: String,
    /// What it is, as far as it has to be the same: the body of a function, the labels of an enum.
    is: String,
}

/// Looks for large objects, publications, subscriptions, and options of columns.
pub(super) async fn left_behind(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<LeftBehind, sqlx::Error> {
    let mut found = LeftBehind::default();
    if let Some(column) = large_object(connection, owned, &mut found.notes).await? {
        let hint = "keep them in a column of type `bytea` first: large objects belong to the database";
        found.why = Some((format!("`{column}` refers to large objects, which would stay here"), hint));
        return Ok(found);
    }
    let subscribed = format!(
        "SELECT 'publication `' || p.pubname || '` has its ' || what FROM pg_catalog.pg_publication p JOIN (\
           SELECT r.prpubid AS pub, 'table `' || n.nspname || '.' || c.relname || '`' AS what \
           FROM pg_catalog.pg_publication_rel r JOIN pg_catalog.pg_class c ON c.oid = r.prrelid \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ({schemas}) \
           UNION ALL SELECT s.pnpubid, 'schema `' || n.nspname || '`' \
           FROM pg_catalog.pg_publication_namespace s JOIN pg_catalog.pg_namespace n ON n.oid = s.pnnspid WHERE n.nspname IN ({schemas})) \
           AS part ON part.pub = p.oid \
         UNION SELECT 'a subscription writes to its table `' || n.nspname || '.' || c.relname || '`' \
           FROM pg_catalog.pg_subscription_rel s JOIN pg_catalog.pg_class c ON c.oid = s.srrelid \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname IN ({schemas}) ORDER BY 1",
        schemas = list(&owned.schemas)
    );
    if let Some(row) = rows(connection, &subscribed).await?.first() {
        let hint = "take the service out of it first, and put it in again at its new address";
        found.why = Some((format!("{}, and would not there", row.get::<String, _>(0)), hint));
        return Ok(found);
    }
    let of_all = "SELECT pubname::text FROM pg_catalog.pg_publication WHERE puballtables ORDER BY 1";
    for row in rows(connection, of_all).await? {
        found.notes.push(format!(
            "publication `{}` has all tables of the database: who subscribes to it gets no more of this service",
            row.get::<String, _>(0)
        ));
    }
    if let Some((columns, option)) = owned.column_options(connection).await? {
        found.notes.push(format!(
            "{columns} have the option `{option}`, which other builds of the server may not know"
        ));
    }
    Ok(found)
}

/// The first column that refers to a large object. Where there are others in the database, a note says so.
async fn large_object(
    connection: &mut PgConnection,
    owned: &Owned,
    notes: &mut Vec<String>,
) -> Result<Option<String>, sqlx::Error> {
    let is_one = "SELECT 1 FROM pg_catalog.pg_largeobject_metadata LIMIT 1";
    if rows(connection, is_one).await?.is_empty() {
        return Ok(None);
    }
    let columns = format!(
        "SELECT n.nspname::text, c.relname::text, a.attname::text FROM pg_catalog.pg_attribute a \
         JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
         WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped \
           AND 'pg_catalog.oid'::pg_catalog.regtype IN (t.oid, t.typbasetype) AND c.oid IN (SELECT o.oid::pg_catalog.oid FROM ({}) AS o(oid)) \
         ORDER BY 1, 2, 3",
        owned.oids()
    );
    for row in rows(connection, &columns).await? {
        let [schema, table, column] = [0, 1, 2].map(|place| row.get::<String, _>(place));
        let sql = format!(
            "SELECT 1 FROM {} AS own JOIN pg_catalog.pg_largeobject_metadata m ON m.oid = own.{}::pg_catalog.oid LIMIT 1",
            qualified(&schema, &table),
            quote_identifier(&column)
        );
        if !rows(connection, &sql).await?.is_empty() {
            return Ok(Some(format!("{schema}.{table}.{column}")));
        }
    }
    notes.push("there are large objects in the database: they stay, whatever refers to them".to_owned());
    Ok(None)
}

/// What of other schemas the service's objects use, as far as the server knows it; extensions are another thing.
pub(super) async fn used(connection: &mut PgConnection, owned: &Owned) -> Result<Vec<Used>, sqlx::Error> {
    let home = list(&owned.schemas);
    let of = |catalog: &str| format!("d.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass");
    let sql = format!(
        "SELECT DISTINCT i.type, i.identity, {IS} \
         FROM pg_catalog.pg_depend d \
         LEFT JOIN pg_catalog.pg_attrdef a ON {} AND a.oid = d.objid \
         LEFT JOIN pg_catalog.pg_constraint k ON {} AND k.oid = d.objid \
         LEFT JOIN pg_catalog.pg_trigger t ON {} AND t.oid = d.objid \
         LEFT JOIN pg_catalog.pg_rewrite w ON {} AND w.oid = d.objid \
         LEFT JOIN pg_catalog.pg_policy y ON {} AND y.oid = d.objid \
         LEFT JOIN pg_catalog.pg_class c \
           ON c.oid = coalesce(a.adrelid, k.conrelid, t.tgrelid, w.ev_class, y.polrelid, CASE WHEN {} THEN d.objid END) \
         LEFT JOIN pg_catalog.pg_proc p ON {} AND p.oid = d.objid \
         LEFT JOIN pg_catalog.pg_type o ON {} AND o.oid = d.objid, \
         LATERAL pg_catalog.pg_identify_object(d.refclassid, d.refobjid, 0) AS i \
         WHERE coalesce(c.relnamespace, p.pronamespace, o.typnamespace) IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ({home})) \
           AND i.schema NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND i.schema NOT IN ({identified}) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend m WHERE m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e') \
         ORDER BY 1, 2",
        of("pg_attrdef"),
        of("pg_constraint"),
        of("pg_trigger"),
        of("pg_rewrite"),
        of("pg_policy"),
        of("pg_class"),
        of("pg_proc"),
        of("pg_type"),
        identified = identified(&owned.schemas),
    );
    let used = |row: &sqlx::postgres::PgRow| {
        Ok(Used { kind: row.try_get(0)?, identity: row.try_get(1)?, is: row.try_get(2)? })
    };
    rows(connection, &sql).await?.iter().map(used).collect()
}

/// Of an identified object `i`, what has to be the same: nothing where only its name counts.
const IS: &str = "coalesce(CASE \
    WHEN i.type IN ('function', 'procedure') THEN (SELECT prosrc FROM pg_catalog.pg_proc WHERE oid = pg_catalog.to_regprocedure(i.identity)) \
    WHEN i.type = 'type' THEN (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_catalog.pg_enum e \
      JOIN pg_catalog.pg_type n ON e.enumtypid IN (n.oid, n.typelem) WHERE n.oid = pg_catalog.to_regtype(i.identity)) END, '')";

/// The first of these things that is missing in another database, or is another one there, in words.
pub(super) async fn absent(
    connection: &mut PgConnection,
    used: &[Used],
) -> Result<Option<String>, sqlx::Error> {
    for Used { kind, identity, is } in used {
        // What cannot be asked for is seen when it is tried.
        let Some(is_there) = is_there(kind) else { continue };
        let sql = format!(
            "SELECT {is_there}, {IS} FROM (SELECT {}::text AS type, {}::text AS identity) AS i",
            literal(kind),
            literal(identity)
        );
        let found = rows(connection, &sql).await?;
        let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
        if !row.try_get::<bool, _>(0)? {
            return Ok(Some(format!("it uses the {kind} `{identity}`, which is not there")));
        }
        if row.try_get::<String, _>(1)? != *is {
            return Ok(Some(format!("it uses the {kind} `{identity}`, which is another one there")));
        }
    }
    Ok(None)
}
