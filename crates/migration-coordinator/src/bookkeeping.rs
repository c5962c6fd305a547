//! The tables in which a service's history is kept, and the statements that write them.
//!
//! The version table is sea-orm's own layout, so that plain sea-orm tools keep working on it; what they do not know
//! is in the journal, which is only ever appended to. All names are schema-qualified: a migration that changes
//! `search_path` cannot lead the bookkeeping astray.
//!
//! It is long because all statements that write a history are here, where one sees what they leave behind together.

use std::sync::Arc;
use std::time::Duration;

use migration_kit::settings::{self, timeout_ms};
use migration_kit::table_lock::{PATIENCE_SETTING, TableLock};
use migration_kit::{
    BOOKKEEPING, MigrationName, StandIn, TOLERATED_SETTING, driver_error, literal, qualified,
    quote_identifier,
};
use migration_plan::Direction;
use sea_orm::sqlx::Row;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, RuntimeErr, Statement, Value};

use crate::belongings::{is_table_of, name_of};
use crate::caller::Caller;
use crate::session::Writer;
use crate::site::Site;

/// How a migration ended, as the journal writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has begun, and nothing says that it ended.
    Running,
    /// It was done.
    Succeeded,
    /// It was not done.
    Failed,
    /// It was stopped from outside.
    Interrupted,
    /// It failed before it had changed anything, and counts as never begun.
    Unchanged,
    /// Nothing was run: it was accepted that something is not as the migration makes it.
    Accepted,
}

impl Outcome {
    /// The outcome of this word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let ends = [Self::Succeeded, Self::Failed, Self::Interrupted, Self::Unchanged, Self::Accepted];
        [Self::Running].into_iter().chain(ends).find(|outcome| outcome.as_str() == text)
    }

    /// The word that the journal writes.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Unchanged => "unchanged",
            Self::Accepted => "accepted",
        }
    }
}

/// One line of the journal.
pub(crate) struct Entry<'a> {
    pub(crate) run: &'a str,
    pub(crate) migration: &'a MigrationName,
    pub(crate) direction: Direction,
    pub(crate) outcome: Outcome,
    pub(crate) elapsed: Duration,
    pub(crate) checksum: Option<&'a str>,
    pub(crate) error: Option<String>,
    /// Whether the service's first install is still under way after this line.
    pub(crate) first_install: bool,
    /// What the caller agreed to, words apart by spaces; the object that was accepted.
    pub(crate) consent: Option<String>,
}

/// Makes schema, version table and journal where they are missing, in one transaction. The tables of backfills and
/// rejects are made by the first migration that needs them.
/// `on_one_node` keeps a schema that is made on the node that migrates, where Citus would put it on another one.
pub(crate) async fn install(
    writer: Writer<'_>,
    site: &Site,
    schema_exists: bool,
    on_one_node: bool,
) -> Result<(), DbErr> {
    // One message, which the server runs as one transaction.
    let statements = install_statements(site, schema_exists).join("; ");
    let sql = format!("{BOOKKEEPING}{}{statements}", if on_one_node { stays(writer) } else { "" });
    let mut n_races = 0;
    loop {
        match writer.db().execute_unprepared(&sql).await {
            Err(error) if is_creation_race(&error) && n_races < CREATION_RACES => n_races += 1,
            made => return made.map(drop),
        }
    }
}

/// What keeps a schema that the same message makes on the node that migrates, where Citus would put it on another one.
pub(crate) fn stays(writer: Writer<'_>) -> &'static str {
    if writer.session().is_distributed() {
        "SELECT FROM pg_catalog.set_config('citus.enable_schema_based_sharding', 'off', true); "
    } else {
        ""
    }
}

/// Records a migration as applied that another tool has applied, with a line in the journal: no later than `at_most`, in
/// seconds since 1970. Returns whether it was not recorded before.
pub(crate) async fn adopt<C: ConnectionTrait>(
    tx: &C,
    site: &Site,
    caller: &Caller,
    entry: Entry<'_>,
    at_most: Option<i64>,
) -> Result<bool, DbErr> {
    let table = site.qualified_version_table();
    let sql = format!("{BOOKKEEPING}SELECT least($1::int8, {LAST}) FROM {table}");
    let applied_at: i64 = query_one(tx, &sql, [at_most.into()]).await?.try_get_by_index(0)?;
    // In a statement of its own: Citus does not say how many rows it inserted from a query.
    let sql = format!(
        "{BOOKKEEPING}INSERT INTO {table} (version, applied_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
    );
    let values = [entry.migration.as_str().into(), applied_at.into()];
    let inserted = tx.execute_raw(statement(&sql, values)).await?;
    let is_new = inserted.rows_affected() == 1;
    if is_new {
        record(tx, site, caller, entry).await?;
    }
    Ok(is_new)
}

/// The statements that make schema, version table and journal where they are missing.
pub(crate) fn install_statements(site: &Site, schema_exists: bool) -> Vec<String> {
    let schema = format!("CREATE SCHEMA IF NOT EXISTS {}", quote_identifier(&site.schema));
    let versions = format!(
        "CREATE TABLE IF NOT EXISTS {} (version varchar NOT NULL, applied_at bigint NOT NULL, \
         CONSTRAINT {} PRIMARY KEY (version))",
        site.qualified_version_table(),
        quote_identifier(&format!("{}_pkey", site.version_table)),
    );
    let name = site.journal_name();
    let journal = format!(
        "CREATE TABLE IF NOT EXISTS {} (\
           id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT {} PRIMARY KEY, \
           run text NOT NULL, migration varchar NOT NULL, \
           direction text NOT NULL CONSTRAINT {} CHECK (direction IN ('apply', 'revert')), \
           started_at timestamptz NOT NULL, finished_at timestamptz, \
           outcome text NOT NULL CONSTRAINT {} CHECK (outcome IN ('running', 'succeeded', 'failed', 'interrupted', 'unchanged', \
             'accepted')), \
           checksum text, role text NOT NULL DEFAULT session_user, host text NOT NULL, tool text NOT NULL, error text, \
           first_install boolean NOT NULL DEFAULT false, consent text)",
        site.journal(),
        quote_identifier(&format!("{name}_pkey")),
        quote_identifier(&format!("{name}_direction_check")),
        quote_identifier(&format!("{name}_outcome_check")),
    );
    let stand_in = |StandIn { table, columns }: &StandIn| {
        format!("CREATE TABLE IF NOT EXISTS {} ({columns})", qualified(&site.schema, table))
    };
    let schema = (!schema_exists).then_some(schema);
    let tables = [versions, journal].into_iter().chain(site.stand_ins.iter().map(stand_in));
    schema.into_iter().chain(tables).collect()
}

/// How often a creation is tried again after another session made the same thing at the same moment.
pub(crate) const CREATION_RACES: u32 = 3;

/// Whether a row of a catalog was there already although `IF NOT EXISTS` had not seen it: another session made the same
/// extension, schema or type at the same moment, and has committed by the time this is reported.
pub(crate) fn is_creation_race(error: &DbErr) -> bool {
    const NAMES: [&str; 3] =
        ["pg_extension_name_index", "pg_namespace_nspname_index", "pg_type_typname_nsp_index"];
    let constraint = driver_error(error).and_then(|error| error.as_database_error()?.constraint());
    constraint.is_some_and(|constraint| NAMES.contains(&constraint))
}

/// Whether a type, an operator class or a function was not found. Where it is an extension's, another session may have made
/// that a moment ago, in a schema that is in the `search_path` of the next transaction and not in this one's.
pub(crate) fn is_undefined(error: &DbErr) -> bool {
    const STATES: [&str; 2] = ["42704", "42883"];
    let code = driver_error(error).and_then(|error| error.as_database_error()?.code());
    code.is_some_and(|code| STATES.contains(&&*code))
}

/// When a transaction began, in microseconds since 1970: what distinguishes it from another one.
pub(crate) const BEGUN_AT: &str = "(extract(epoch FROM pg_catalog.now()) * 1000000)::int8";

/// `applied_at` of a version row that a transaction has claimed and not yet finished. No other session sees it, unless the migration
/// ends that transaction by itself: then the row says that the migration is neither applied nor reverted.
pub(crate) const APPLY_CLAIMED: i64 = -1;

/// The same for a row that is to be deleted.
pub(crate) const REVERT_CLAIMED: i64 = -2;

/// `applied_at` of what is applied now, asked of the version table: a clock that was set back does not put it before what was
/// applied earlier, because `down` goes by these times. A soak time can only become longer.
pub(crate) const LAST: &str =
    "greatest(extract(epoch FROM pg_catalog.statement_timestamp())::int8, max(applied_at))::int8";

/// A migration that is to be done in this transaction.
pub(crate) struct Claim {
    /// Whether the row of the version table was ours to write; if not, another tool wrote it before.
    pub(crate) is_ours: bool,
    /// [`BEGUN_AT`].
    pub(crate) begun_at: i64,
}

/// Settles a transaction and claims the migration in it. Claiming comes first, so that of two runs that meet here only
/// one continues; [`finish`] comes last. From then on each statement waits for a lock at most so long; `None` is no limit.
pub(crate) async fn claim<C: ConnectionTrait>(
    tx: &C,
    site: &Site,
    migration: &MigrationName,
    direction: Direction,
    lock_timeout: Option<Duration>,
) -> Result<Claim, DbErr> {
    let table = site.qualified_version_table();
    let write = match direction {
        Direction::Apply => format!(
            "INSERT INTO {table} (version, applied_at) VALUES ($1, {APPLY_CLAIMED}) ON CONFLICT DO NOTHING"
        ),
        Direction::Revert => format!("UPDATE {table} SET applied_at = {REVERT_CLAIMED} WHERE version = $1"),
    };
    let sql = format!(
        "{BOOKKEEPING}WITH claimed AS (\
           {write} RETURNING 1) \
         SELECT (SELECT count(*) FROM claimed) AS claimed, \
           {BEGUN_AT} AS begun_at, \
           pg_catalog.set_config('search_path', {path}, true), \
           pg_catalog.set_config('application_name', $2, true), \
           pg_catalog.set_config('lock_timeout', $3, true), {anew}",
        path = site.search_path(),
        anew = settings::anew(),
    );
    let values = [
        migration.as_str().into(),
        site.application(Some(migration)).into(),
        lock_timeout.map_or(0, timeout_ms).to_string().into(),
    ];
    let row = query_one(tx, &sql, values).await?;
    if direction == Direction::Revert {
        begin_backfills_anew(tx, site, "true").await?;
    }
    Ok(Claim { is_ours: row.try_get_by_index::<i64>(0)? == 1, begun_at: row.try_get_by_index(1)? })
}

/// Finishes what [`claim`] began, with a line in the journal, before the transaction is committed: one statement for both.
pub(crate) async fn finish<C: ConnectionTrait>(
    tx: &C,
    site: &Site,
    caller: &Caller,
    entry: Entry<'_>,
) -> Result<(), DbErr> {
    let table = site.qualified_version_table();
    let finish = match entry.direction {
        Direction::Apply => format!(
            "UPDATE {table} SET applied_at = (SELECT {LAST} FROM {table}) \
             WHERE version = $2 AND applied_at = {APPLY_CLAIMED}"
        ),
        Direction::Revert => format!("DELETE FROM {table} WHERE version = $2"),
    };
    let sql = format!("{BOOKKEEPING}WITH finished AS ({finish}) {}", line(site));
    tx.execute_raw(statement(&sql, values(caller, entry))).await.map(drop)
}

/// A migration outside a transaction that was begun.
pub(crate) struct Beginning {
    /// `applied_at` of the version row that a revert gave up.
    pub(crate) row: Option<i64>,
    /// The transaction that wrote it: its number in the database, and in its session.
    transaction: i64,
    transaction_of_session: i64,
}

/// Begins a migration outside a transaction. Once this is committed, and until it has ended well, it is neither applied
/// nor reverted: what is to be reverted gives up its row at once.
pub(crate) async fn begin<C: ConnectionTrait>(
    tx: &C,
    site: &Site,
    caller: &Caller,
    entry: Entry<'_>,
) -> Result<Beginning, DbErr> {
    let mut row = None;
    if entry.direction == Direction::Apply {
        let migration = literal(entry.migration.as_str());
        let after_a_revert = format!(
            "migration = {migration} AND 'revert' = \
             (SELECT direction FROM {} WHERE migration = {migration} AND outcome IN ('running', 'succeeded') \
              ORDER BY id DESC LIMIT 1)",
            site.journal()
        );
        begin_backfills_anew(tx, site, &after_a_revert).await?;
    } else {
        begin_backfills_anew(tx, site, "true").await?;
        let sql = format!(
            "{BOOKKEEPING}DELETE FROM {} WHERE version = $1 RETURNING applied_at",
            site.qualified_version_table()
        );
        let deleted = tx.query_one_raw(statement(&sql, [entry.migration.as_str().into()])).await?;
        row = deleted.map(|row| row.try_get_by_index(0)).transpose()?;
    }
    record(tx, site, caller, entry).await?;
    let sql = format!("{BOOKKEEPING}SELECT pg_catalog.pg_current_xact_id()::text::int8, {NUMBER_IN_SESSION}");
    let numbers = query_one(tx, &sql, []).await?;
    let [transaction, transaction_of_session] = [numbers.try_get_by_index(0)?, numbers.try_get_by_index(1)?];
    Ok(Beginning { row, transaction, transaction_of_session })
}

/// The number of the session's transactions until now, this one included; those that only read count too. The lock that tells
/// it is listed twice for a moment when another session, an index build for one, begins to wait for it.
const NUMBER_IN_SESSION: &str = "(SELECT max(split_part(virtualxid, '/', 2)::int8) FROM pg_catalog.pg_locks \
                                 WHERE locktype = 'virtualxid' AND pid = pg_catalog.pg_backend_pid())";

/// What is known of what a migration did after it was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tried {
    /// It sent nothing that changes anything.
    Nothing,
    /// Its last statement was refused by the server, with the transaction that it was in.
    Refused,
    /// That is not known.
    Unknown,
}

/// Gives a reverted migration its row back if nothing was done since [`begin`], and returns whether that is so. It is sure
/// if the migration sent nothing, had no transaction or only one that the server refused, or if no transaction of the database was
/// committed; otherwise it is not known, and the answer is no.
pub(crate) async fn take_back(
    writer: Writer<'_>,
    site: &Site,
    migration: &MigrationName,
    beginning: &Beginning,
    tried: Tried,
) -> Result<bool, DbErr> {
    if tried != Tried::Nothing && !is_nothing_done(writer, beginning, tried == Tried::Refused).await? {
        return Ok(false);
    }
    let Beginning { row, .. } = beginning;
    if let Some(applied_at) = row {
        let sql = format!(
            "{BOOKKEEPING}INSERT INTO {} (version, applied_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            site.qualified_version_table()
        );
        let values = [migration.as_str().into(), (*applied_at).into()];
        writer.db().execute_raw(statement(&sql, values)).await?;
    }
    Ok(true)
}

/// Whether the numbers of the transactions since [`begin`] say that nothing was done.
async fn is_nothing_done(
    writer: Writer<'_>,
    beginning: &Beginning,
    refused_by_server: bool,
) -> Result<bool, DbErr> {
    /// More are not asked for one by one.
    const TRANSACTIONS: i64 = 10_000;
    let Beginning { transaction, transaction_of_session, .. } = beginning;
    // The question is a transaction too.
    let n_unchanging = if refused_by_server { 2 } else { 1 };
    let sql = format!(
        "{BOOKKEEPING}SELECT {NUMBER_IN_SESSION} - {transaction_of_session} <= {n_unchanging} \
           OR next - {transaction} < {TRANSACTIONS} AND NOT EXISTS (\
             SELECT FROM generate_series({transaction} + 1, next - 1) AS number \
             WHERE pg_catalog.pg_xact_status(number::text::xid8) = 'committed') \
         FROM (SELECT pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::text::int8 AS next) AS now"
    );
    let rows = writer
        .session()
        .rows(&sql)
        .await
        .map_err(|error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error))))?;
    Ok(rows.first().is_some_and(|row| row.get::<bool, _>(0)))
}

/// Gives up a claim that a transaction left behind when its migration ended it, and returns whether there was one.
pub(crate) async fn give_up_claim<C: ConnectionTrait>(
    connection: &C,
    site: &Site,
    migration: &MigrationName,
) -> Result<bool, DbErr> {
    give_up_row(connection, site, migration, "AND applied_at < 0").await
}

/// Whether a claim outlived the transaction that it was made in.
pub(crate) async fn has_claim<C: ConnectionTrait>(
    connection: &C,
    site: &Site,
    migration: &MigrationName,
) -> Result<bool, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT EXISTS (SELECT 1 FROM {} WHERE version = $1 AND applied_at < 0)",
        site.qualified_version_table()
    );
    query_one(connection, &sql, [migration.as_str().into()]).await?.try_get_by_index(0)
}

async fn give_up_row<C: ConnectionTrait>(
    connection: &C,
    site: &Site,
    migration: &MigrationName,
    condition: &str,
) -> Result<bool, DbErr> {
    let sql =
        format!("{BOOKKEEPING}DELETE FROM {} WHERE version = $1 {condition}", site.qualified_version_table());
    let deleted = connection.execute_raw(statement(&sql, [migration.as_str().into()])).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Resets the cursors of open backfills: a revert can undo rows that a half-finished later migration had already filled, and
/// what is applied after a revert that stopped midway does not continue where that one was. Filling a row twice is
/// harmless.
async fn begin_backfills_anew<C: ConnectionTrait>(tx: &C, site: &Site, which: &str) -> Result<(), DbErr> {
    let cursors = qualified(&site.schema, &format!("migration_backfill_{}", site.name()));
    let exists = format!("{BOOKKEEPING}SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal(&cursors));
    if query_one(tx, &exists, []).await?.try_get_by_index(0)? {
        execute(tx, &format!("DELETE FROM {cursors} WHERE {which}")).await?;
    }
    Ok(())
}

/// Settles a session for a migration that runs outside a transaction: its steps read from it how patient they are.
pub(crate) async fn settle(
    writer: Writer<'_>,
    site: &Site,
    migration: &MigrationName,
    patience: Duration,
) -> Result<(), DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT pg_catalog.set_config('search_path', {}, false), \
               pg_catalog.set_config('application_name', $1, false), pg_catalog.set_config($2, $3, false), {}",
        site.search_path(),
        settings::anew(),
    );
    let values = [
        site.application(Some(migration)).into(),
        PATIENCE_SETTING.into(),
        patience.as_millis().to_string().into(),
    ];
    query_one(writer.db(), &sql, values).await.map(drop)
}

/// Lets each statement of a transaction wait at most so long for a lock.
pub(crate) async fn wait_at_most<C: ConnectionTrait>(tx: &C, limit: Duration) -> Result<(), DbErr> {
    let limit = timeout_ms(limit);
    execute(tx, &format!("SELECT pg_catalog.set_config('lock_timeout', '{limit}', true)")).await
}

/// Appends a line to the journal.
pub(crate) async fn record<C: ConnectionTrait>(
    connection: &C,
    site: &Site,
    caller: &Caller,
    entry: Entry<'_>,
) -> Result<(), DbErr> {
    let sql = format!("{BOOKKEEPING}{}", line(site));
    connection.execute_raw(statement(&sql, values(caller, entry))).await.map(drop)
}

/// What the migration of this transaction has let pass of a table that it adopted, each as an object and how it differs. Asked
/// again, it is nothing.
pub(crate) async fn tolerated<C: ConnectionTrait>(tx: &C) -> Result<Vec<[String; 2]>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT pair ->> 0, pair ->> 1, pg_catalog.set_config('{TOLERATED_SETTING}', '', true) \
         FROM json_array_elements(coalesce(nullif(pg_catalog.current_setting('{TOLERATED_SETTING}', true), ''), '[]')::json) \
           AS said(pair)"
    );
    let rows = tx.query_all_raw(statement(&sql, [])).await?;
    rows.iter().map(|row| Ok([row.try_get_by_index(0)?, row.try_get_by_index(1)?])).collect()
}

/// The statement that appends a line to the journal, of [`values`].
fn line(site: &Site) -> String {
    format!(
        "INSERT INTO {} (run, migration, direction, started_at, finished_at, outcome, checksum, host, tool, error, \
                         first_install, consent) \
         VALUES ($1, $2, $3, pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $4), \
                 CASE WHEN $5 <> 'running' THEN pg_catalog.clock_timestamp() END, $5, $6, $7, $8, $9, $10, $11)",
        site.journal()
    )
}

/// The parameters of [`line`]; the second is the migration.
fn values(caller: &Caller, entry: Entry<'_>) -> [Value; 11] {
    [
        entry.run.into(),
        entry.migration.as_str().into(),
        entry.direction.as_str().into(),
        entry.elapsed.as_secs_f64().into(),
        entry.outcome.as_str().into(),
        entry.checksum.map(str::to_owned).into(),
        caller.host.clone().into(),
        caller.tool.clone().into(),
        entry.error.into(),
        entry.first_install.into(),
        entry.consent.into(),
    ]
}

/// Those of these locks whose tables exist. The lock file knows the tables of a database that the migrations made; one
/// that was adopted, or made in another order, may lack some, and there is nothing to lock then.
pub(crate) async fn present<C: ConnectionTrait>(
    connection: &C,
    locks: Vec<TableLock>,
) -> Result<Vec<TableLock>, DbErr> {
    if locks.is_empty() {
        return Ok(locks);
    }
    let exists =
        |lock: &TableLock| format!("pg_catalog.to_regclass({}) IS NOT NULL", literal(&lock.qualified()));
    let sql = format!("{BOOKKEEPING}SELECT {}", locks.iter().map(exists).collect::<Vec<_>>().join(", "));
    let row = query_one(connection, &sql, []).await?;
    let mut present = Vec::with_capacity(locks.len());
    for (column, lock) in locks.into_iter().enumerate() {
        if row.try_get_by_index(column)? {
            present.push(lock);
        }
    }
    Ok(present)
}

/// Indexes on the service's tables that a concurrent build left invalid.
pub(crate) async fn invalid_indexes<C: ConnectionTrait>(
    connection: &C,
    site: &Site,
) -> Result<Vec<String>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT c.relname::text, {} FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = {} AND c.relkind = 'i' AND NOT i.indisvalid ORDER BY 1",
        name_of("t"),
        literal(&site.schema)
    );
    let rows = connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await?;
    let mut invalid = Vec::new();
    for row in rows {
        // In a schema that it shares, others may be building indexes right now.
        let table: String = row.try_get_by_index(1)?;
        if !site.shares_schema() || site.tables.contains(&table) {
            invalid.push(row.try_get_by_index(0)?);
        }
    }
    Ok(invalid)
}

/// The first of the service's tables that has rows, if one has.
pub(crate) async fn table_with_rows<C: ConnectionTrait>(
    connection: &C,
    site: &Site,
) -> Result<Option<String>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT c.relname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE {} ORDER BY 1",
        is_table_of(site)
    );
    for row in connection.query_all_raw(Statement::from_string(DbBackend::Postgres, sql)).await? {
        let table: String = row.try_get_by_index(0)?;
        let name = qualified(&site.schema, &table);
        let has_rows = format!("{BOOKKEEPING}SELECT EXISTS (SELECT 1 FROM {name})");
        if query_one(connection, &has_rows, []).await?.try_get_by_index(0)? {
            return Ok(Some(format!("{}.{table}", site.schema)));
        }
    }
    Ok(None)
}

pub(crate) fn statement(sql: &str, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

async fn query_one<C: ConnectionTrait>(
    connection: &C,
    sql: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<sea_orm::QueryResult, DbErr> {
    let row = connection.query_one_raw(statement(sql, values)).await?;
    row.ok_or_else(|| DbErr::RecordNotFound("a query of the bookkeeping returned no row".to_owned()))
}

/// Sends one statement, marked as ours.
pub(crate) async fn execute<C: ConnectionTrait>(connection: &C, sql: &str) -> Result<(), DbErr> {
    connection.execute_unprepared(&format!("{BOOKKEEPING}{sql}")).await.map(drop)
}
