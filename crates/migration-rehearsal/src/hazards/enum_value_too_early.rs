//! `enum-value-too-early`: a value of an enumeration that is used in the transaction that added it.

use migration_coordinator::StepError;
use migration_kit::{MigrationId, driver_error};

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "enum-value-too-early",
    why: "PostgreSQL refuses a new value of an enumeration until the transaction that added it is committed",
    instead: "add the value in a migration of its own, and use it in the next one, or use steps",
    find: Some(find),
};

/// `unsafe_new_enum_value_usage`, in the list of PostgreSQL's error codes.
pub(super) const CODE: &str = "55P04";

/// What was applied has not used one: the server refuses that.
fn find(_: &Case<'_>) -> Vec<Hit> {
    Vec::new()
}

/// What the server refused a migration for.
pub(super) fn refused(error: &StepError) -> Option<(&MigrationId, Vec<Hit>)> {
    let (StepError::RolledBack { id, source, .. } | StepError::Partial { id, source, .. }) = error else {
        return None;
    };
    let says = driver_error(source)?.as_database_error()?;
    let hit = Hit { object: value(says.message()), statement: error.statement().map(str::to_owned) };
    (says.code().as_deref() == Some(CODE)).then(|| (id, vec![hit]))
}

/// The value, from what the server says: `unsafe use of new value "c" of enum type mood`.
pub(super) fn value(says: &str) -> String {
    says.split_once("new value ").map_or(says, |(_, value)| value).to_owned()
}
