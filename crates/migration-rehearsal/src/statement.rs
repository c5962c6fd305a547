//! Statements as their words, for judging those of which the catalogs keep no trace. Comments, strings and what is in parentheses
//! are no words, so none of them is taken for a part of the statement. Pure.
//!
//! It knows how `ALTER TABLE` is put together, and nothing of expressions.

use migration_kit::sql;
use squawk_lexer::{TokenKind, tokenize};

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// As it was written.
    pub(crate) text: String,
    /// Keywords and names in upper case, names in quotes as they are, and each other token outside of parentheses; `(` is all that is
    /// left of a pair with what is in it.
    words: Vec<String>,
}

/// The statements of one message; none where it cannot be split.
pub(crate) fn statements(message: &str) -> Vec<Statement> {
    let texts = sql::statements(message).unwrap_or_default();
    texts.into_iter().map(|text| Statement { words: words(&text), text }).collect()
}

fn words(sql: &str) -> Vec<String> {
    let (mut words, mut at, mut depth) = (Vec::new(), 0, 0_usize);
    for token in tokenize(sql) {
        let text = &sql[at..at + token.len as usize];
        at += text.len();
        match token.kind {
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => {}
            TokenKind::OpenParen | TokenKind::OpenBracket => {
                if depth == 0 {
                    words.push(text.to_owned());
                }
                depth += 1;
            }
            TokenKind::CloseParen | TokenKind::CloseBracket => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            TokenKind::Ident => words.push(text.to_ascii_uppercase()),
            _ => words.push(text.to_owned()),
        }
    }
    words
}

impl Statement {
    /// Its words, for matching.
    pub(crate) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// The table that an `ALTER TABLE` names, and what it does to it: each action as its words.
    pub(crate) fn alters_table(&self) -> Option<(String, Vec<Vec<&str>>)> {
        let words = self.words();
        let rest = words.strip_prefix(&["ALTER", "TABLE"])?;
        let rest = without(without(rest, &["IF", "EXISTS"]), &["ONLY"]);
        let (table, rest) = name(rest)?;
        let actions = without(rest, &["*"]).split(|word| *word == ",").map(<[&str]>::to_vec);
        Some((table, actions.collect()))
    }

    /// The name of the sequence, without its schema, whose options an `ALTER SEQUENCE` changes. Its owner, name and schema are none.
    pub(crate) fn alters_sequence(&self) -> Option<String> {
        let words = self.words();
        let rest = words.strip_prefix(&["ALTER", "SEQUENCE"])?;
        let (sequence, rest) = name(without(rest, &["IF", "EXISTS"]))?;
        match rest {
            ["OWNER" | "RENAME", ..] | ["SET", "SCHEMA" | "LOGGED" | "UNLOGGED", ..] => None,
            _ => Some(sequence.rsplit('.').next().unwrap_or_default().to_owned()),
        }
    }
}

/// Words without these at their beginning, if they are there.
fn without<'w, 's>(words: &'w [&'s str], first: &[&'static str]) -> &'w [&'s str] {
    words.strip_prefix(first).unwrap_or(words)
}

/// A name that may be qualified, as the catalogs write it, and what follows.
fn name<'w, 's>(words: &'w [&'s str]) -> Option<(String, &'w [&'s str])> {
    let (first, mut rest) = words.split_first()?;
    let mut name = unquoted(first);
    while let [".", next, after @ ..] = rest {
        name = format!("{name}.{}", unquoted(next));
        rest = after;
    }
    Some((name, rest))
}

/// A name as the catalogs write it.
pub(crate) fn unquoted(word: &str) -> String {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => word.to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn altered(sql: &str) -> String {
        let statements = statements(sql);
        let (table, actions) = statements[0].alters_table().unwrap();
        let actions: Vec<String> = actions.iter().map(|action| action.join(" ")).collect();
        format!("{table}: {}", actions.join(" | "))
    }

    #[test]
    fn an_alter_table_is_its_table_and_its_actions() {
        for (sql, expected) in [
            ("alter table t rename constraint a to b", "t: RENAME CONSTRAINT A TO B"),
            (
                "ALTER TABLE IF EXISTS ONLY shop.\"O\"\"dd\" * ADD a numeric(9, 2) DEFAULT 'x, CHECK', ADD b int[] DEFAULT ARRAY[1, 2]",
                "shop.O\"dd: ADD A NUMERIC ( DEFAULT 'x, CHECK' | ADD B INT [ DEFAULT ARRAY [",
            ),
            (
                "-- first\nALTER /* TABLE u */ TABLE t -- , CHECK\n DROP a, DROP \"check\"",
                "t: DROP A | DROP \"check\"",
            ),
            ("ALTER TABLE t ADD CHECK (a > 0 AND b IN (1, 2)), DROP c", "t: ADD CHECK ( | DROP C"),
        ] {
            assert_eq!(altered(sql), expected, "{sql}");
        }
        assert_eq!(statements("ALTER INDEX i RENAME TO j")[0].alters_table(), None);
        assert_eq!(statements("SELECT 'open"), []);
        assert_eq!(statements("SELECT ';'; SELECT 2").len(), 2);
    }

    #[test]
    fn an_alter_sequence_is_the_name_of_one_whose_options_change() {
        for (sql, expected) in [
            ("ALTER SEQUENCE IF EXISTS shop.T_id_seq OWNED BY t.id", Some("t_id_seq")),
            ("ALTER SEQUENCE \"T\" RESTART", Some("T")),
            ("ALTER SEQUENCE s OWNER TO a", None),
            ("ALTER SEQUENCE s SET SCHEMA a", None),
            ("ALTER TABLE s RENAME TO a", None),
        ] {
            assert_eq!(statements(sql)[0].alters_sequence().as_deref(), expected, "{sql}");
        }
    }
}
