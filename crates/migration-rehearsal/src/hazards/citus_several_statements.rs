//! `citus-several-statements`: several statements in one message, one of which Citus sends on to the node.

use super::{Case, Hit, Rule};
use crate::statement::Statement;

pub(super) const RULE: Rule = Rule {
    id: "citus-several-statements",
    why: "Citus sends the whole message on to the node, which refuses more than one command",
    instead: "send each statement by itself; those of SQL files are",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let several = case.messages().filter(|statements| statements.len() > 1);
    let of = |statements: Vec<Statement>| {
        let sent_on = statements.into_iter().find(is_sent_on)?;
        let kind = sent_on.words().into_iter().take(2).collect::<Vec<_>>().join(" ");
        Some(Hit::by(format!("{kind} beside other statements"), &sent_on.text))
    };
    several.filter_map(of).collect()
}

/// Whether Citus sends the statement to the node as it was written. What it writes anew for the node is no matter.
fn is_sent_on(statement: &Statement) -> bool {
    let Some((_, actions)) = statement.alters_table() else {
        return matches!(
            statement.words()[..],
            ["CREATE" | "ALTER" | "DROP", "INDEX", ..]
                | ["CREATE" | "DROP", "TRIGGER", ..]
                | ["CREATE", "UNIQUE", "INDEX", ..]
                | ["CREATE", "CONSTRAINT", "TRIGGER", ..]
                | ["CREATE", "OR", "REPLACE", "TRIGGER", ..]
                | ["DROP", "POLICY", ..]
                | ["REINDEX", ..]
        );
    };
    let [action] = &actions[..] else { return true };
    match action[..] {
        ["DROP", "CONSTRAINT", ..]
        | ["SET", "SCHEMA", ..]
        | ["ADD", "CHECK" | "PRIMARY" | "UNIQUE" | "FOREIGN", ..]
        // The node has no such default: it is given its values.
        | ["ALTER", .., "SET", "DEFAULT", "NEXTVAL", "("] => false,
        ["ADD", first, ..] => first == "CONSTRAINT" || action.contains(&"CHECK"),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::statements;

    #[test]
    fn what_citus_writes_anew_may_be_beside_others() {
        for (sql, expected) in [
            ("CREATE TABLE t (a int)", false),
            ("CREATE UNIQUE INDEX i ON t (a)", true),
            ("ALTER TABLE t ADD COLUMN a int UNIQUE", false),
            ("ALTER TABLE t ADD a int, ADD b int", true),
            ("ALTER TABLE t ADD a int CONSTRAINT c CHECK (a > 0)", true),
            ("ALTER TABLE t DROP CONSTRAINT c", false),
            ("ALTER TABLE t ADD CONSTRAINT c UNIQUE (a)", true),
            ("ALTER TABLE t VALIDATE CONSTRAINT c", true),
            ("ALTER TABLE t ALTER a SET DEFAULT nextval('s')", false),
            ("ALTER TABLE t ALTER a SET DEFAULT 5", true),
            ("ALTER INDEX i RENAME TO j", true),
            ("DROP POLICY p ON t", true),
            ("COMMENT ON TABLE t IS 'CREATE INDEX'", false),
            ("UPDATE t SET a = 1", false),
        ] {
            assert_eq!(is_sent_on(&statements(sql)[0]), expected, "{sql}");
        }
    }
}
