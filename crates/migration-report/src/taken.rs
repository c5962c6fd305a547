//! What is in the schema of a service with nothing applied, in words: it is of others, or the service's own and its history is gone.

use migration_coordinator::{Deployment, ServiceFacts};
use migration_plan::few_words;

/// How many tables are named.
const SHOWN: usize = 5;

/// What is there under names that the service would make: a run is refused.
#[must_use]
pub fn taken(deployment: &Deployment, facts: &ServiceFacts) -> Option<String> {
    let taken = &facts.collisions;
    let says = if deployment.shares_schema(&facts.service) {
        "nothing is applied, and names that it makes are taken"
    } else {
        "its tables are there without a history"
    };
    (!taken.objects.is_empty()).then(|| format!("{says}: {taken}"))
}

/// What is there in a schema of its own and would be taken over: a run is refused by the migration that finds it to be otherwise.
#[must_use]
pub fn unrecorded(deployment: &Deployment, facts: &ServiceFacts) -> Option<String> {
    let tables = &facts.collisions.adoptable;
    let is_own = !tables.is_empty() && !deployment.shares_schema(&facts.service);
    is_own.then(|| few_words(tables.iter().map(|table| format!("`{}`", table.name)), SHOWN))
}
