//! What a service needs of a database beside its own objects: roles, tablespaces, extensions, an encoding.

use std::collections::BTreeSet;

use sqlx::{PgConnection, Row};

use crate::Extension;
use crate::owned::{Owned, list, rows};

/// What the text in a database is, and how it is sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) encoding: String,
    pub(crate) locale: String,
}

impl Text {
    pub(crate) async fn read(connection: &mut PgConnection) -> Result<Self, sqlx::Error> {
        // The column of the locale is called otherwise since PostgreSQL 17.
        const QUESTION: &str = "SELECT pg_catalog.pg_encoding_to_char(encoding)::text, \
            CASE WHEN datlocprovider = 'c' THEN concat_ws(' and ', datcollate, nullif(datctype, datcollate)) \
            ELSE concat_ws(' ', coalesce(whole->>'datlocale', whole->>'daticulocale'), 'of provider', datlocprovider::text) END \
            FROM pg_catalog.pg_database, LATERAL pg_catalog.to_jsonb(pg_database) AS whole \
            WHERE datname = pg_catalog.current_database()";
        let found = rows(connection, QUESTION).await?;
        let row = found.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self { encoding: row.try_get(0)?, locale: row.try_get(1)? })
    }
}

/// The owners of a service's schemas, in their order.
pub(crate) async fn schema_owners(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<(String, String)>, sqlx::Error> {
    let sql = format!(
        "SELECT nspname::text, pg_catalog.pg_get_userbyid(nspowner)::text FROM pg_catalog.pg_namespace \
         WHERE nspname IN ({}) ORDER BY 1",
        list(&owned.schemas)
    );
    rows(connection, &sql).await?.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The roles that own something of a service or have rights on it.
pub(crate) async fn roles(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let sql = format!(
        "WITH own AS (SELECT o.oid::pg_catalog.oid AS oid FROM ({}) AS o(oid)), \
         home AS (SELECT * FROM pg_catalog.pg_namespace WHERE nspname IN ({})), \
         role(oid) AS (\
           SELECT nspowner FROM home \
           UNION SELECT a.grantee FROM home, pg_catalog.aclexplode(nspacl) AS a \
           UNION SELECT c.relowner FROM own JOIN pg_catalog.pg_class c USING (oid) \
           UNION SELECT a.grantee FROM own JOIN pg_catalog.pg_class c USING (oid), pg_catalog.aclexplode(c.relacl) AS a \
           UNION SELECT a.grantee FROM own JOIN pg_catalog.pg_attribute t ON t.attrelid = own.oid, \
             pg_catalog.aclexplode(t.attacl) AS a \
           UNION SELECT p.proowner FROM home JOIN pg_catalog.pg_proc p ON p.pronamespace = home.oid \
           UNION SELECT a.grantee FROM home JOIN pg_catalog.pg_proc p ON p.pronamespace = home.oid, \
             pg_catalog.aclexplode(p.proacl) AS a \
           UNION SELECT y.typowner FROM home JOIN pg_catalog.pg_type y ON y.typnamespace = home.oid \
           UNION SELECT d.defaclrole FROM home JOIN pg_catalog.pg_default_acl d ON d.defaclnamespace = home.oid \
           UNION SELECT a.grantee FROM home JOIN pg_catalog.pg_default_acl d ON d.defaclnamespace = home.oid, \
             pg_catalog.aclexplode(d.defaclacl) AS a) \
         SELECT r.rolname::text FROM role JOIN pg_catalog.pg_roles r USING (oid)",
        owned.oids(),
        list(&owned.schemas),
    );
    rows(connection, &sql).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Who owns what in these schemas, and who may do what with it, a line each. A right that only newer servers have counts where both are of
/// one version.
pub(crate) async fn rights(
    connection: &mut PgConnection,
    schemas: &[String],
    is_same_version: bool,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let sql = format!(
        "WITH home AS (SELECT * FROM pg_catalog.pg_namespace WHERE nspname IN ({})), \
         own(what, owner, acl) AS (\
           SELECT 'schema ' || nspname, nspowner, coalesce(nspacl, pg_catalog.acldefault('n', nspowner)) FROM home \
           UNION ALL SELECT CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'view ' ELSE 'table ' END \
               || home.nspname || '.' || c.relname, c.relowner, \
             coalesce(c.relacl, pg_catalog.acldefault((CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END)::\"char\", c.relowner)) \
             FROM home JOIN pg_catalog.pg_class c ON c.relnamespace = home.oid WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
           UNION ALL SELECT 'column ' || home.nspname || '.' || c.relname || '.' || t.attname, c.relowner, t.attacl \
             FROM home JOIN pg_catalog.pg_class c ON c.relnamespace = home.oid JOIN pg_catalog.pg_attribute t ON t.attrelid = c.oid \
             WHERE t.attacl IS NOT NULL AND NOT t.attisdropped \
           UNION ALL SELECT 'function ' || home.nspname || '.' || p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', \
             p.proowner, coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner)) \
             FROM home JOIN pg_catalog.pg_proc p ON p.pronamespace = home.oid \
           UNION ALL SELECT 'type ' || home.nspname || '.' || y.typname, y.typowner, coalesce(y.typacl, pg_catalog.acldefault('T', y.typowner)) \
             FROM home JOIN pg_catalog.pg_type y ON y.typnamespace = home.oid LEFT JOIN pg_catalog.pg_class c ON c.oid = y.typrelid \
             WHERE y.typtype IN ('e', 'd', 'r') OR c.relkind = 'c' \
           UNION ALL SELECT 'what ' || pg_catalog.pg_get_userbyid(d.defaclrole) || ' makes in schema ' || home.nspname, d.defaclrole, d.defaclacl \
             FROM home JOIN pg_catalog.pg_default_acl d ON d.defaclnamespace = home.oid) \
         SELECT '`' || pg_catalog.pg_get_userbyid(owner) || '` owns ' || what FROM own \
         UNION SELECT CASE a.grantee WHEN 0 THEN 'everybody' ELSE '`' || pg_catalog.pg_get_userbyid(a.grantee) || '`' END || ' may ' \
           || a.privilege_type || CASE WHEN a.is_grantable AND a.grantee <> own.owner THEN ' and grant it' ELSE '' END || ' on ' || what \
         FROM own, pg_catalog.aclexplode(own.acl) AS a WHERE {is_same_version} OR a.privilege_type <> 'MAINTAIN' ORDER BY 1",
        list(schemas),
    );
    rows(connection, &sql).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Those of these roles that there are not.
pub(crate) async fn absent_roles(
    connection: &mut PgConnection,
    roles: &BTreeSet<String>,
) -> Result<Vec<String>, sqlx::Error> {
    absent(connection, roles, "SELECT rolname::text FROM pg_catalog.pg_roles").await
}

/// The tablespaces of a service's tables and indexes, but for the one that is the database's own.
pub(crate) async fn tablespaces(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<String>, sqlx::Error> {
    let sql = format!(
        "WITH own AS (SELECT o.oid::pg_catalog.oid AS oid FROM ({}) AS o(oid)) \
         SELECT DISTINCT s.spcname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace \
         WHERE c.oid IN (SELECT oid FROM own) \
           OR c.oid IN (SELECT x.indexrelid FROM pg_catalog.pg_index x JOIN own ON own.oid = x.indrelid) ORDER BY 1",
        owned.oids()
    );
    rows(connection, &sql).await?.iter().map(|row| row.try_get(0)).collect()
}

/// Those of these tablespaces that there are not.
pub(crate) async fn absent_tablespaces(
    connection: &mut PgConnection,
    tablespaces: &BTreeSet<String>,
) -> Result<Vec<String>, sqlx::Error> {
    absent(connection, tablespaces, "SELECT spcname::text FROM pg_catalog.pg_tablespace").await
}

/// Those of these names that the query does not give.
async fn absent(
    connection: &mut PgConnection,
    names: &BTreeSet<String>,
    there: &str,
) -> Result<Vec<String>, sqlx::Error> {
    let there: BTreeSet<String> =
        rows(connection, there).await?.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    Ok(names.difference(&there).cloned().collect())
}

/// The extensions whose types, functions or operators the service's objects use, but for the one that each database has.
pub(crate) async fn extensions(
    connection: &mut PgConnection,
    owned: &Owned,
) -> Result<Vec<Extension>, sqlx::Error> {
    let of = |catalog: &str| format!("d.classid = 'pg_catalog.{catalog}'::pg_catalog.regclass");
    let sql = format!(
        "SELECT DISTINCT e.extname::text, n.nspname::text \
         FROM pg_catalog.pg_depend m JOIN pg_catalog.pg_extension e ON e.oid = m.refobjid \
         JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace \
         JOIN pg_catalog.pg_depend d ON d.refclassid = m.classid AND d.refobjid = m.objid \
         LEFT JOIN pg_catalog.pg_attrdef a ON {} AND a.oid = d.objid \
         LEFT JOIN pg_catalog.pg_constraint k ON {} AND k.oid = d.objid \
         LEFT JOIN pg_catalog.pg_trigger t ON {} AND t.oid = d.objid \
         LEFT JOIN pg_catalog.pg_rewrite w ON {} AND w.oid = d.objid \
         LEFT JOIN pg_catalog.pg_class c \
           ON c.oid = coalesce(a.adrelid, k.conrelid, t.tgrelid, w.ev_class, CASE WHEN {} THEN d.objid END) \
         LEFT JOIN pg_catalog.pg_proc p ON {} AND p.oid = d.objid \
         LEFT JOIN pg_catalog.pg_type y ON {} AND y.oid = d.objid \
         WHERE m.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass AND m.deptype = 'e' AND e.extname <> 'plpgsql' \
           AND coalesce(c.relnamespace, p.pronamespace, y.typnamespace) IN \
             (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname IN ({})) ORDER BY 1",
        of("pg_attrdef"),
        of("pg_constraint"),
        of("pg_trigger"),
        of("pg_rewrite"),
        of("pg_class"),
        of("pg_proc"),
        of("pg_type"),
        list(&owned.schemas),
    );
    let extension =
        |row: &sqlx::postgres::PgRow| Ok(Extension { name: row.try_get(0)?, schema: row.try_get(1)? });
    rows(connection, &sql).await?.iter().map(extension).collect()
}
