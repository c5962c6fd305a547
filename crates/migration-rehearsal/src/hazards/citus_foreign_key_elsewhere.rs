//! `citus-foreign-key-elsewhere`: a foreign key to a table of another schema.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "citus-foreign-key-elsewhere",
    why: "Citus refuses it, and does not put a schema with one on a node, unless the other table is a reference table",
    instead: "keep the key without the constraint, or make the other table one that Citus has on each node: `create_reference_table`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    case.facts.after.elsewhere.difference(&case.facts.before.elsewhere).map(Hit::on).collect()
}
