//! What the coordinator tells while it works, as `tracing` events: target `migration`, `kind` names the event, fields
//! are typed.
//!
//! One function per event, so that the names of the fields are in one place. Nothing here prints.

use std::time::Duration;

use migration_kit::ServiceName;
use migration_plan::Step;
use sea_orm::sqlx;

use crate::database::DatabaseUrl;
use crate::holder::Holder;

/// A run begins that has something to do.
pub(crate) fn run_started(run: &str, n_steps: usize, n_services: usize) {
    tracing::info!(target: "migration", kind = "run_started", run, n_steps, n_services);
}

/// A run is over.
pub(crate) fn run_finished(run: &str, n_done: usize, elapsed: Duration, outcome: &str) {
    tracing::info!(target: "migration", kind = "run_finished", run, n_done, elapsed_ms = milliseconds(elapsed), outcome);
}

/// Another run holds the migration lock; reported at once and then every few seconds.
pub(crate) fn lock_waiting(service: &ServiceName, holder: Option<&Holder>, waited: Duration) {
    tracing::info!(
        target: "migration",
        kind = "lock_waiting",
        service = service.as_str(),
        holder_pid = holder.map(|h| h.pid),
        holder_application = holder.map(|h| h.application.as_str()),
        holder_host = holder.map(|h| h.host.as_str()),
        holder_since = holder.map(|h| h.since),
        waited_ms = milliseconds(waited),
    );
}

/// An extension that a service needs was not there and has been made.
pub(crate) fn extension_created(service: &ServiceName, extension: &str, database: &str) {
    tracing::info!(target: "migration", kind = "extension_created", service = service.as_str(), extension, database);
}

/// The server is there and takes no connection yet; reported repeatedly.
pub(crate) fn connecting_waiting(url: &DatabaseUrl, answer: &sqlx::Error, waited: Duration) {
    tracing::info!(
        target: "migration",
        kind = "connecting_waiting",
        database = url.to_string(),
        answer = answer.as_database_error().map(sqlx::error::DatabaseError::message),
        waited_ms = milliseconds(waited),
    );
}

/// The migration lock was taken after a wait.
pub(crate) fn lock_acquired(service: &ServiceName, waited: Duration) {
    tracing::info!(
        target: "migration",
        kind = "lock_acquired",
        service = service.as_str(),
        waited_ms = milliseconds(waited),
    );
}

/// A migration begins.
pub(crate) fn migration_started(step: &Step) {
    tracing::info!(
        target: "migration",
        kind = "migration_started",
        service = step.id.service.as_str(),
        migration = step.id.name.as_str(),
        direction = step.direction.as_str(),
        transactional = step.transactional,
    );
}

/// A migration is done; `already` if another tool did it meanwhile.
pub(crate) fn migration_finished(step: &Step, elapsed: Duration, already: bool) {
    tracing::info!(
        target: "migration",
        kind = "migration_finished",
        service = step.id.service.as_str(),
        migration = step.id.name.as_str(),
        direction = step.direction.as_str(),
        elapsed_ms = milliseconds(elapsed),
        already,
    );
}

/// A migration failed or was interrupted.
pub(crate) fn migration_failed(step: &Step, elapsed: Duration, outcome: &str, message: &str) {
    tracing::error!(
        target: "migration",
        kind = "migration_failed",
        service = step.id.service.as_str(),
        migration = step.id.name.as_str(),
        direction = step.direction.as_str(),
        elapsed_ms = milliseconds(elapsed),
        outcome,
        message,
    );
}

/// Who a statement waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Blocker {
    pub(crate) pid: i32,
    pub(crate) application: String,
    pub(crate) age_ms: i64,
}

/// A statement of a migration outside a transaction waits for another session; reported at once and then every few
/// seconds.
pub(crate) fn statement_waiting(step: &Step, blocker: &Blocker, waited: Duration) {
    tracing::info!(
        target: "migration",
        kind = "statement_waiting",
        service = step.id.service.as_str(),
        migration = step.id.name.as_str(),
        blocker_pid = blocker.pid,
        blocker_application = blocker.application,
        blocker_age_ms = blocker.age_ms,
        waited_ms = milliseconds(waited),
    );
}

/// Reading waits for a table lock; reported after a second, then every few.
pub(crate) fn reading_waiting(database: &DatabaseUrl, blocker: &Blocker, waited: Duration) {
    tracing::info!(
        target: "migration",
        kind = "reading_waiting",
        database = %database,
        blocker_pid = blocker.pid,
        blocker_application = blocker.application,
        blocker_age_ms = blocker.age_ms,
        waited_ms = milliseconds(waited),
    );
}

/// What a check reports for the reader.
pub(crate) fn check_reported(service: &ServiceName, migration: &str, says: &str, figure: &str) {
    tracing::info!(
        target: "migration",
        kind = "check_reported",
        service = service.as_str(),
        migration,
        says,
        figure,
    );
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
