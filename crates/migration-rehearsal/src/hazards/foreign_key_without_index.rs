//! `foreign-key-without-index`: a foreign key without an index on its columns.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "foreign-key-without-index",
    why: "each delete or key update of a referenced row reads the whole referring table",
    instead: "create an index on its columns: `Online::create_index`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    case.facts.after.unindexed.difference(&case.facts.before.unindexed).map(Hit::on).collect()
}
