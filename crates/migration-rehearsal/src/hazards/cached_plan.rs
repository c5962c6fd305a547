//! `cached-plan`: a column that is read as another type afterwards, under the same name.

use std::collections::HashMap;

use super::{Case, Hit, Rule};
use crate::facts::{Column, Shape};

pub(super) const RULE: Rule = Rule {
    id: "cached-plan",
    why: "statements that clients have prepared fail: `cached plan must not change result type`",
    instead: "add a column of the new type under another name, carry values over, and drop the old one in a contract step",
    find: Some(find),
};

/// By name, not by number: a prepared statement finds its tables and columns by their names again.
fn find(case: &Case<'_>) -> Vec<Hit> {
    let before: HashMap<(&str, &str), &Column> = named(&case.facts.before).collect();
    let is_other = |((table, name), now): ((&str, &str), &Column)| {
        let was = before.get(&(table, name))?;
        (was.read_as != now.read_as).then(|| format!("{table}.{name}"))
    };
    let mut objects: Vec<String> = named(&case.facts.after).filter_map(is_other).collect();
    objects.sort();
    objects.into_iter().map(Hit::on).collect()
}

fn named(shape: &Shape) -> impl Iterator<Item = ((&str, &str), &Column)> {
    shape.columns.iter().filter_map(|((table, _), column)| {
        Some(((shape.tables.get(table)?.as_str(), column.name.as_str()), column))
    })
}
