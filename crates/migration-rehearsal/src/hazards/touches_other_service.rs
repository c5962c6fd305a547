//! `touches-other-service`: a table of another service that is altered, or whose rows are changed.

use migration_coordinator::StepError;
use migration_kit::MigrationId;

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "touches-other-service",
    why: "its owner does not know of it, and may be releasing or reverting at the same moment",
    instead: "have the other service do it in a migration of its own, and require that one: `Details::requires`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let mut hits: Vec<Hit> = Vec::new();
    for statement in &case.facts.statements {
        for table in statement.others.iter().filter(|table| !case.touches.contains(table)) {
            if !hits.iter().any(|hit| hit.object == *table) {
                hits.push(Hit::by(table, &statement.sql));
            }
        }
    }
    hits
}

/// What the coordinator refused a migration for: it asks whose each object is before it commits.
pub(super) fn refused(error: &StepError) -> Option<(&MigrationId, Vec<Hit>)> {
    let StepError::Isolation { id, violations, .. } = error else { return None };
    Some((id, violations.iter().map(|violation| Hit::on(violation.to_string())).collect()))
}
