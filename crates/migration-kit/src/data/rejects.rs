//! Rejects: rows and fields that could not be carried over, each with its reason, in `migration_reject_<service>`.
//!
//! An entry without a moved row only reports a value: its row is still in its table, and the entry is the same however
//! often the migration runs. An entry with a moved row is the row: it left its table, and `row_data` is all there is.
//! There, each value is kept in PostgreSQL's own text form (`{"id": "5", "tags": "{a,b}", "note": null}`): what the
//! server writes, it reads back the same, for every type. JSON's own numbers, and `jsonb` inside `jsonb`, would not do:
//! they lose the text of a `json` value and the infinities.
//!
//! An entry of a row that has been deleted since is kept, since reverting may need it, and not listed. One that is harmless
//! reports a row that a rule changed, without a loss; it is kept apart from the others.
//!
//! It decides no reasons and puts no rows back.

use std::time::Duration;

use sea_orm::sqlx::{PgConnection, Row};
use sea_orm::{ConnectionTrait, DbErr, Statement};
use sea_orm_migration::SchemaManager;
use serde::Serialize;

use crate::event::{self, Origin};
use crate::quote::{literal, quote_identifier, regclass};
use crate::session::{self, BOOKKEEPING, LOCK_NOT_AVAILABLE, db_err, sqlstate};
use crate::shape::current_schema;

/// A column of a query of rejects: the row `source` as it is, or where it is too large for JSON in PostgreSQL, of 256 MB at most,
/// its size. The row stays in its table.
pub const WHOLE_ROW: &str = "CASE WHEN octet_length((source.*)::text) <= 250000000 THEN to_jsonb(source.*) \
    ELSE jsonb_build_object('size_bytes', octet_length((source.*)::text)) END AS row";

/// How long statistics wait for whoever maintains the reject table.
const STATISTICS: Duration = Duration::from_secs(1);

/// One entry of a reject table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reject {
    /// Number of the entry; the order in which they were made.
    pub id: i64,
    /// The migration that made it.
    pub migration: String,
    /// The row's table.
    pub table: String,
    /// The row's key, as the migration wrote it.
    pub key: serde_json::Value,
    /// The field that could not be carried over; empty if the entry is about the whole row.
    pub field: String,
    /// The field's value, as text.
    pub value: Option<String>,
    /// Why it could not be carried over.
    pub reason: String,
    /// Whether the row left its table and is only here.
    pub moved: bool,
    /// Whether nothing was lost: a rule changed the row.
    pub harmless: bool,
    /// The row: of a moved one all values as text, otherwise what the migration chose to keep.
    pub row: Option<serde_json::Value>,
    /// When the entry was made, UTC, as `2026-01-26T10:00:00Z`.
    pub rejected_at: String,
}

/// How many entries a reject table has for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RejectCount {
    /// The migration that made them.
    pub migration: String,
    /// The rows' table.
    pub table: String,
    /// The field; empty if the entries are about whole rows.
    pub field: String,
    /// The reason.
    pub reason: String,
    /// Whether the rows left their table.
    pub moved: bool,
    /// Whether nothing was lost: a rule changed the rows.
    pub harmless: bool,
    /// How many there are.
    pub n_rejects: u64,
}

/// What a reject table has, by migration, table, field and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RejectCounts {
    /// Losses first, rare ones before frequent ones.
    pub counts: Vec<RejectCount>,
    /// How many further entries are about rows that have been deleted since.
    pub n_deleted: u64,
}

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something could not be carried over.
    Loss,
    /// A rule changed the row.
    Change,
}

/// Name of a service's reject table.
#[must_use]
pub fn table_name(service: &str) -> String {
    format!("migration_reject_{service}")
}

/// Makes the reject table of a service in the current schema of the manager's connection, if there is none: for a
/// migration inside a transaction that writes rejects itself.
///
/// # Errors
/// [`DbErr::Migration`] if there is no current schema; otherwise an error of the server.
pub async fn install(manager: &SchemaManager<'_>, service: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    let schema = current_schema(manager).await?;
    let asked = is_installed(&schema, service);
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), asked)).await?;
    if row.map_or(Ok(false), |row| row.try_get_by_index(0))? {
        return Ok(());
    }
    for statement in definition(&schema, service) {
        db.execute_unprepared(&statement).await?;
    }
    Ok(())
}

/// Makes the reject table of a service in its schema, if there is none.
///
/// # Errors
/// An error of the server.
pub async fn install_in(connection: &mut PgConnection, schema: &str, service: &str) -> Result<(), DbErr> {
    // Asked first, because `IF NOT EXISTS` needs the right to create even where there is nothing to do.
    if session::value::<bool>(connection, is_installed(schema, service)).await? == Some(true) {
        return Ok(());
    }
    for statement in definition(schema, service) {
        session::execute(connection, statement).await?;
    }
    Ok(())
}

/// The first entries of a service, losses first, those with rare reasons before those with frequent ones; none if it has no
/// reject table. Entries of rows that have been deleted since are left out. Only reads.
///
/// # Errors
/// An error of the server.
pub async fn list(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
    limit: u64,
) -> Result<Vec<Reject>, DbErr> {
    if !exists(connection, schema, service).await? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "{BOOKKEEPING}SELECT id, migration, table_name, row_key, field, value, reason, moved, row_data, \
         to_char(rejected_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), harmless \
         FROM {} AS listed WHERE NOT ({}) \
         WINDOW same AS (PARTITION BY migration, table_name, field, reason, moved, harmless) \
         ORDER BY harmless, count(*) OVER same, min(id) OVER same, id LIMIT {limit}",
        qualified(schema, service),
        is_deleted(connection, schema, service).await?,
    );
    let mut rejects = Vec::new();
    for row in session::rows(connection, sql).await? {
        rejects.push(Reject {
            id: row.try_get(0).map_err(db_err)?,
            migration: row.try_get(1).map_err(db_err)?,
            table: row.try_get(2).map_err(db_err)?,
            key: row.try_get(3).map_err(db_err)?,
            field: row.try_get(4).map_err(db_err)?,
            value: row.try_get(5).map_err(db_err)?,
            reason: row.try_get(6).map_err(db_err)?,
            moved: row.try_get(7).map_err(db_err)?,
            row: row.try_get(8).map_err(db_err)?,
            rejected_at: row.try_get(9).map_err(db_err)?,
            harmless: row.try_get(10).map_err(db_err)?,
        });
    }
    Ok(rejects)
}

/// How many entries a service has; none if it has no reject table. Only reads.
///
/// # Errors
/// An error of the server.
pub async fn counts(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
) -> Result<RejectCounts, DbErr> {
    let mut counts = RejectCounts::default();
    if !exists(connection, schema, service).await? {
        return Ok(counts);
    }
    let sql = format!(
        "{BOOKKEEPING}SELECT migration, table_name, field, reason, moved, \
         count(*) FILTER (WHERE NOT is_deleted), count(*) FILTER (WHERE is_deleted), harmless \
         FROM (SELECT *, {} AS is_deleted FROM {} AS listed) AS listed \
         GROUP BY migration, table_name, field, reason, moved, harmless ORDER BY harmless, 6, min(id)",
        is_deleted(connection, schema, service).await?,
        qualified(schema, service),
    );
    for row in session::rows(connection, sql).await? {
        let count = |index: usize| -> Result<u64, DbErr> {
            Ok(u64::try_from(row.try_get::<i64, _>(index).map_err(db_err)?).unwrap_or(0))
        };
        counts.n_deleted += count(6)?;
        if count(5)? == 0 {
            continue;
        }
        counts.counts.push(RejectCount {
            migration: row.try_get(0).map_err(db_err)?,
            table: row.try_get(1).map_err(db_err)?,
            field: row.try_get(2).map_err(db_err)?,
            reason: row.try_get(3).map_err(db_err)?,
            moved: row.try_get(4).map_err(db_err)?,
            harmless: row.try_get(7).map_err(db_err)?,
            n_rejects: count(5)?,
        });
    }
    Ok(counts)
}

/// A condition on an entry `listed`: its row stayed in its table and is not there any more. Where that is not known (the
/// table is gone or may not be read, or the key is not its primary key's), the entry counts as one of a row that is there.
async fn is_deleted(connection: &mut PgConnection, schema: &str, service: &str) -> Result<String, DbErr> {
    // Citus joins no table of the coordinator with one whose rows are spread, but with what it has read of that before: here, the
    // keys that entries name.
    let is_spread = if session::has_citus(connection).await? {
        "EXISTS (SELECT 1 FROM pg_dist_partition d WHERE d.logicalrelid = c.oid AND d.partmethod = 'h')"
    } else {
        "false"
    };
    let rejects = qualified(schema, service);
    let sql = format!(
        "{BOOKKEEPING}SELECT format('NOT listed.moved AND listed.table_name = %L AND listed.row_key ?& %L \
           AND NOT EXISTS (SELECT 1 FROM %s AS kept WHERE %s)', table_name, keys, \
           CASE WHEN {is_spread} THEN format('(SELECT %2$s FROM %1$s WHERE (%2$s) IN (SELECT %3$s FROM %4$s AS listed \
               WHERE NOT listed.moved AND listed.table_name = %5$L AND listed.row_key ?& %6$L) OFFSET 0)', \
             format('%I.%I', nspname, relname), string_agg(format('%I', attname), ', '), string_agg(given, ', '), {}, table_name, keys) \
           ELSE format('%I.%I', nspname, relname) END, \
           string_agg(format('kept.%I = %s', attname, given), ' AND ')) \
         FROM (SELECT DISTINCT table_name, ARRAY(SELECT jsonb_object_keys(CASE jsonb_typeof(row_key) \
             WHEN 'object' THEN row_key ELSE '{{}}' END)) AS keys FROM {rejects} WHERE NOT moved) AS asked \
         JOIN pg_namespace n ON nspname = {} \
         JOIN pg_class c ON relnamespace = n.oid AND relname = table_name AND relkind IN ('r', 'p') \
           AND has_table_privilege(c.oid, 'SELECT') AND NOT row_security_active(c.oid) \
         JOIN pg_index i ON indrelid = c.oid AND indisprimary \
         JOIN pg_attribute a ON attrelid = c.oid AND attnum = ANY (indkey) AND attname = ANY (keys) \
         CROSS JOIN LATERAL format('(listed.row_key ->> %L)::%s', attname, format_type(atttypid, atttypmod)) AS given \
         GROUP BY table_name, keys, nspname, relname, c.oid HAVING count(*) = cardinality(keys)",
        literal(&rejects),
        literal(schema),
    );
    let conditions: Result<Vec<String>, _> =
        session::rows(connection, sql).await?.iter().map(|row| row.try_get(0)).collect();
    let conditions: Vec<String> =
        conditions.map_err(db_err)?.iter().map(|condition| format!("({condition})")).collect();
    Ok(if conditions.is_empty() { "false".to_owned() } else { conditions.join(" OR ") })
}

/// Kind the reasons for which a migration has entries of a table.
pub(crate) async fn tell(
    connection: &mut PgConnection,
    schema: &str,
    origin: &Origin,
    table: &str,
) -> Result<(), DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT field, reason, harmless, count(*) FROM {} WHERE migration = {} AND table_name = {} \
         GROUP BY field, reason, harmless ORDER BY harmless, count(*), min(id)",
        qualified(schema, &origin.service),
        literal(&origin.migration),
        literal(table),
    );
    for row in session::rows(connection, sql).await? {
        let (field, reason): (String, String) =
            (row.try_get(0).map_err(db_err)?, row.try_get(1).map_err(db_err)?);
        let n_rejects = u64::try_from(row.try_get::<i64, _>(3).map_err(db_err)?).unwrap_or(0);
        let harmless = row.try_get(2).map_err(db_err)?;
        event::rejected(
            origin,
            table,
            event::Rejected { field: &field, reason: &reason, harmless, n_rejects },
        );
    }
    Ok(())
}

/// The statement that records what a query lists, each (key, field) once. The query is evaluated before anything is
/// written, which also lets it run where the tables are distributed.
pub(crate) fn recording(schema: &str, origin: &Origin, table: &str, query: &str, kind: Kind) -> String {
    let (harmless, is_harmless) = match kind {
        Kind::Loss => ("", ""),
        Kind::Change => (", harmless", ", true"),
    };
    format!(
        "WITH rejected AS MATERIALIZED ({query}) \
         INSERT INTO {} (migration, table_name, row_key, field, value, reason, row_data{harmless}) \
         SELECT {}, {}, rejected.key::jsonb, rejected.field::text, rejected.value::text, rejected.reason::text, \
         rejected.row::jsonb{is_harmless} FROM rejected ON CONFLICT DO NOTHING",
        qualified(schema, &origin.service),
        literal(&origin.migration),
        literal(table),
    )
}

/// Forgets the entries of a migration that are not moved rows.
pub(super) async fn forget(
    connection: &mut PgConnection,
    schema: &str,
    origin: &Origin,
) -> Result<u64, DbErr> {
    if !exists(connection, schema, &origin.service).await? {
        return Ok(0);
    }
    let sql = format!(
        "{BOOKKEEPING}DELETE FROM {} WHERE migration = {} AND NOT moved",
        qualified(schema, &origin.service),
        literal(&origin.migration),
    );
    session::execute(connection, sql).await
}

/// Whether the service has a reject table.
pub(super) async fn exists(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
) -> Result<bool, DbErr> {
    Ok(session::value::<bool>(connection, is_there(schema, service)).await? == Some(true))
}

fn is_there(schema: &str, service: &str) -> String {
    format!("{BOOKKEEPING}SELECT {} IS NOT NULL", regclass(&qualified(schema, service)))
}

/// Asks whether the table is there with all that belongs to it: its last index is.
fn is_installed(schema: &str, service: &str) -> String {
    let index = crate::qualified(schema, &by_key(service));
    format!("{BOOKKEEPING}SELECT {} IS NOT NULL", regclass(&index))
}

/// The index by which the entries of a row are found.
fn by_key(service: &str) -> String {
    format!("{}_hash", table_name(service))
}

/// Gathers statistics of the reject table if it has many rows of which the server does not know, `n_new` beside those that it has
/// counted. Otherwise it expects a handful, and a statement that looks for the rejects of a row reads all of them, for each row.
pub(super) async fn gather_statistics(
    connection: &mut PgConnection,
    schema: &str,
    service: &str,
    n_new: u64,
) -> Result<(), DbErr> {
    let table = qualified(schema, service);
    let are_old = format!(
        "{BOOKKEEPING}SELECT c.reltuples < 0 OR pg_catalog.pg_stat_get_mod_since_analyze(c.oid) + {n_new} > c.reltuples / 10 + 50 \
         FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass({})",
        literal(&table)
    );
    if session::value::<bool>(connection, are_old).await? != Some(true) {
        return Ok(());
    }
    let gather = format!("{BOOKKEEPING}ANALYZE {table}");
    match session::execute_waiting(connection, Some(STATISTICS), gather).await {
        // Another session maintains the table: it is slower without, and nothing else.
        Err(error) if sqlstate(&error).as_deref() == Some(LOCK_NOT_AVAILABLE) => Ok(()),
        gathered => gathered,
    }
}

/// The quoted, schema-qualified name of a service's reject table.
pub(super) fn qualified(schema: &str, service: &str) -> String {
    crate::qualified(schema, &table_name(service))
}

/// The statements that make the table. Keys and texts may be of any length, so no index has a key itself: one has hashes of it,
/// of 128 bits together, and keeps entries distinct; by the other one, which keeps a hash of 32 bits, they are found.
fn definition(schema: &str, service: &str) -> [String; 3] {
    let name = table_name(service);
    let table = qualified(schema, service);
    [
        format!(
            "{BOOKKEEPING}CREATE TABLE IF NOT EXISTS {table} (id bigint GENERATED ALWAYS AS IDENTITY, migration varchar NOT NULL, \
             table_name text NOT NULL, row_key jsonb NOT NULL, field text NOT NULL DEFAULT '', value text, \
             reason text NOT NULL, moved boolean NOT NULL DEFAULT false, row_data jsonb, \
             rejected_at timestamptz NOT NULL DEFAULT now(), harmless boolean NOT NULL DEFAULT false, CONSTRAINT {} PRIMARY KEY (id))",
            quote_identifier(&format!("{name}_pkey")),
        ),
        format!(
            "{BOOKKEEPING}CREATE UNIQUE INDEX IF NOT EXISTS {} ON {table} (migration, table_name, field, \
             hashtextextended(row_key::text, 0), hashtextextended(row_key::text, 1))",
            quote_identifier(&format!("{name}_key")),
        ),
        format!(
            "{BOOKKEEPING}CREATE INDEX IF NOT EXISTS {} ON {table} USING hash (row_key)",
            quote_identifier(&by_key(service)),
        ),
    ]
}
