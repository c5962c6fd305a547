//! `locks`: who is at work. Reads only.

use migration_coordinator::{Access, Holder, Survey};
use serde::Serialize;

use super::{connect, services};
use crate::exit::Exit;
use crate::output::{Table, error, timestamp};
use crate::program::Context;

/// Who holds which lock.
#[derive(Serialize)]
struct LocksDocument {
    schema: &'static str,
    command: &'static str,
    ok: bool,
    exit_code: u8,
    locks: Vec<LockDocument>,
    errors: Vec<error::Told>,
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
    let unread: Vec<_> = survey.databases.iter().filter_map(|database| database.as_ref().err()).collect();
    let exit = Exit::worst(unread.iter().map(|error| Exit::of_survey(error)));
    let errors = error::tell_each(unread.iter().map(AsRef::as_ref));
    let n_asked = survey.services.iter().filter(|facts| facts.access != Access::Unreachable).count();
    let locks: Vec<LockDocument> = survey
        .services
        .into_iter()
        .filter_map(|facts| Some(LockDocument { service: facts.service.to_string(), holder: facts.holder? }))
        .collect();
    if !context.output.is_human() {
        context.output.document(&LocksDocument {
            schema: "migrate/v1",
            command: "locks",
            ok: exit == Exit::Done,
            exit_code: exit.code(),
            locks,
            errors,
        })?;
        return Ok(exit);
    }
    errors.iter().for_each(|told| error::write(told, &context.output));
    if locks.is_empty() {
        if n_asked > 0 {
            context.output.line(format!("no migration lock is held ({} asked)", services(n_asked)));
        }
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
    Ok(exit)
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
