//! `citus-refused-statement`: a change of a table or a sequence that Citus does not carry out.

use super::{Case, Hit, Rule};

pub(super) const RULE: Rule = Rule {
    id: "citus-refused-statement",
    why: "Citus refuses the statement for a table on a node",
    instead: "write each change as a statement of its own, constraints with a name; where Citus has no such change at all, make a new column, constraint or index, and drop the old one",
    find: Some(find),
};

fn find(case: &Case<'_>) -> Vec<Hit> {
    let (before, after) = (&case.facts.before, &case.facts.after);
    let mut hits: Vec<Hit> = Vec::new();
    for statement in case.messages().flatten() {
        if let Some((table, actions)) = statement.alters_table() {
            hits.extend(refused(&actions).map(|what| Hit::by(format!("{table}: {what}"), &statement.text)));
        }
        if let Some((table, actions)) = statement.alters_table()
            && actions.iter().any(|action| action.starts_with(&["SET", "SCHEMA"]))
            && draws_from_sequence(case, &table)
        {
            hits.push(Hit::by(format!("{table}: SET SCHEMA with a sequence"), &statement.text));
        }
        // One that no column drew from before is none of a table on a node yet.
        let is_drawn_from = |sequence: &String| {
            before.columns.values().any(|column| column.sequence.as_ref() == Some(sequence))
        };
        if let Some(sequence) = statement.alters_sequence().filter(is_drawn_from) {
            hits.push(Hit::by(format!("{sequence}: ALTER SEQUENCE"), &statement.text));
        }
    }
    let retyped = before.columns.iter().filter(|(place, column)| {
        let is_other = |now: &crate::Column| now.type_name != column.type_name;
        column.sequence.is_some() && after.columns.get(place).is_some_and(is_other)
    });
    let named = retyped.filter_map(|((table, _), column)| Some((after.tables.get(table)?, column)));
    hits.extend(named.map(|(table, column)| Hit::on(format!("{table}.{}: TYPE", column.name))));
    hits
}

/// Whether a table of this name, with its schema or without, has an identity column or one that draws from a sequence.
fn draws_from_sequence(case: &Case<'_>, table: &str) -> bool {
    let name = table.rsplit('.').next().unwrap_or_default();
    [&case.facts.before, &case.facts.after].into_iter().any(|shape| {
        let is_of_it = |place: &u32| shape.tables.get(place).is_some_and(|known| known == name);
        let draws = |column: &crate::Column| column.identity || column.sequence.is_some();
        shape.columns.iter().any(|((table, _), column)| is_of_it(table) && draws(column))
    })
}

/// What of an `ALTER TABLE` Citus refuses: `ErrorIfUnsupportedAlterTableStmt` and `ErrorIfUnsupportedRenameStmt` of its source.
fn refused(actions: &[Vec<&str>]) -> Option<String> {
    let is_alone = actions.len() == 1;
    actions.iter().find_map(|action| match action[..] {
        ["RENAME" | "ALTER", "CONSTRAINT", ..]
        | ["SET", "WITHOUT" | "TABLESPACE", ..]
        | ["NO" | "NOT", "INHERIT" | "OF", ..] => Some(action[..2].join(" ")),
        ["INHERIT" | "OF" | "CLUSTER", ..] => Some(action[0].to_owned()),
        ["ENABLE" | "DISABLE", .., "RULE", _] => Some("RULE".to_owned()),
        ["DETACH", .., last @ ("CONCURRENTLY" | "FINALIZE")] => Some(format!("DETACH {last}")),
        ["ALTER", "COLUMN", _, ref what @ ..] | ["ALTER", _, ref what @ ..] => of_column(what),
        ["ADD", "CONSTRAINT" | "CHECK" | "PRIMARY" | "UNIQUE" | "FOREIGN", ..]
        | ["ADD", "EXCLUDE", "USING" | "(", ..] => {
            (!is_alone).then(|| "ADD CONSTRAINT beside other changes".to_owned())
        }
        ["ADD", ..] => of_new_column(action, is_alone),
        _ => None,
    })
}

/// What it refuses to change of a column.
fn of_column(what: &[&str]) -> Option<String> {
    match what {
        ["TYPE", ..]
        | ["SET", "DATA", "TYPE", ..]
        | ["SET" | "DROP", "DEFAULT", ..]
        | ["SET" | "DROP", "NOT", "NULL"]
        | ["SET", "COMPRESSION", ..] => None,
        _ => Some(
            what.iter()
                .take(2)
                .map(|word| if *word == "(" { "(…)" } else { *word })
                .collect::<Vec<_>>()
                .join(" "),
        ),
    }
}

/// Constraints of a new column to which Citus would have to give a name. It does so for one that is added alone, without a `CHECK`.
fn of_new_column(action: &[&str], is_alone: bool) -> Option<String> {
    let has_check = action.contains(&"CHECK");
    let is_unnamed = |place: usize| place < 2 || action[place - 2] != "CONSTRAINT";
    let kinds = ["CHECK", "PRIMARY", "UNIQUE", "REFERENCES"];
    let mut unnamed =
        action.iter().enumerate().filter(|(place, word)| kinds.contains(word) && is_unnamed(*place));
    let (_, kind) = unnamed.next().filter(|_| has_check || !is_alone)?;
    Some(format!("ADD COLUMN with a {kind} that has no name"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statement::statements;

    #[test]
    fn what_citus_refuses_of_an_alter_table_is_named() {
        for (actions, expected) in [
            ("RENAME CONSTRAINT a TO b", Some("RENAME CONSTRAINT")),
            ("RENAME a TO \"CONSTRAINT\"", None),
            ("ALTER a SET STATISTICS 100", Some("SET STATISTICS")),
            ("ALTER COLUMN a SET STORAGE main", Some("SET STORAGE")),
            ("ALTER COLUMN a SET (n_distinct = 5)", Some("SET (…)")),
            ("ALTER a DROP IDENTITY IF EXISTS", Some("DROP IDENTITY")),
            ("ALTER a TYPE bigint USING a::bigint, ALTER b SET NOT NULL, ALTER c DROP DEFAULT", None),
            ("ALTER CONSTRAINT a DEFERRABLE", Some("ALTER CONSTRAINT")),
            ("NO INHERIT a", Some("NO INHERIT")),
            ("CLUSTER ON a", Some("CLUSTER")),
            ("SET TABLESPACE a", Some("SET TABLESPACE")),
            ("SET (fillfactor = 50), ENABLE ROW LEVEL SECURITY, VALIDATE CONSTRAINT a", None),
            ("DISABLE RULE a", Some("RULE")),
            ("DETACH PARTITION a CONCURRENTLY", Some("DETACH CONCURRENTLY")),
            ("DETACH PARTITION a", None),
            ("ADD CONSTRAINT a CHECK (b > 0)", None),
            ("ADD CHECK (b > 0)", None),
            ("DROP CONSTRAINT a, ADD UNIQUE (b)", Some("ADD CONSTRAINT beside other changes")),
            ("ADD COLUMN a int CHECK (a > 0)", Some("ADD COLUMN with a CHECK that has no name")),
            ("ADD a int NOT NULL DEFAULT 1 CONSTRAINT a_set CHECK (a > 0)", None),
            ("ADD a text DEFAULT 'CHECK (1)' -- CHECK", None),
            ("ADD a int UNIQUE", None),
            ("ADD a int UNIQUE, ADD b int", Some("ADD COLUMN with a UNIQUE that has no name")),
            ("ADD a int, ADD IF NOT EXISTS b int DEFAULT 5, DROP c", None),
            ("OWNER TO a", None),
        ] {
            let statements = statements(&format!("ALTER TABLE t {actions}"));
            let (_, read) = statements[0].alters_table().unwrap();
            assert_eq!(refused(&read).as_deref(), expected, "{actions}");
        }
    }
}
