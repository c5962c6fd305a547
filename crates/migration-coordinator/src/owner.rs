//! The owner of a service, if it has one: the role as which its migrations run, so that PostgreSQL itself refuses what is not the
//! service's. It is known by a comment, whatever it is called, and by owning the version table or the schema.
//!
//! Making it is not done here.

use migration_kit::{BOOKKEEPING, ServiceName, literal};
use sea_orm::sqlx::{self, Row};
use sea_orm::{ConnectionTrait, DbErr};

use crate::bookkeeping::{execute, statement};
use crate::session::Session;
use crate::site::Site;

/// How an owner is marked.
pub(crate) fn mark(service: &ServiceName) -> String {
    format!("owner of service {service}, as whom its migrations run")
}

/// The privilege of `pg_has_role` that says whether a role may become another one.
pub(crate) const MAY_BECOME: &str =
    "CASE WHEN pg_catalog.current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END";

/// The owner as which a service's migrations run, if it has one and our role may become it.
pub(crate) async fn of(session: &Session, site: &Site) -> Result<Option<String>, sqlx::Error> {
    let sql = format!("{BOOKKEEPING}{}", question(site));
    session.rows(&sql).await?.first().map(|row| row.try_get(0)).transpose()
}

/// The query for its name.
pub(crate) fn question(site: &Site) -> String {
    format!(
        "SELECT r.rolname::text FROM pg_catalog.pg_roles r \
         WHERE r.oid = coalesce(\
             (SELECT c.relowner FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
              WHERE n.nspname = {schema} AND c.relname = {table}), \
             (SELECT n.nspowner FROM pg_catalog.pg_namespace n WHERE n.nspname = {schema})) \
           AND pg_catalog.shobj_description(r.oid, 'pg_authid') = {mark} \
           AND pg_catalog.pg_has_role(session_user, r.oid, {MAY_BECOME})",
        schema = literal(&site.schema),
        table = literal(&site.version_table),
        mark = literal(&mark(site.name())),
    )
}

/// Takes the right to write the history from those who have got it with the rights on all tables of the owner.
pub(crate) async fn keep_history<C: ConnectionTrait>(db: &C, site: &Site) -> Result<(), DbErr> {
    let tables = [site.qualified_version_table(), site.journal()];
    let sql = format!(
        "{BOOKKEEPING}SELECT DISTINCT format('REVOKE INSERT, UPDATE, DELETE ON %s FROM %I', c.oid::regclass, r.rolname) \
         FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) AS a \
         JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
         WHERE c.oid IN (pg_catalog.to_regclass({}), pg_catalog.to_regclass({})) AND a.grantee <> c.relowner \
           AND a.privilege_type = 'INSERT'",
        literal(&tables[0]),
        literal(&tables[1]),
    );
    for row in db.query_all_raw(statement(&sql, [])).await? {
        execute(db, &row.try_get_by_index::<String>(0)?).await?;
    }
    Ok(())
}
