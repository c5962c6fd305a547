//! What a migration sent, so that a script can send it again: statements in their transactions, with values in place of
//! parameters, without what was rolled back or refused. Pure: it gets what the server logged.
//!
//! Of what the coordinator and the kit send for themselves, only what lasts and is no part of the history is kept: the table
//! of rejects.

use std::mem;

use migration_kit::{BOOKKEEPING, literal};
use squawk_lexer::{TokenKind, tokenize};

/// One statement, without a semicolon at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// The statement; several where they were sent as one message.
    pub sql: String,
    /// Whether it was sent, or sent in this form, after a look at the database: on another one it may not be.
    pub depends: bool,
}

/// Statements that are committed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// One that is its own transaction.
    Alone(Sent),
    /// A transaction.
    Together(Vec<Sent>),
}

/// What a session has sent since its last migration.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    pieces: Vec<Piece>,
    /// The transaction that is open, if its beginning was seen.
    open: Option<Vec<Sent>>,
    /// Names of savepoints, and how many statements were there.
    savepoints: Vec<(String, usize)>,
    has_looked: bool,
}

impl Sending {
    /// A statement that the server got, and the detail that it logged with it.
    pub(crate) fn statement(&mut self, sql: &str, detail: &str) {
        let mut text = sql.trim_start();
        let mut is_ours = false;
        while let Some(rest) = text.strip_prefix(BOOKKEEPING.trim_end()) {
            (text, is_ours) = (rest.trim_start(), true);
        }
        let words = words(text);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["BEGIN" | "START", ..] => self.open = Some(Vec::new()),
            ["COMMIT" | "END", ..] => self.end(),
            ["ROLLBACK" | "ABORT", .., "TO", name] | ["ROLLBACK" | "ABORT", .., "TO", "SAVEPOINT", name] => {
                self.back_to(name);
            }
            ["ROLLBACK" | "ABORT", ..] => {
                self.savepoints.clear();
                // Where its beginning was not seen, the transaction is all that the migration did.
                if self.open.take().is_none() {
                    self.pieces.clear();
                }
            }
            ["SAVEPOINT", name, ..] => {
                let n_before = self.n_sent();
                self.savepoints.push((name.to_owned(), n_before));
            }
            ["RELEASE", ..] => {}
            ["CREATE" | "ALTER" | "DROP" | "COMMENT" | "GRANT" | "REVOKE", ..] if is_ours => {
                if !is_passing(text, &words) {
                    self.push(text, detail);
                }
            }
            ["SELECT" | "WITH" | "EXPLAIN" | "FETCH", ..] if is_ours => self.has_looked = true,
            _ if is_ours => {}
            _ => self.push(sql, detail),
        }
    }

    /// The server refused a statement. In a transaction it is rolled back later.
    pub(crate) fn refused(&mut self, sql: &str) {
        let is_it = |sent: &Sent| sent.sql == end_trimmed(sql);
        if self.open.is_none() && matches!(self.pieces.last(), Some(Piece::Alone(last)) if is_it(last)) {
            self.pieces.pop();
        }
    }

    /// What there is so far, which is then forgotten: the migration ends, and with it the transaction that is open.
    pub(crate) fn take(&mut self) -> Vec<Piece> {
        self.end();
        mem::take(self).pieces
    }

    fn push(&mut self, sql: &str, detail: &str) {
        let sql = end_trimmed(&inlined(sql, &parameters(detail))).to_owned();
        if sql.is_empty() {
            return;
        }
        // Several in one message are one transaction; what cannot be in one is sent alone.
        let is_block = sql.contains(';') && !sql.to_ascii_uppercase().contains("CONCURRENTLY");
        let sent = Sent { sql, depends: mem::take(&mut self.has_looked) };
        match &mut self.open {
            Some(open) => open.push(sent),
            None if is_block => self.pieces.push(Piece::Together(vec![sent])),
            None => self.pieces.push(Piece::Alone(sent)),
        }
    }

    fn end(&mut self) {
        self.savepoints.clear();
        if let Some(open) = self.open.take().filter(|open| !open.is_empty()) {
            self.pieces.push(Piece::Together(open));
        }
    }

    fn back_to(&mut self, name: &str) {
        let Some(place) = self.savepoints.iter().rposition(|(savepoint, _)| savepoint == name) else {
            return;
        };
        self.savepoints.truncate(place + 1);
        let n_kept = self.savepoints[place].1;
        match &mut self.open {
            Some(open) => open.truncate(n_kept),
            None => self.pieces.truncate(n_kept),
        }
    }

    fn n_sent(&self) -> usize {
        self.open.as_ref().map_or(self.pieces.len(), Vec::len)
    }
}

/// Whether a statement of ours makes or changes what does not last: a temporary table, or how far a backfill has come.
fn is_passing(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| ["TEMPORARY", "TEMP"].contains(word))
        || text.contains("pg_temp.")
        || text.contains("migration_backfill_")
}

/// The first words of a statement in upper case, behind comments; names in quotes as they are.
fn words(sql: &str) -> Vec<String> {
    const N_WORDS: usize = 5;
    let (mut words, mut at) = (Vec::new(), 0);
    for token in tokenize(sql) {
        let text = &sql[at..at + token.len as usize];
        at += text.len();
        match token.kind {
            TokenKind::Ident => words.push(text.to_ascii_uppercase()),
            TokenKind::QuotedIdent { .. } => words.push(text.to_owned()),
            TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => continue,
            _ => break,
        }
        if words.len() == N_WORDS {
            break;
        }
    }
    words
}

/// Without semicolon and blanks at the end.
fn end_trimmed(sql: &str) -> &str {
    sql.trim().trim_end_matches(|c: char| c == ';' || c.is_whitespace())
}

/// The values of a statement's parameters: `Parameters: $1 = 'it''s', $2 = NULL`. PostgreSQL 15 writes `parameters`.
pub(crate) fn parameters(detail: &str) -> Vec<Option<String>> {
    const HEAD: &str = "parameters: ";
    let mut values = Vec::new();
    let Some(head) = detail.get(..HEAD.len()).filter(|head| head.eq_ignore_ascii_case(HEAD)) else {
        return values;
    };
    let mut rest = &detail[head.len()..];
    while let Some((_, value)) = rest.split_once(" = ") {
        let Some(text) = value.strip_prefix('\'') else {
            values.push(None);
            rest = value.strip_prefix("NULL").unwrap_or("");
            continue;
        };
        let (mut read, mut chars) = (String::new(), text.char_indices().peekable());
        rest = "";
        while let Some((at, char)) = chars.next() {
            if char != '\'' {
                read.push(char);
            } else if chars.next_if(|(_, next)| *next == '\'').is_some() {
                read.push('\'');
            } else {
                rest = &text[at + 1..];
                break;
            }
        }
        values.push(Some(read));
    }
    values
}

/// A statement with literals in place of its parameters. What type one has follows from its place, as it would from a
/// parameter without a type.
fn inlined(sql: &str, values: &[Option<String>]) -> String {
    if values.is_empty() {
        return sql.to_owned();
    }
    let (mut written, mut at) = (String::with_capacity(sql.len()), 0);
    for token in tokenize(sql) {
        let text = &sql[at..at + token.len as usize];
        at += text.len();
        let number = match token.kind {
            TokenKind::PositionalParam { .. } => text[1..].parse::<usize>().ok(),
            _ => None,
        };
        match number.and_then(|number| values.get(number.checked_sub(1)?)) {
            Some(Some(value)) => written.push_str(&literal(value)),
            Some(None) => written.push_str("NULL"),
            None => written.push_str(text),
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(statements: &[&str]) -> Vec<String> {
        let mut sending = Sending::default();
        for statement in statements {
            match statement.strip_prefix("refused: ") {
                Some(refused) => sending.refused(refused),
                None => sending.statement(statement, ""),
            }
        }
        let text = |sent: &Sent| format!("{}{}", if sent.depends { "?" } else { "" }, sent.sql);
        let pieces = sending.take();
        let written = pieces.iter().map(|piece| match piece {
            Piece::Alone(one) => text(one),
            Piece::Together(all) => format!("[{}]", all.iter().map(text).collect::<Vec<_>>().join(" | ")),
        });
        written.collect()
    }

    #[test]
    fn what_lasts_is_kept_in_its_transactions() {
        for (statements, kept) in [
            (
                &["A", "/* migrate */ BEGIN; /* migrate */ SELECT 1", "B", "C; ", "COMMIT"][..],
                &["A", "[B | C]"][..],
            ),
            (&["BEGIN", "A", "ROLLBACK", "B"], &["B"]),
            (&["A", "ROLLBACK", "B"], &["B"]),
            (&["A", "SAVEPOINT s", "B", "ROLLBACK TO SAVEPOINT s", "C", "RELEASE SAVEPOINT s"], &["A", "C"]),
            (&["BEGIN", "A", "SAVEPOINT s", "B", "ROLLBACK TO s", "C", "COMMIT"], &["[A | C]"]),
            (&["/* migrate */ SELECT 1", "A", "B"], &["?A", "B"]),
            (
                &["CREATE INDEX CONCURRENTLY i ON t (a);", "refused: CREATE INDEX CONCURRENTLY i ON t (a);"],
                &[],
            ),
            (&["A; B"], &["[A; B]"]),
            (&["BEGIN", "/* migrate */ LOCK TABLE t", "COMMIT"], &[]),
            (
                &["/* migrate */ CREATE TABLE IF NOT EXISTS s.migration_reject_s (id int)"],
                &["CREATE TABLE IF NOT EXISTS s.migration_reject_s (id int)"],
            ),
            (
                &[
                    "/* migrate */ CREATE TEMPORARY TABLE t ()",
                    "/* migrate */ ALTER TABLE pg_temp.t ADD COLUMN a int",
                ],
                &[],
            ),
            (
                &[
                    "/* migrate */ DROP TABLE s.migration_backfill_s",
                    "/* migrate */ INSERT INTO s.t VALUES (1)",
                ],
                &[],
            ),
            (&["-- why\nBEGIN", "A", "commit"], &["[A]"]),
            (&["BEGIN", "A", "B"], &["[A | B]"]),
        ] {
            assert_eq!(sent(statements), kept, "{statements:?}");
        }
    }

    #[test]
    fn parameters_become_literals() {
        for (sql, detail, written) in [
            (
                "VALUES ($1, $2)",
                "Parameters: $1 = 'it''s, $2 = ''x''', $2 = NULL",
                "VALUES ('it''s, $2 = ''x''', NULL)",
            ),
            (
                "SELECT '$1', $1, \"$1\", $$ $1 $$",
                "parameters: $1 = 'a\nb'",
                "SELECT '$1', 'a\nb', \"$1\", $$ $1 $$",
            ),
            (
                "SELECT $10 || $1",
                "Parameters: $1 = 'a', $2 = '', $3 = '', $4 = '', $5 = '', $6 = '', $7 = '', $8 = '', $9 = '', $10 = 'j'",
                "SELECT 'j' || 'a'",
            ),
            ("SELECT $1 -- $1", "", "SELECT $1 -- $1"),
        ] {
            assert_eq!(inlined(sql, &parameters(detail)), written);
        }
    }
}
