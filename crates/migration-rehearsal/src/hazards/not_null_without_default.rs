//! `not-null-without-default`: a new column of an existing table that every row has to give.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "not-null-without-default",
    why: "code that still runs does not know the column, and its inserts fail",
    instead: "give it a default, or add it without NOT NULL: `Online::add_column`, then `set_not_null` in a contract step",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let new = case.facts.after.columns_beyond(&case.facts.before);
    let is_old_table = |table: &str| case.facts.before.tables.values().any(|known| known == table);
    let required = new.filter(|(table, column)| column.required && is_old_table(table));
    required.map(|(table, column)| Hit::on(format!("{table}.{}", column.name))).collect()
}
