//! Views by which tables that moved are still found under their former names: they show what was restored afterwards. They are
//! known by their comments, which the move has given them.

use sqlx::{PgConnection, Row};

use crate::owned::rows;

/// A condition on a relation `c`: that it is no such view.
pub(super) const IS_NONE: &str = "NOT (c.relkind = 'v' AND \
    coalesce(pg_catalog.obj_description(c.oid, 'pg_class'), '') LIKE 'Former name of %')";

/// One of them, as statements.
pub(super) struct FormerName {
    pub(super) drop: String,
    /// Makes it anew, with its owner, its comment and its rights.
    pub(super) make: Vec<String>,
}

/// Those that show one of these relations.
pub(super) async fn read(
    connection: &mut PgConnection,
    relations: &str,
) -> Result<Vec<FormerName>, sqlx::Error> {
    // What the server writes has its schema then.
    let settle = "SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)";
    rows(connection, settle).await?;
    let grantee =
        "CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END";
    let option = "CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END";
    let sql = format!(
        "WITH own AS ({relations}), view AS (\
           SELECT DISTINCT c.oid, c.relowner, c.relacl, c.reloptions, format('%I.%I', n.nspname, c.relname) AS name \
           FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid JOIN pg_catalog.pg_class c ON c.oid = w.ev_class \
           JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass \
             AND d.refobjid IN (SELECT oid::oid FROM own) AND c.oid NOT IN (SELECT oid::oid FROM own) AND NOT {IS_NONE}) \
         SELECT 'DROP VIEW ' || name, ARRAY[\
             format('CREATE VIEW %s%s AS %s', name, ' WITH (' || array_to_string(reloptions, ', ') || ')', \
               rtrim(pg_catalog.pg_get_viewdef(oid), ';')), \
             format('ALTER VIEW %s OWNER TO %I', name, pg_catalog.pg_get_userbyid(relowner)), \
             format('COMMENT ON VIEW %s IS %L', name, pg_catalog.obj_description(oid, 'pg_class'))] \
           || ARRAY(SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, name, {grantee}, {option}) \
             FROM pg_catalog.aclexplode(view.relacl) AS a WHERE a.grantee <> view.relowner) \
           || ARRAY(SELECT format('GRANT %s (%I) ON %s TO %s%s', a.privilege_type, t.attname, name, {grantee}, {option}) \
             FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) AS a WHERE t.attrelid = view.oid) \
         FROM view ORDER BY name"
    );
    let found = rows(connection, &sql).await?;
    found.iter().map(|row| Ok(FormerName { drop: row.try_get(0)?, make: row.try_get(1)? })).collect()
}
