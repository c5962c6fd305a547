//! `rename`: a table or a column that has another name afterwards.

use super::{Case, Hit, Rule};
use crate::facts::Facts;

pub(super) const RULE: Rule = Rule {
    id: "rename",
    why: "code that still runs uses the old name, and fails",
    instead: "add the new one, carry values over, and drop the old one in a contract step",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let Facts { before, after, .. } = case.facts;
    let tables =
        before.tables.iter().filter(|(table, name)| after.tables.get(table).is_some_and(|now| now != *name));
    let columns = before
        .columns
        .iter()
        .filter(|(place, column)| after.columns.get(place).is_some_and(|now| now.name != column.name));
    let columns = columns
        .filter_map(|((table, _), column)| Some(format!("{}.{}", before.tables.get(table)?, column.name)));
    tables.map(|(_, name)| name.clone()).chain(columns).map(Hit::on).collect()
}
