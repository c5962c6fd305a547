//! `drop-in-expand`: something that is dropped while old code may still read it.

use migration_plan::Phase;

use super::{Case, Hit, Rule};
use crate::facts::StatementFacts;

pub(super) const RULE: Rule = Rule {
    id: "drop-in-expand",
    why: "code that still runs reads it, and fails",
    instead: "drop it in a contract step, once nobody runs old code: `Details::contract`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    if matches!(case.phase, Phase::Contract { .. }) {
        return Vec::new();
    }
    let of = |statement: &StatementFacts| {
        statement.dropped.iter().map(|object| Hit::by(object, &statement.sql)).collect::<Vec<_>>()
    };
    case.facts.statements.iter().flat_map(of).collect()
}
