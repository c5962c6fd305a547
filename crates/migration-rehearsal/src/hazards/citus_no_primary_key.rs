//! `citus-no-primary-key`: a table whose rows logical replication cannot find again.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "citus-no-primary-key",
    why: "Citus refuses to move its schema to another node while the table is written to",
    instead: "give it a primary key, or `REPLICA IDENTITY FULL`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let (before, after) = (&case.facts.before, &case.facts.after);
    let new = after.unkeyed.difference(&before.unkeyed);
    new.filter_map(|table| after.tables.get(table)).map(Hit::on).collect()
}
