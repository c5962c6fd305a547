//! `trigger-needs-rights`: a trigger whose function uses what the writer of its table may have no rights on.

use super::{Hit, Rule};
use crate::rows::Denied;

pub(super) const RULE: Rule = Rule {
    id: "trigger-needs-rights",
    why: "the application writes to the table, and fails if it has no rights on what the trigger uses",
    instead: "make the function `SECURITY DEFINER` with `SET search_path = pg_catalog, pg_temp`, as `Online` does for its triggers",
    find: None,
};

/// What was seen when rows were written.
pub(super) fn tried(denied: &Denied) -> Hit {
    Hit::on(format!("{}: {}", denied.table, denied.says))
}
