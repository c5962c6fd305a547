//! What the kit tells while it works, as `tracing` events and spans: target `migration`, `kind` names the event, fields are typed.
//!
//! One function per event, so that the names of the fields are in one place. Nothing here prints: the command line's
//! layer draws from these events, and an application that embeds its service finds them in its own logs.

use std::time::Duration;

use tracing::Span;
use tracing::field::Empty;

/// Whose work an event reports: the service and its migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Name of the service.
    pub service: String,
    /// Name of the migration.
    pub migration: String,
}

/// What a migration waits for while it cannot have a table lock.
#[derive(Debug, Clone)]
pub(crate) struct Wait<'a> {
    pub(crate) relation: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) attempt: u32,
    pub(crate) waited: Duration,
    pub(crate) blocker_pid: i32,
    pub(crate) blocker_application: &'a str,
    pub(crate) blocker_age: Duration,
}

/// A table lock could not be acquired yet; reported first after a moment, then every second.
pub(crate) fn table_lock_waiting(origin: &Origin, wait: &Wait<'_>) {
    tracing::info!(
        target: "migration",
        kind = "table_lock_waiting",
        service = origin.service,
        migration = origin.migration,
        relation = wait.relation,
        mode = wait.mode,
        attempt = wait.attempt,
        waited_ms = milliseconds(wait.waited),
        blocker_pid = wait.blocker_pid,
        blocker_application = wait.blocker_application,
        blocker_age_ms = milliseconds(wait.blocker_age),
    );
}

/// A concurrent index build begins.
pub(crate) fn index_building(origin: &Origin, index: &str) {
    tracing::info!(
        target: "migration",
        kind = "index_building",
        service = origin.service,
        migration = origin.migration,
        index,
    );
}

/// How far a long step has come; `total` and `rows_per_s` are 0 where they are not known.
pub(crate) fn progress(
    origin: &Origin,
    what: &str,
    done: u64,
    total: u64,
    rows_per_s: u64,
    eta: Option<Duration>,
) {
    tracing::info!(
        target: "migration",
        kind = "progress",
        service = origin.service,
        migration = origin.migration,
        what,
        done,
        total,
        rows_per_s,
        eta_ms = eta.map(milliseconds),
    );
}

/// One batch of a backfill, from the search for its rows to its commit, as a span; only for those who ask for details.
pub(crate) fn batch(origin: &Origin, table: &str) -> Span {
    tracing::debug_span!(
        target: "migration",
        "batch",
        service = origin.service,
        migration = origin.migration,
        table,
        n_rows = Empty,
    )
}

/// Entries of a migration that have one reason.
#[derive(Clone, Copy)]
pub(crate) struct Rejected<'a> {
    /// The field; empty if they are about whole rows.
    pub(crate) field: &'a str,
    pub(crate) reason: &'a str,
    /// Whether nothing was lost.
    pub(crate) harmless: bool,
    /// How many there are by now.
    pub(crate) n_rejects: u64,
}

/// Rows of a table were kept as rejects with this reason instead of failing the migration.
pub(crate) fn rejected(origin: &Origin, table: &str, rejected: Rejected<'_>) {
    let Rejected { field, reason, harmless, n_rejects } = rejected;
    tracing::warn!(
        target: "migration",
        kind = "rejected",
        service = origin.service,
        migration = origin.migration,
        table,
        field,
        reason,
        harmless,
        n_rejects,
    );
}

/// Something the reader should know and need not act on.
pub(crate) fn notice(origin: &Origin, message: &str) {
    tracing::info!(
        target: "migration",
        kind = "notice",
        service = origin.service,
        migration = origin.migration,
        message,
    );
}

/// A warning, of what needs attention.
pub(crate) fn warning(origin: &Origin, message: &str) {
    tracing::warn!(
        target: "migration",
        kind = "notice",
        service = origin.service,
        migration = origin.migration,
        message,
    );
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
