//! Putting a service's schema on a node of Citus, and on another one, under its migration lock.
//!
//! What is not possible is refused before it begins; what is, and what it costs, is the reader's part.

use std::sync::Arc;
use std::time::Duration;

use migration_kit::table_lock::{LockMode, Policy, TableLock, Waiting, is_retryable, of_lock_statement};
use migration_kit::{BOOKKEEPING, Origin, ServiceName, literal, qualified};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, TransactionTrait};

use super::{Citus, CitusNode, TABLES, citus};
use crate::bookkeeping::{execute, statement};
use crate::cancel::Cancellation;
use crate::deployment::Deployment;
use crate::lock::LockedSession;
use crate::upkeep::{UpkeepError, driver, find, look_whose, own};

/// Spreads a service: its tables become shards, all on one node, which Citus chooses. Triggers are dropped before and made again after,
/// in the same transaction. Nobody writes to the tables meanwhile.
///
/// # Errors
/// [`UpkeepError`]; a service that is spread already, or has no schema, is refused.
pub async fn distribute(
    deployment: &Deployment,
    service: &ServiceName,
    wait: Duration,
    policy: Policy,
    cancellation: &Cancellation,
) -> Result<Citus, UpkeepError> {
    let found = citus_of(deployment, service).await?;
    distributable(deployment, service, &found)?;
    let placed = find(deployment, service)?;
    let work = async |locked: &LockedSession<'_>, _| {
        let schema = &locked.placed().site.schema;
        let spread = async |tx: &DatabaseTransaction| Ok(spread(tx, schema).await?);
        Changing { locked, policy, what: "citus distribute" }.run(spread).await
    };
    let done = own(deployment, placed, wait, cancellation, work).await?;
    done.map_err(|stopped| stopped.of(service))?;
    citus_of(deployment, service).await
}

/// Moves a service's tables to another node, named as `HOST:PORT`, while they are written to.
///
/// # Errors
/// [`UpkeepError`]; a node that there is not, and a service that is there already or is not spread, are refused.
pub async fn move_to(
    deployment: &Deployment,
    service: &ServiceName,
    node: &str,
    wait: Duration,
    cancellation: &Cancellation,
) -> Result<Citus, UpkeepError> {
    let found = citus_of(deployment, service).await?;
    let to = destination(service, &found, node)?;
    let placed = find(deployment, service)?;
    let sql = format!(
        "{BOOKKEEPING}SELECT pg_catalog.citus_schema_move({}::regnamespace, {})",
        literal(&migration_kit::quote_identifier(&placed.site.schema)),
        to.id
    );
    let work = async |locked: &LockedSession<'_>, _| locked.writer().execute(&sql).await.map_err(driver);
    let done = own(deployment, placed, wait, cancellation, work).await?;
    done.map_err(|source| UpkeepError::Database { service: service.clone(), source })?;
    citus_of(deployment, service).await
}

/// Refuses a service whose schema cannot be put on a node.
///
/// # Errors
/// [`UpkeepError::Relocation`] with the reason, [`UpkeepError::NoLogin`], and [`UpkeepError::Unread`] where it is not known.
pub fn distributable(
    deployment: &Deployment,
    service: &ServiceName,
    found: &Citus,
) -> Result<(), UpkeepError> {
    if let Some(by) = found.of(service).and_then(|at| at.spread_by.as_ref()) {
        let message = format!("its rows are spread by `{by}` over the nodes already");
        return Err(UpkeepError::Relocation { service: service.clone(), message });
    }
    leaves_coordinator(deployment, service, found)
}

/// Refuses a service whose tables cannot be taken from the coordinator.
///
/// # Errors
/// [`UpkeepError::Relocation`] with the reason, [`UpkeepError::NoLogin`], and [`UpkeepError::Unread`] where it is not known.
pub(super) fn leaves_coordinator(
    deployment: &Deployment,
    service: &ServiceName,
    found: &Citus,
) -> Result<(), UpkeepError> {
    let Some((placed, at)) = deployment.placed(service).zip(found.of(service)) else { return Ok(()) };
    let refused = |message| Err(UpkeepError::Relocation { service: service.clone(), message });
    if let Some(silent) = silent(found) {
        refused(silent)
    } else if !at.exists {
        refused("it has no schema yet".to_owned())
    } else if at.is_distributed {
        refused("its schema is on a node of its own already".to_owned())
    } else if placed.site.shares_schema() {
        refused("it shares its schema with others: Citus takes a schema as a whole".to_owned())
    } else if let Some(owner) = &at.owner_without_login {
        Err(UpkeepError::NoLogin { service: service.clone(), owner: owner.clone() })
    } else if let Some(unread) = found.unread.first() {
        Err(UpkeepError::Unread(Arc::clone(unread)))
    } else if let Some(needs @ [_, ..]) = at.needs_one_node.as_deref() {
        let names = needs.join(", ");
        refused(format!("migrations that are not applied need its tables on the coordinator: {names}"))
    } else {
        Ok(())
    }
}

fn silent(found: &Citus) -> Option<String> {
    let dead = found.nodes.iter().find(|node| node.problem.is_some())?;
    Some(format!("node {} does not answer", dead.address()))
}

/// Refuses a service that cannot be moved to this node, or of which what bears its names there is of others. Reads only.
///
/// # Errors
/// [`UpkeepError::Relocation`] with the reason, [`UpkeepError::OfOthers`], and [`UpkeepError::Unread`] where it is not known.
pub async fn movable(
    deployment: &Deployment,
    service: &ServiceName,
    found: &Citus,
    node: &str,
) -> Result<(), UpkeepError> {
    look_whose(deployment, find(deployment, service)?).await?;
    destination(service, found, node).map(drop)
}

/// The node to which a service can be moved.
fn destination<'c>(
    service: &ServiceName,
    found: &'c Citus,
    node: &str,
) -> Result<&'c CitusNode, UpkeepError> {
    let refused = |message| Err(UpkeepError::Relocation { service: service.clone(), message });
    if let Some(silent) = silent(found) {
        return refused(silent);
    }
    let Some(to) = found.nodes.iter().find(|known| known.address() == node) else {
        let known: Vec<String> = found.nodes.iter().map(CitusNode::address).collect();
        return refused(format!("there is no node `{node}`; there are {}", known.join(", ")));
    };
    if !to.takes_schemas {
        return refused(format!("{node} is a node that has no services: Citus moves nothing to it"));
    }
    let Some(at) = found.of(service) else {
        return Err(UpkeepError::UnknownService { service: service.clone() });
    };
    if let Some(by) = &at.spread_by {
        return refused(format!("its rows are spread by `{by}` over the nodes"));
    }
    match at.node.as_deref() {
        _ if !at.is_distributed => {
            refused("its schema is on the coordinator: distribute it first".to_owned())
        }
        None => refused("it has no table yet".to_owned()),
        Some(now) if now == node => refused(format!("it is on {node} already")),
        Some(_) if !at.without_key.is_empty() => refused(format!(
            "rows of {} cannot be followed while they move: a primary key is needed, or `REPLICA IDENTITY FULL`",
            at.without_key.join(", ")
        )),
        Some(_) => Ok(to),
    }
}

/// What Citus says of one service and of its nodes now.
///
/// # Errors
/// [`UpkeepError::NotCitus`] where the service's database is on one node; [`UpkeepError::Unread`] if that is not known.
pub async fn citus_of(deployment: &Deployment, service: &ServiceName) -> Result<Citus, UpkeepError> {
    let database = find(deployment, service)?.site.database;
    let found = citus(deployment, std::slice::from_ref(service)).await.into_iter().flatten().next();
    match found {
        Some(Ok(Some(citus))) => Ok(citus),
        Some(Err(error)) => Err(UpkeepError::Unread(error)),
        Some(Ok(None)) | None => {
            Err(UpkeepError::NotCitus { database: deployment.databases()[database].to_string() })
        }
    }
}

/// A trigger that is dropped and made again.
struct Trigger {
    table: String,
    name: String,
    definition: String,
    enabled: &'static str,
}

/// A change of all of a service's tables under its migration lock, in one transaction.
pub(super) struct Changing<'l, 's> {
    pub(super) locked: &'l LockedSession<'s>,
    pub(super) policy: Policy,
    /// What is done, for those who wait for it.
    pub(super) what: &'static str,
}

impl Changing<'_, '_> {
    /// Takes the tables' locks as a migration does, so that nobody queues behind us before the work begins, and does it.
    pub(super) async fn run(
        &self,
        work: impl AsyncFn(&DatabaseTransaction) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let (writer, placed) = (self.locked.writer(), self.locked.placed());
        let (db, schema) = (writer.db(), &placed.site.schema);
        let tables = format!(
            "{BOOKKEEPING}SELECT c.relname::text FROM pg_catalog.pg_namespace n, {TABLES} AND n.nspname = {} ORDER BY 1",
            literal(schema)
        );
        let mut locks = Vec::new();
        for row in db.query_all_raw(statement(&tables, [])).await? {
            let table: String = row.try_get_by_index(0)?;
            locks.push(TableLock::new(schema, &table, LockMode::AccessExclusive));
        }
        let origin = Origin { service: placed.name().to_string(), migration: self.what.to_owned() };
        let mut waiting = Waiting::new(self.policy, origin);
        loop {
            let tx = db.begin().await?;
            let attempt = async {
                for sql in waiting.lock_statements(&locks) {
                    tx.execute_unprepared(&sql).await.map_err(of_lock_statement)?;
                }
                work(&tx).await
            };
            let stopped = match attempt.await {
                Ok(()) => return Ok(tx.commit().await?),
                Err(stopped) => stopped,
            };
            drop(tx.rollback().await);
            if !matches!(&stopped, Stopped::Database(error) if is_retryable(error)) {
                return Err(stopped);
            }
            let mut connection = writer.connection().await?;
            let waited = waiting.after_failure(&mut connection, &locks).await;
            waited.map_err(|gave_up| DbErr::Migration(gave_up.to_string()))?;
        }
    }
}

/// Why a change was taken back.
pub(super) enum Stopped {
    /// The database refused something, or was busy.
    Database(DbErr),
    /// Something of the service blocks it, in words.
    Blocked(String),
    /// What was copied is not what was there, in words.
    NotCopied(String),
}

impl Stopped {
    /// The same of this service.
    pub(super) fn of(self, service: &ServiceName) -> UpkeepError {
        let service = service.clone();
        match self {
            Self::Database(source) => UpkeepError::Database { service, source },
            Self::Blocked(message) => UpkeepError::Relocation { service, message },
            Self::NotCopied(message) => UpkeepError::NotCopied { service, message },
        }
    }
}

impl From<DbErr> for Stopped {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

/// Puts a schema on a node.
async fn spread(tx: &DatabaseTransaction, schema: &str) -> Result<(), DbErr> {
    let triggers = triggers(tx, schema).await?;
    let comments = comments(tx, schema).await?;
    for Trigger { table, name, .. } in &triggers {
        execute(tx, &format!("DROP TRIGGER {name} ON {table}")).await?;
    }
    let quoted = literal(&migration_kit::quote_identifier(schema));
    execute(tx, &format!("SELECT pg_catalog.citus_schema_distribute({quoted}::regnamespace)")).await?;
    for Trigger { table, name, definition, enabled } in &triggers {
        execute(tx, definition).await?;
        if !enabled.is_empty() {
            execute(tx, &format!("ALTER TABLE {table} {enabled} TRIGGER {name}")).await?;
        }
    }
    for comment in &comments {
        execute(tx, comment).await?;
    }
    Ok(())
}

/// The statements that set what is lost otherwise: comments on triggers and on foreign keys, which Citus drops and adds.
async fn comments(tx: &DatabaseTransaction, schema: &str) -> Result<Vec<String>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT pg_catalog.format('COMMENT ON %s %I ON %I.%I IS %L', o.kind, o.name, n.nspname, r.relname, o.said) \
         FROM (SELECT 'TRIGGER' AS kind, g.tgname AS name, g.tgrelid AS relation, pg_catalog.obj_description(g.oid, 'pg_trigger') AS said \
               FROM pg_catalog.pg_trigger g WHERE NOT g.tgisinternal AND g.tgparentid = 0 \
               UNION ALL SELECT 'CONSTRAINT', k.conname, k.conrelid, pg_catalog.obj_description(k.oid, 'pg_constraint') \
               FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0) AS o \
         JOIN pg_catalog.pg_class r ON r.oid = o.relation JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
         WHERE n.nspname = {} AND o.said IS NOT NULL",
        literal(schema)
    );
    let rows = tx.query_all_raw(statement(&sql, [])).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

async fn triggers(tx: &DatabaseTransaction, schema: &str) -> Result<Vec<Trigger>, DbErr> {
    let sql = format!(
        "{BOOKKEEPING}SELECT r.relname::text, g.tgname::text, pg_catalog.pg_get_triggerdef(g.oid), g.tgenabled::text \
         FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_class r ON r.oid = g.tgrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
         WHERE n.nspname = {} AND NOT g.tgisinternal AND g.tgparentid = 0 ORDER BY 1, 2",
        literal(schema)
    );
    let mut triggers = Vec::new();
    for row in tx.query_all_raw(statement(&sql, [])).await? {
        let (table, name): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        triggers.push(Trigger {
            table: qualified(schema, &table),
            name: migration_kit::quote_identifier(&name),
            definition: row.try_get_by_index(2)?,
            enabled: match row.try_get_by_index::<String>(3)?.as_str() {
                "D" => "DISABLE",
                "A" => "ENABLE ALWAYS",
                "R" => "ENABLE REPLICA",
                _ => "",
            },
        });
    }
    Ok(triggers)
}
