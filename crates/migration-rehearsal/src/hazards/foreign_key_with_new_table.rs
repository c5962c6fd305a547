//! `foreign-key-with-new-table`: an existing table that stays locked because a new table of the same transaction refers to it.

use migration_kit::LockMode;

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "foreign-key-with-new-table",
    why: "writes to the table that it refers to wait until the transaction ends",
    instead: "create the table without it, and add it in a migration of steps: `Online::add_foreign_key`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let facts = case.facts;
    let is_old = |table: &String| facts.before.tables.values().any(|known| known == table);
    let is_held =
        |table: &String| facts.held_at_end.iter().any(|(held, mode)| held == table && blocks_writes(*mode));
    let mut hits: Vec<Hit> = Vec::new();
    for (new, referenced) in facts.after.references.iter().filter(|(new, _)| !is_old(new)) {
        let object = format!("{referenced}, from {new}");
        if is_old(referenced) && is_held(referenced) {
            let locks = facts.statements.iter().find(|statement| {
                statement.locks.iter().any(|(table, mode)| table == referenced && blocks_writes(*mode))
            });
            hits.push(Hit { object, statement: locks.map(|statement| statement.sql.clone()) });
        }
    }
    hits
}

fn blocks_writes(mode: LockMode) -> bool {
    mode >= LockMode::ShareRowExclusive
}
