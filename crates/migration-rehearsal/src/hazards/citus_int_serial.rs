//! `citus-int-serial`: an `integer` or a `smallint` that draws from a sequence.

use super::{Case, Hit, Rule};
use crate::facts::Column;

pub(super) const RULE: Rule = Rule {
    id: "citus-int-serial",
    why: "each node draws from a range of its own, which only a `bigint` has room for: an insert that comes through a worker fails",
    instead: "make it `bigint`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let (before, after) = (&case.facts.before, &case.facts.after);
    let is_narrow = |column: &Column| {
        column.sequence.is_some() && ["integer", "smallint"].contains(&column.type_name.as_str())
    };
    let new = after
        .columns
        .iter()
        .filter(|(place, column)| is_narrow(column) && !before.columns.get(place).is_some_and(is_narrow));
    let named = new.filter_map(|((table, _), column)| Some((after.tables.get(table)?, column)));
    named.map(|(table, column)| Hit::on(format!("{table}.{}", column.name))).collect()
}
