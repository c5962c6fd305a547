//! `data-change-with-ddl`: rows of an existing table that are changed in the transaction that holds an existing table for itself.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "data-change-with-ddl",
    why: "nobody reads or writes the altered table until the last row is changed",
    instead: "change rows in batches of their own, in a migration of steps: `Online::backfill`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    case.facts.changed_meanwhile.iter().map(Hit::on).collect()
}
