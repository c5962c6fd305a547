//! The first question of a survey: what there is, by the catalogs alone, which every role may read.

use std::fmt::Write;

use migration_kit::{BOOKKEEPING, bookkeeping, literal};
use sea_orm::sqlx::postgres::PgRow;
use sea_orm::sqlx::{self, Row};

use super::{Access, Collisions, Holder, Journal, ServerFacts, ServiceFacts};
use crate::journal_mark;
use crate::move_mark::MoveMark;
use crate::site::{Site, text_array};

/// What the catalogs say of a service, before its tables are read.
pub(super) struct Found {
    pub(super) facts: ServiceFacts,
    pub(super) version: Relation,
    pub(super) journal: Relation,
    /// Says that the service has moved, or is being moved.
    pub(super) mark: Option<MoveMark>,
    /// How many lines the journal has had at least, where that was noted.
    pub(super) n_lines_noted: Option<i64>,
    /// How many it has.
    pub(super) n_lines: i64,
}

/// What bears the name of a table of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Nothing.
    None,
    /// A table, partitioned or not, that our role may read.
    Readable,
    /// A table that our role may not read.
    Forbidden,
    /// Something that is no table.
    Other(&'static str),
}

impl Relation {
    fn of(row: &PgRow, kind: &str, may_read: &str) -> Result<Self, sqlx::Error> {
        Ok(match row.try_get::<Option<String>, _>(kind)?.as_deref() {
            None => Self::None,
            Some("r" | "p") if row.try_get(may_read)? => Self::Readable,
            Some("r" | "p") => Self::Forbidden,
            Some("v") => Self::Other("a view"),
            Some("m") => Self::Other("a materialized view"),
            Some("f") => Self::Other("a foreign table"),
            Some("S") => Self::Other("a sequence"),
            Some("c") => Self::Other("a composite type"),
            Some(_) => Self::Other("an index"),
        })
    }
}

/// What there is: one row a service, the server's facts repeated in each.
pub(super) fn query(sites: &[&Site]) -> String {
    let mut values = String::new();
    for (ordinal, p) in sites.iter().enumerate() {
        let externals = &p.externals;
        write!(
            values,
            "{}({ordinal}, {}, {}, {}, {}, {}, {}, {})",
            if ordinal == 0 { "" } else { ", " },
            literal(&p.schema),
            literal(&p.version_table),
            literal(&p.journal_name()),
            literal(&p.lock_key()),
            text_array(externals.iter().map(|external| &external.schema)),
            text_array(externals.iter().map(|external| &external.table)),
            text_array(&p.entities),
        )
        .expect("writing to a string cannot fail");
    }
    format!(
        "{BOOKKEEPING}WITH held AS MATERIALIZED (\
           SELECT (l.classid::int8 << 32) | l.objid::int8 AS key, l.pid FROM pg_catalog.pg_lock_status() l \
           WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 \
             AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())) \
         SELECT s.ordinal, current_setting('server_version') AS version, \
                current_setting('server_encoding') AS encoding, \
                current_database()::text AS database, current_user::text AS \"user\", \
                pg_catalog.pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only, \
                pg_catalog.has_database_privilege(current_database(), 'CREATE') AS may_create_schema, \
                pg_catalog.has_database_privilege(current_database(), 'TEMPORARY') AS may_create_temporary, \
                extract(epoch FROM pg_catalog.clock_timestamp())::int8 AS now, \
                pg_catalog.concat_ws('/', pg_catalog.pg_postmaster_start_time(), current_setting('port'), \
                  (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = current_database())) AS identity, \
                s.n IS NOT NULL AS schema_exists, {version_kind} AS version_kind, {journal_kind} AS journal_kind, \
                (SELECT d.description FROM pg_catalog.pg_description d WHERE d.objoid = s.v \
                   AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0) AS mark, \
                coalesce(has_schema_privilege(s.n, 'USAGE') AND has_table_privilege(s.v, 'SELECT'), false) AS may_read, \
                coalesce(has_schema_privilege(s.n, 'USAGE') AND has_table_privilege(s.j, 'SELECT'), false) AS may_read_journal, \
                coalesce(has_schema_privilege(s.n, 'CREATE'), has_database_privilege(current_database(), 'CREATE')) AS may_create, \
                coalesce(has_table_privilege(s.v, 'INSERT') AND has_table_privilege(s.v, 'DELETE'), true) \
                  AND coalesce(has_table_privilege(s.j, 'INSERT'), true) AS may_write, \
                ARRAY(SELECT {external} IS NOT NULL \
                      FROM unnest(s.external_schemas, s.external_tables) WITH ORDINALITY AS x(schema_name, table_name, o) \
                      ORDER BY o) AS externals, \
                ARRAY(SELECT e.name FROM unnest(s.entities) AS e(name) WHERE {entity} IS NULL) AS absent, \
                h.pid, coalesce(a.application_name, '') AS application, \
                coalesce(pg_catalog.host(a.client_addr), 'local socket') AS host, \
                coalesce(extract(epoch FROM a.backend_start)::int8, 0) AS since \
         FROM (SELECT s.*, n.oid AS n, {version_table} AS v, {journal} AS j \
               FROM (VALUES {values}) AS s(ordinal, schema_name, version_table, journal, lock_key, external_schemas, external_tables, entities) \
               LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema_name OFFSET 0) AS s \
         LEFT JOIN held h ON h.key = pg_catalog.hashtextextended(s.lock_key, 0) \
         LEFT JOIN LATERAL pg_catalog.pg_stat_get_activity(h.pid) a ON h.pid IS NOT NULL \
         ORDER BY s.ordinal",
        version_table = in_schema("s.version_table", "n.oid"),
        journal = in_schema("s.journal", "n.oid"),
        external = in_schema(
            "x.table_name",
            "(SELECT e.oid FROM pg_catalog.pg_namespace e WHERE e.nspname = x.schema_name)"
        ),
        entity = in_schema("e.name", "s.n"),
        version_kind = kind("s.v"),
        journal_kind = kind("s.j"),
    )
}

/// The schemas whose tables Citus has put on a node of their own; asked where it is.
pub(super) const DISTRIBUTED: &str = bookkeeping!(
    "SELECT n.nspname::text FROM pg_catalog.pg_dist_schema d JOIN pg_catalog.pg_namespace n ON n.oid = d.schemaid \
     UNION SELECT n.nspname::text FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid \
     JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE p.partmethod = 'h'"
);

/// The number of the relation of this name in a schema. One look into an index for each: a new session, which is what
/// asks, plans that faster than joins and finds it faster than by reading the catalog.
fn in_schema(name: &str, schema: &str) -> String {
    format!(
        "(SELECT c.oid FROM pg_catalog.pg_class c WHERE c.relname = {name} AND c.relnamespace = {schema})"
    )
}

/// What kind of relation this is, as `pg_class` has it.
fn kind(oid: &str) -> String {
    format!("(SELECT c.relkind::text FROM pg_catalog.pg_class c WHERE c.oid = {oid})")
}

pub(super) fn read(rows: &[PgRow], sites: &[&Site]) -> Result<(ServerFacts, Vec<Found>), sqlx::Error> {
    let first = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let server = ServerFacts {
        version: first.try_get::<String, _>("version")?.split(' ').next().unwrap_or_default().to_owned(),
        encoding: first.try_get("encoding")?,
        database: first.try_get("database")?,
        user: first.try_get("user")?,
        read_only: first.try_get("read_only")?,
        may_create_schema: first.try_get("may_create_schema")?,
        may_create_temporary: first.try_get("may_create_temporary")?,
        now: first.try_get("now")?,
        identity: first.try_get("identity")?,
    };
    let mut services = Vec::with_capacity(sites.len());
    for (row, p) in rows.iter().zip(sites) {
        let version = Relation::of(row, "version_kind", "may_read")?;
        let journal = Relation::of(row, "journal_kind", "may_read_journal")?;
        let holder = match row.try_get::<Option<i32>, _>("pid")? {
            Some(pid) => Some(Holder {
                pid,
                application: row.try_get("application")?,
                host: row.try_get("host")?,
                since: row.try_get("since")?,
            }),
            None => None,
        };
        let facts = ServiceFacts {
            service: p.name().clone(),
            access: if version == Relation::None { Access::Absent } else { Access::Read },
            unread: None,
            schema_exists: row.try_get("schema_exists")?,
            is_distributed: false,
            may_create: row.try_get("may_create")?,
            may_write: row.try_get("may_write")?,
            installed: version != Relation::None && journal != Relation::None,
            first_install: false,
            twins: Vec::new(),
            collisions: Collisions::default(),
            applied: Vec::new(),
            journal: Journal::of(p.list.clone()),
            holder,
            absent_tables: row.try_get("absent")?,
            externals: row.try_get::<Vec<bool>, _>("externals")?.into_iter().map(Some).collect(),
        };
        let comment = row.try_get::<Option<String>, _>("mark")?;
        let mark = comment.as_deref().and_then(MoveMark::read);
        let n_lines_noted = comment.as_deref().and_then(journal_mark::read);
        services.push(Found { facts, version, journal, mark, n_lines_noted, n_lines: 0 });
    }
    Ok((server, services))
}
