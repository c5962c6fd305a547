//! `index-blocks-writes`: an index that is built on an existing table while nobody can write to it.

use super::{Case, Hit, Rule};
use crate::facts::StatementFacts;

pub(super) const RULE: Rule = Rule {
    id: "index-blocks-writes",
    why: "writes to the table wait until the index is built",
    instead: "build it concurrently, in a migration of steps: `Online::create_index`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let of = |statement: &StatementFacts| {
        statement.indexed.iter().map(|table| Hit::by(table, &statement.sql)).collect::<Vec<_>>()
    };
    case.facts.statements.iter().flat_map(of).collect()
}
