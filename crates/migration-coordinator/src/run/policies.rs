//! Row-level security that a run would meet: tables that its steps change, and of which a policy would hide rows from the role that
//! runs them. Our sessions see all rows or fail.
//!
//! It refuses nothing: a step that reads no rows is not stopped, and what a step reads is known only when it runs.

use std::collections::BTreeMap;
use std::fmt;

use migration_kit::table_lock::LockMode;
use migration_kit::{BOOKKEEPING, MigrationId, literal};
use migration_plan::{Direction, Plan};
use sea_orm::sqlx::{self, Row};

use super::{Planned, RunError};
use crate::deployment::{Deployment, Placed};
use crate::owner;
use crate::reading::Reading;
use crate::site::text_array;

/// A table that a step changes, where row-level security would hide rows from the role that runs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecuredStep {
    /// The first such step of the service.
    pub id: MigrationId,
    /// The table, with its schema.
    pub table: String,
    /// The role that runs the step: the service's owner, if it has one.
    pub role: String,
}

impl fmt::Display for SecuredStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, table, role } = self;
        write!(f, "migration `{id}` changes `{table}`, of which row-level security hides rows from `{role}`")
    }
}

impl Planned<'_> {
    /// The tables of which row-level security would stop a step of this plan that reads their rows. Reads only.
    ///
    /// # Errors
    /// [`RunError::Survey`] if a database could not be asked.
    pub async fn secured_steps(&self) -> Result<Vec<SecuredStep>, RunError> {
        let mut secured = Vec::new();
        for placed in self.plan.services().into_iter().filter_map(|name| self.deployment.placed(name)) {
            let tables = changed(placed, &self.plan);
            if !tables.is_empty() {
                secured.extend(of_service(self.deployment, placed, &tables).await?);
            }
        }
        Ok(secured)
    }
}

/// The tables that the steps of a service change, each with the first that does. What lets others write meanwhile builds or
/// validates, and the server does that whatever a policy says.
fn changed<'p>(placed: &'p Placed, plan: &'p Plan) -> BTreeMap<&'p str, &'p MigrationId> {
    let mut tables = BTreeMap::new();
    for step in plan.steps_of(placed.name()).filter(|step| step.direction == Direction::Apply) {
        let locks = placed.lock_file.locks(&step.id.name, step.direction).iter();
        for lock in locks.filter(|lock| lock.mode > LockMode::ShareUpdateExclusive) {
            tables.entry(lock.relation.as_str()).or_insert(&step.id);
        }
    }
    tables
}

async fn of_service(
    deployment: &Deployment,
    placed: &Placed,
    tables: &BTreeMap<&str, &MigrationId>,
) -> Result<Vec<SecuredStep>, RunError> {
    let url = &deployment.databases()[placed.site.database];
    let mut reading = Reading::open(url).await?;
    let rows = async {
        reading.begin().await?;
        reading.rows(&question(placed, tables)).await
    }
    .await;
    reading.close().await;
    let secured = |row: &sqlx::postgres::PgRow| {
        let name: String = row.try_get(0)?;
        let id = tables.get(name.as_str()).map(|id| (*id).clone());
        let table = format!("{}.{name}", placed.site.schema);
        let role = row.try_get(1)?;
        Ok(id.map(|id| SecuredStep { id, table, role }))
    };
    let secured = rows.and_then(|rows| rows.iter().filter_map(|row| secured(row).transpose()).collect());
    secured.map_err(|source| RunError::unread(url, source))
}

/// Which of the tables row-level security holds for, as the server decides it (`check_enable_rls`), for the service's owner, if it
/// has one that our role may become, or else for our role.
fn question(placed: &Placed, tables: &BTreeMap<&str, &MigrationId>) -> String {
    format!(
        "{BOOKKEEPING}SELECT c.relname::text, r.rolname::text FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_roles r ON r.rolname = coalesce(({owner}), current_user) \
         WHERE n.nspname = {schema} AND c.relname = ANY ({tables}) AND c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls \
           AND (c.relforcerowsecurity OR NOT pg_catalog.pg_has_role(r.oid, c.relowner, 'USAGE')) \
         ORDER BY c.relname",
        owner = owner::question(&placed.site),
        schema = literal(&placed.site.schema),
        tables = text_array(tables.keys()),
    )
}
