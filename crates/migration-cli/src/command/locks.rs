//! `locks`: who is at work. Reads only.

use migration_coordinator::{Holder, RunError, Survey};
use serde::Serialize;

use super::connect;
use crate::exit::Exit;
use crate::output::{Table, timestamp};
use crate::program::Context;

/// Who holds which lock.
#[derive(Serialize)]
struct LocksDocument {
    schema: &'static str,
    command: &'static str,
    locks: Vec<LockDocument>,
}

/// A migration lock that is held.
#[derive(Serialize)]
struct LockDocument {
    service: String,
    #[serde(flatten)]
    holder: Holder,
}

pub(super) async fn locks(context: &Context) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let survey = Survey::take(&connected.deployment).await;
    if let Some(Err(error)) = survey.databases.into_iter().find(Result::is_err) {
        return Err(RunError::Survey(error).into());
    }
    let locks: Vec<LockDocument> = survey
        .services
        .into_iter()
        .filter_map(|facts| Some(LockDocument { service: facts.service.to_string(), holder: facts.holder? }))
        .collect();
    if !context.output.is_human() {
        context.output.document(&LocksDocument { schema: "migrate/v1", command: "locks", locks })?;
    } else if locks.is_empty() {
        context.output.line("no migration lock is held");
    } else {
        let mut table = Table::new(&["SERVICE", "PID", "APPLICATION", "HOST", "SINCE"]).right(&["PID"]);
        for LockDocument { service, holder } in locks {
            table.row([
                service,
                holder.pid.to_string(),
                holder.application,
                holder.host,
                timestamp(holder.since),
            ]);
        }
        context.output.table(&table);
    }
    Ok(Exit::Done)
}

/// One line of a lock that is held.
pub(super) fn held(holder: &Holder) -> String {
    format!(
        "the migration lock is held by pid {} ({}, {}) since {}",
        holder.pid,
        holder.application,
        holder.host,
        timestamp(holder.since)
    )
}
