//! Which statement of a migration failed. The driver's error does not say, so the driver's own record of statements is
//! listened to while a migration runs; an application's subscriber hears everything that it hears otherwise.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use migration_kit::{BOOKKEEPING, driver_error};
use sea_orm::DbErr;
use sea_orm::sqlx::postgres::{PgDatabaseError, PgErrorPosition};
use tracing::field::{Field, Visit};
use tracing::instrument::WithSubscriber;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber, dispatcher};

use super::excerpt::excerpt;

/// Target of the events by which sqlx reports each statement when it has ended.
const TARGET: &str = "sqlx::query";

/// Why a migration stopped.
pub(super) struct Stopped {
    pub(super) source: DbErr,
    /// An excerpt of the statement that the server refused, if it was one.
    pub(super) statement: Option<String>,
    /// Whether nothing was sent but what the kit asks for itself: of the migration nothing was done.
    pub(super) only_asked: bool,
}

/// What was sent, as far as it is known.
#[derive(Default)]
struct Sent {
    last: Option<String>,
    n_statements: usize,
    n_of_migration: usize,
}

/// Runs a migration to its end. If the server refused one of its statements, gives an excerpt of that.
pub(super) async fn recorded<T>(work: impl Future<Output = Result<T, DbErr>>) -> Result<T, Stopped> {
    let sent = Arc::new(Mutex::new(Sent::default()));
    let outer = dispatcher::get_default(Clone::clone);
    let result = work.with_subscriber(Recorder { outer, sent: Arc::clone(&sent) }).await;
    result.map_err(|source| {
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        let statement = failed(&source, sent.last.as_deref());
        // If none was reported, the driver does not report any.
        let only_asked = sent.n_statements > 0 && sent.n_of_migration == 0;
        Stopped { source, statement, only_asked }
    })
}

/// An excerpt of the statement that an error is about.
fn failed(error: &DbErr, last: Option<&str>) -> Option<String> {
    let server = driver_error(error)?.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    match server.position() {
        Some(PgErrorPosition::Internal { position, query }) => Some(excerpt(query, Some(position))),
        Some(PgErrorPosition::Original(position)) => last.map(|sql| excerpt(sql, Some(position))),
        None => last.map(|sql| excerpt(sql, None)),
    }
}

/// Remembers each statement, and passes everything else on.
struct Recorder {
    outer: Dispatch,
    sent: Arc<Mutex<Sent>>,
}

impl Recorder {
    fn remember(&self, event: &Event<'_>) {
        let mut statement = Statement::default();
        event.record(&mut statement);
        let sql = if statement.whole.is_empty() { statement.summary } else { statement.whole };
        let sql = sql.trim();
        let is_ours = sql.starts_with(BOOKKEEPING.trim_end());
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.n_statements += 1;
        sent.n_of_migration += usize::from(!is_ours && !["BEGIN", "COMMIT", "ROLLBACK"].contains(&sql));
        // These come after a failure too, and hardly fail themselves.
        if sql.starts_with("ROLLBACK") || (is_ours && sql.contains("set_config(")) {
            return;
        }
        // What the kit asks for itself is not the migration's statement.
        sent.last = (!is_ours).then(|| sql.to_owned());
    }
}

impl Subscriber for Recorder {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TARGET { Interest::always() } else { self.outer.register_callsite(metadata) }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == TARGET || self.outer.enabled(metadata)
    }

    fn event(&self, event: &Event<'_>) {
        if event.metadata().target() != TARGET {
            return self.outer.event(event);
        }
        self.remember(event);
        if self.outer.enabled(event.metadata()) {
            self.outer.event(event);
        }
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.outer.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.outer.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.outer.record_follows_from(span, follows);
    }

    fn enter(&self, span: &Id) {
        self.outer.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.outer.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.outer.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.outer.try_close(id)
    }
}

/// The fields of sqlx's event that hold the statement: a short one is its own summary.
#[derive(Default)]
struct Statement {
    summary: String,
    whole: String,
}

impl Visit for Statement {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => value.clone_into(&mut self.summary),
            "db.statement" => value.clone_into(&mut self.whole),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}
