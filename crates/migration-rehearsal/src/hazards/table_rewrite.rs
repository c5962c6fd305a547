//! `table-rewrite`: an existing table that is written anew.

use super::{Case, Hit, Rule};
use crate::facts::StatementFacts;

pub(super) const RULE: Rule = Rule {
    id: "table-rewrite",
    why: "nobody reads or writes the table until all of it and all its indexes are written again",
    instead: "add a column of the new type, carry values over in batches, and drop the old one in a contract step",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let of = |statement: &StatementFacts| {
        statement.rewritten.iter().map(|table| Hit::by(table, &statement.sql)).collect::<Vec<_>>()
    };
    case.facts.statements.iter().flat_map(of).collect()
}
