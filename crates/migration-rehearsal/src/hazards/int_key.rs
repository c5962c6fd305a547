//! `int-key`: a primary key that is an `integer` or a `smallint`.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "int-key",
    why: "it runs out after two thousand million rows, deleted ones included, and widening it rewrites the table",
    instead: "make it `bigint`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let new = case.facts.after.columns_beyond(&case.facts.before);
    let narrow =
        new.filter(|(_, column)| column.key && ["integer", "smallint"].contains(&column.type_name.as_str()));
    narrow.map(|(table, column)| Hit::on(format!("{table}.{}", column.name))).collect()
}
