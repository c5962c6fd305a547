//! What the coordinator does, as `tracing` spans around its events: target `migration`, a run, in it each service, in it each
//! migration. The kit's batches are spans within that of their migration.
//!
//! One function per span, so that the names of the fields are in one place.

use migration_kit::ServiceName;
use migration_plan::Step;
use tracing::Span;
use tracing::field::Empty;

use crate::bookkeeping::Outcome;

/// The field by which exporters to OpenTelemetry know that a span failed.
const STATUS: &str = "otel.status_code";

/// A run that has something to do.
pub(crate) fn run(run: &str, n_steps: usize, n_services: usize) -> Span {
    tracing::info_span!(target: "migration", "run", run, n_steps, n_services, outcome = Empty, { STATUS } = Empty)
}

/// A service in a run, from when its lock was taken to when it is released.
pub(crate) fn service(service: &ServiceName) -> Span {
    tracing::info_span!(target: "migration", "service", service = service.as_str())
}

/// A migration, in the span of its service.
pub(crate) fn migration(parent: &Span, step: &Step) -> Span {
    tracing::info_span!(
        target: "migration",
        parent: parent,
        "migration",
        service = step.id.service.as_str(),
        migration = step.id.name.as_str(),
        direction = step.direction.as_str(),
        outcome = Empty,
        { STATUS } = Empty,
    )
}

/// How what a span is around ended.
pub(crate) fn ended(span: &Span, outcome: Outcome) {
    span.record("outcome", outcome.as_str());
    if outcome != Outcome::Succeeded {
        span.record(STATUS, "ERROR");
    }
}
