//! `locks-several-tables`: several existing tables that one transaction holds for itself.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "locks-several-tables",
    why: "all of them are closed to everybody until the last one is done, and a reader of two of them may deadlock",
    instead: "change one table per transaction: a migration of steps, or one migration per table",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let held = &case.facts.held_together;
    if held.len() < 2 {
        return Vec::new();
    }
    vec![Hit::on(held.iter().map(String::as_str).collect::<Vec<_>>().join(", "))]
}
