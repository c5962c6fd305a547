//! `locks`: which sessions hold the migration locks. Reads only.

use migration_coordinator::{Holder, Survey};
use migration_report::{LockReport, Locks, timestamp};

use super::{connect, services};
use crate::context::Context;
use crate::output::{Answer, Table, Text};
use crate::words::OurWords;

pub(super) async fn locks(context: &Context) -> anyhow::Result<Answer> {
    let connected = connect(context)?;
    let found = Locks::of(Survey::take(&connected.deployment).await, &OurWords);
    let mut text = Text::of_errors(&found.errors);
    let Locks { locks, n_asked } = &found.body;
    if !locks.is_empty() {
        text.table(table(locks));
    } else if *n_asked > 0 {
        text.line(format!("no migration lock is held ({} asked)", services(*n_asked)));
    }
    Ok(Answer::of("locks", found, text)?)
}

fn table(locks: &[LockReport]) -> Table {
    let mut table = Table::new(&["SERVICE", "PID", "APPLICATION", "HOST", "SINCE"]).right(&["PID"]);
    for LockReport { service, holder } in locks {
        table.row([
            service.clone(),
            holder.pid.to_string(),
            holder.application.clone(),
            holder.host.clone(),
            timestamp(holder.since),
        ]);
    }
    table
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
