//! Hazards: what a migration does to applications that run while it does, and what it leaves that costs later. Judged from what
//! a server saw, not from the text. One rule is one file; its page is in `docs/rules`.
//!
//! A migration accepts a rule with a reason in its `details()`; there is no way to switch a rule off for all.

mod data_change_with_ddl;
mod drop_in_expand;
mod foreign_key_without_index;
mod index_blocks_writes;
mod int_key;
mod locks_several_tables;
mod not_null_without_default;
mod rename;
mod scan_under_lock;
mod security_definer_search_path;
mod serial;
mod table_rewrite;
mod timestamp_without_zone;

use migration_kit::MigrationName;
use migration_plan::{Direction, Phase};

use crate::Traced;
use crate::facts::Facts;

/// A hazard that a rule found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hazard {
    /// The migration.
    pub migration: MigrationName,
    /// The rule.
    pub rule: &'static str,
    /// The table, column or other object.
    pub object: String,
    /// What it does to others.
    pub why: &'static str,
    /// What does the same safely.
    pub instead: &'static str,
    /// The statement, if it is one's doing.
    pub statement: Option<String>,
}

/// What looks for one hazard.
struct Rule {
    /// Its name, by which a migration accepts it.
    id: &'static str,
    why: &'static str,
    instead: &'static str,
    find: fn(&Case<'_>) -> Vec<Hit>,
}

/// A migration to be judged.
struct Case<'c> {
    facts: &'c Facts,
    phase: Phase,
}

/// Where a rule is broken.
struct Hit {
    object: String,
    statement: Option<String>,
}

impl Hit {
    fn on(object: impl Into<String>) -> Self {
        Self { object: object.into(), statement: None }
    }

    fn by(object: impl Into<String>, statement: &str) -> Self {
        Self { object: object.into(), statement: Some(statement.to_owned()) }
    }
}

/// All rules.
const RULES: [&Rule; 13] = [
    &data_change_with_ddl::RULE,
    &drop_in_expand::RULE,
    &foreign_key_without_index::RULE,
    &index_blocks_writes::RULE,
    &int_key::RULE,
    &locks_several_tables::RULE,
    &not_null_without_default::RULE,
    &rename::RULE,
    &scan_under_lock::RULE,
    &security_definer_search_path::RULE,
    &serial::RULE,
    &table_rewrite::RULE,
    &timestamp_without_zone::RULE,
];

/// What the rules find in a migration as it was applied, and what is wrong with what it accepts, one sentence each.
pub(crate) fn judge(
    traced: &Traced,
    phase: Phase,
    accepted: &[(String, String)],
) -> (Vec<Hazard>, Vec<String>) {
    debug_assert_eq!(traced.direction, Direction::Apply, "what takes back is not judged");
    let case = Case { facts: &traced.facts, phase };
    let (mut hazards, mut faults) = (Vec::new(), Vec::new());
    for rule in RULES {
        let hits = (rule.find)(&case);
        if accepted.iter().any(|(id, _)| id == rule.id) {
            if hits.is_empty() {
                faults.push(format!("it accepts `{}`, and does nothing of the kind", rule.id));
            }
            continue;
        }
        hazards.extend(hits.into_iter().map(|hit| Hazard {
            migration: traced.migration.clone(),
            rule: rule.id,
            object: hit.object,
            why: rule.why,
            instead: rule.instead,
            statement: hit.statement,
        }));
    }
    let unknown = accepted.iter().filter(|(id, _)| !RULES.iter().any(|rule| rule.id == id));
    faults.extend(unknown.map(|(id, _)| format!("it accepts `{id}`, which is no rule")));
    (hazards, faults)
}
