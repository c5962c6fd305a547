//! `security-definer-search-path`: a function with its owner's rights and its caller's `search_path`.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "security-definer-search-path",
    why: "whoever calls it can put an object of his own in place of one that it uses, and have it run with the owner's rights",
    instead: "add `SET search_path = pg_catalog, pg_temp` to it, and qualify names",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    case.facts.after.unfixed.difference(&case.facts.before.unfixed).map(Hit::on).collect()
}
