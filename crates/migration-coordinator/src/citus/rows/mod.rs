//! Spreading a service's rows over all nodes by a column, such as the tenant that they belong to, under its migration lock.
//!
//! For a service that is too large for a node. What its tables lack for it is for its author to change, by migrations: nothing here
//! changes a key. Foreign keys are dropped before and added after, in the same transaction, since Citus spreads one table at a time
//! and none of them may refer to one that is not spread yet.

mod found;
mod plan;

use std::time::Duration;

use migration_kit::table_lock::Policy;
use migration_kit::{BOOKKEEPING, ServiceName, literal};
use sea_orm::sqlx::{self, Row};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr};

use self::found::{Found, question};
use super::Citus;
use super::place::{Changing, Stopped, citus_of, leaves_coordinator};
use crate::bookkeeping::{execute, statement};
use crate::cancel::Cancellation;
use crate::contents::contents_question;
use crate::deployment::{Deployment, Placed};
use crate::lock::LockedSession;
use crate::reading::Reading;
use crate::surroundings::each_database;
use crate::upkeep::{UpkeepError, find, own};

pub use self::plan::{RowObstacle, RowPlan};

/// How a value is written as text, alike on all nodes.
const AS_TEXT: [&str; 6] = [
    "TimeZone = 'UTC'",
    "DateStyle = 'ISO, YMD'",
    "IntervalStyle = 'postgres'",
    "extra_float_digits = 1",
    "bytea_output = 'hex'",
    "xmloption = 'content'",
];

/// By what a service's rows are to be spread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByColumn {
    /// The column: rows with equal values are on the same node.
    pub column: String,
    /// Tables that every node has whole: small ones to which others refer.
    pub whole: Vec<String>,
}

/// What spreading a service's rows comes to, by the catalogs, and where the service is. Changes nothing.
///
/// # Errors
/// [`UpkeepError`]; a service whose schema is on a node, or is shared, is refused.
pub async fn row_plan(
    deployment: &Deployment,
    service: &ServiceName,
    by: &ByColumn,
) -> Result<(Citus, RowPlan), UpkeepError> {
    let at = citus_of(deployment, service).await?;
    leaves_coordinator(deployment, service, &at)?;
    let placed = find(deployment, service)?;
    let sql = question(&placed.site.schema, &by.column);
    let ask = async |reading: &mut Reading<'_>, _: &[&Placed]| {
        reading.begin().await?;
        let rows = reading.rows(&sql).await?;
        rows.first().ok_or(sqlx::Error::RowNotFound)?.try_get::<String, _>(0)
    };
    let asked = each_database(deployment, std::slice::from_ref(service), ask).await;
    let said = asked.into_iter().flatten().next();
    let said = said.ok_or_else(|| UpkeepError::UnknownService { service: service.clone() })?;
    let found = read(&said.map_err(UpkeepError::Unread)?);
    let found = found.map_err(|source| UpkeepError::Database { service: service.clone(), source })?;
    Ok((at, planned(placed, &found, by)))
}

/// Spreads a service's rows, which is where [`row_plan`] says that it is. Nobody writes to its tables meanwhile. What is spread
/// already stays as it is, so that tables which a later migration makes can follow.
///
/// # Errors
/// [`UpkeepError`]; what [`row_plan`] finds in its way is refused.
pub async fn distribute_rows(
    deployment: &Deployment,
    service: &ServiceName,
    (at, by): (&Citus, &ByColumn),
    wait: Duration,
    policy: Policy,
    cancellation: &Cancellation,
) -> Result<Citus, UpkeepError> {
    leaves_coordinator(deployment, service, at)?;
    let placed = find(deployment, service)?;
    let work = async |locked: &LockedSession<'_>, _| {
        let spread = async |tx: &DatabaseTransaction| spread(tx, locked.placed(), by).await;
        Changing { locked, policy, what: "citus distribute --by" }.run(spread).await
    };
    let done = own(deployment, placed, wait, cancellation, work).await?;
    done.map_err(|stopped| stopped.of(service))?;
    citus_of(deployment, service).await
}

fn read(said: &str) -> Result<Found, DbErr> {
    serde_json::from_str(said).map_err(|error| DbErr::Json(error.to_string()))
}

fn planned(placed: &Placed, found: &Found, by: &ByColumn) -> RowPlan {
    let schema = format!("{}.", placed.site.schema);
    let name = |given: &String| {
        let is_there = found.tables.iter().any(|table| table.name == *given);
        let bare = given.strip_prefix(&schema).filter(|_| !is_there);
        bare.unwrap_or(given).to_owned()
    };
    let whole: Vec<String> = by.whole.iter().map(name).collect();
    plan::plan(found, &by.column, &whole, &placed.site.bookkeeping_tables())
}

/// What the service's rows come to: their number and the sum of a hash of each, by table.
async fn contents(
    tx: &DatabaseTransaction,
    placed: &Placed,
    plan: &RowPlan,
) -> Result<Vec<(String, i64, String)>, DbErr> {
    let mut contents = Vec::new();
    for table in plan.whole.iter().chain(&plan.spread) {
        let sql = contents_question(&migration_kit::qualified(&placed.site.schema, table));
        let row = tx.query_one_raw(statement(&format!("{BOOKKEEPING}{sql}"), [])).await?;
        let row = row.ok_or_else(|| DbErr::RecordNotFound("a number of rows".to_owned()))?;
        contents.push((table.clone(), row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    }
    Ok(contents)
}

async fn spread(tx: &DatabaseTransaction, placed: &Placed, by: &ByColumn) -> Result<(), Stopped> {
    let asked = tx.query_one_raw(statement(&question(&placed.site.schema, &by.column), [])).await?;
    let said: String =
        asked.ok_or_else(|| DbErr::RecordNotFound("the catalogs".to_owned()))?.try_get_by_index(0)?;
    let found = read(&said)?;
    let plan = planned(placed, &found, by);
    if let Some(obstacle) = plan.obstacles.first() {
        return Err(Stopped::Blocked(format!("`{}`: {}", obstacle.object, obstacle.reason)));
    }
    let qualified = |name: &String| literal(&migration_kit::qualified(&placed.site.schema, name));
    let is_moved = |table: Option<&String>| {
        table.is_some_and(|name| plan.spread.contains(name) || plan.whole.contains(name))
    };
    let keys =
        || found.foreign_keys.iter().filter(|key| is_moved(key.table.as_ref()) || is_moved(key.to.as_ref()));
    // Nodes write values as text by their own settings otherwise, and hashes of equal rows differ.
    for setting in AS_TEXT {
        execute(tx, &format!("SET LOCAL {setting}")).await?;
    }
    let before = contents(tx, placed, &plan).await?;
    for key in keys() {
        execute(tx, &format!("ALTER TABLE {} DROP CONSTRAINT {}", key.qualified, key.name)).await?;
    }
    for table in &plan.whole {
        execute(tx, &format!("SELECT pg_catalog.create_reference_table({})", qualified(table))).await?;
    }
    // All of them beside the first, whether that is spread now or was before: rows with equal values are then on one node.
    let mut beside =
        found.tables.iter().find(|table| table.spread_by.is_some()).map(|table| table.name.clone());
    for table in &plan.spread {
        let with = beside.as_ref().map_or_else(|| literal("none"), qualified);
        let column = literal(&plan.column);
        let sql = format!(
            "SELECT pg_catalog.create_distributed_table({}, {column}, colocate_with => {with})",
            qualified(table)
        );
        execute(tx, &sql).await?;
        beside.get_or_insert_with(|| table.clone());
    }
    for key in keys() {
        let sql = format!("ALTER TABLE {} ADD CONSTRAINT {} {}", key.qualified, key.name, key.definition);
        execute(tx, &sql).await?;
        if let Some(comment) = key.comment_again() {
            execute(tx, &comment).await?;
        }
    }
    let after = contents(tx, placed, &plan).await?;
    let differs = before.iter().zip(&after).find(|(was, is)| was != is);
    if let Some(((table, n_before, _), (_, n_after, _))) = differs {
        return Err(Stopped::NotCopied(format!(
            "rows of `{table}` were changed or lost while Citus copied them ({n_before} before, {n_after} after): nothing was kept"
        )));
    }
    Ok(())
}
