//! `timestamp-without-zone`: a column of type `timestamp` without a time zone.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "timestamp-without-zone",
    why: "what moment it means depends on the session that wrote it",
    instead: "make it `timestamptz`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let new = case.facts.after.columns_beyond(&case.facts.before);
    let zoneless = new.filter(|(_, column)| column.type_name == "timestamp without time zone");
    zoneless.map(|(table, column)| Hit::on(format!("{table}.{}", column.name))).collect()
}
