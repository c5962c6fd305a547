//! What an error says of a lock: that another session was met, and a new attempt may succeed, or that patience is over.

use sea_orm::DbErr;

use crate::session::{self, DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlstate};

/// Whether an error is that of a step that gave up: patience is over, and the lock is still blocked.
#[must_use]
pub fn is_given_up(error: &DbErr) -> bool {
    // A migration's errors are those of plain sea-orm, which carry text.
    let DbErr::Migration(text) = error else { return is_retryable(error) };
    text.starts_with("no ") && text.contains(" lock on `") && text.contains("` within ")
}

/// What a lock that is not free on another node becomes: Citus says there only that the node refused something.
const BUSY_ELSEWHERE: &str = "another session blocks the lock on another node";

/// The error of a statement that takes a lock. Where Citus says only that another node refused it, that is a busy lock, and
/// [`is_retryable`].
#[must_use]
pub fn of_lock_statement(error: DbErr) -> DbErr {
    if session::is_of_other_node(&error) {
        DbErr::Custom(format!("{BUSY_ELSEWHERE}: {}", session::server_message(&error)))
    } else {
        error
    }
}

/// Whether an error means that a lock could not be acquired this time: nothing was done, and a new attempt may succeed.
#[must_use]
pub fn is_retryable(error: &DbErr) -> bool {
    if let DbErr::Custom(text) = error {
        return text.starts_with(BUSY_ELSEWHERE);
    }
    session::is_moving(error)
        || sqlstate(error).is_some_and(|state| state == LOCK_NOT_AVAILABLE || state == DEADLOCK_DETECTED)
}
