//! `scan-under-lock`: an existing table that is read from beginning to end under a lock that keeps writers out.

use migration_kit::LockMode;

use super::{Case, Hit, Rule};
use crate::facts::StatementFacts;

pub(super) const RULE: Rule = Rule {
    id: "scan-under-lock",
    why: "writes to the table, or reads too, wait for as long as all of it is read",
    instead: "add the constraint NOT VALID and validate it afterwards: `Online::add_check`, `add_foreign_key`, `set_not_null`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let of = |statement: &StatementFacts| {
        let blocks = |table: &String| {
            statement
                .locks
                .iter()
                .any(|(locked, mode)| locked == table && *mode >= LockMode::ShareRowExclusive)
        };
        let is_other = |table: &String| {
            // A rewrite, a drop and a build have rules of their own.
            !statement.rewritten.contains(table) && !statement.indexed.contains(table)
        };
        let scanned = statement.scanned.iter().filter(|table| blocks(table) && is_other(table));
        scanned.map(|table| Hit::by(table, &statement.sql)).collect::<Vec<_>>()
    };
    case.facts.statements.iter().flat_map(of).collect()
}
