//! `citus-added-sequence`: a serial or identity column that an existing table gets.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "citus-added-sequence",
    why: "Citus refuses a serial or identity column that is added to a table on a node",
    instead: "add the column without a default, make a sequence, and set the default with `nextval` in a statement of its own",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let (before, after) = (&case.facts.before, &case.facts.after);
    let added = after.columns.iter().filter(|(place, column)| {
        let is_new = !before.columns.contains_key(place) && before.tables.contains_key(&place.0);
        is_new && (column.serial || column.identity)
    });
    let named = added.filter_map(|((table, _), column)| Some((after.tables.get(table)?, column)));
    named.map(|(table, column)| Hit::on(format!("{table}.{}", column.name))).collect()
}
