//! `citus-index-if-not-exists`: `CREATE INDEX CONCURRENTLY IF NOT EXISTS`.

use super::{Case, Hit, Rule};
use crate::statement::unquoted;

pub(super) const RULE: Rule = Rule {
    id: "citus-index-if-not-exists",
    why: "where the index is there already, Citus marks it invalid and reports success",
    instead: "look whether it is there first, and build it without `IF NOT EXISTS`: `Online::create_index`",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let mut hits = Vec::new();
    for statement in case.messages().flatten() {
        let words = statement.words();
        let rest =
            words.strip_prefix(&["CREATE", "UNIQUE", "INDEX"]).or(words.strip_prefix(&["CREATE", "INDEX"]));
        if let Some(["CONCURRENTLY", "IF", "NOT", "EXISTS", index, ..]) = rest {
            hits.push(Hit::by(unquoted(index), &statement.text));
        }
    }
    hits
}
