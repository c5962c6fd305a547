//! Splitting an SQL file into its statements, as `psql` does: a semicolon ends a statement unless it is inside a string,
//! a comment, parentheses or the body of an SQL-standard function. It does not know what the statements mean.

use squawk_lexer::{LiteralKind, TokenKind, tokenize};

use super::error::Problem;

/// One statement of a file, without its semicolon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// The statement as written, from its first word on.
    pub(super) text: String,
    /// Line of its first word, from 1.
    pub(super) line: usize,
    /// Its first words in upper case, at most [`N_WORDS`].
    pub(super) words: Vec<String>,
}

/// What a file consists of, in its order.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// A statement.
    Statement(Statement),
    /// A comment to the end of its line, between two statements: the text behind the dashes, trimmed.
    Comment { text: String, line: usize },
}

/// How many words of a statement are kept to classify it: `CREATE OR REPLACE FUNCTION`.
const N_WORDS: usize = 4;

/// Comments that are commands of a migration tool. They end a statement that lacks its semicolon.
const MARKS: [&str; 3] = ["migrate:", "+goose", "+migrate"];

/// The pieces of this text.
///
/// # Errors
/// [`Problem`] with the line where the text cannot be split, or has what only `psql` understands.
pub(super) fn split(text: &str) -> Result<Vec<Piece>, (usize, Problem)> {
    let mut splitter = Splitter { text, ..Splitter::default() };
    let mut at = 0;
    for token in tokenize(text) {
        let end = at + token.len as usize;
        splitter.take(token.kind, at, end)?;
        splitter.line += text[at..end].matches('\n').count();
        at = end;
    }
    splitter.end_statement(text.len())?;
    Ok(splitter.pieces)
}

#[derive(Default)]
struct Splitter<'t> {
    text: &'t str,
    pieces: Vec<Piece>,
    line: usize,
    /// Where the open statement begins, and in which line.
    open: Option<(usize, usize)>,
    words: Vec<String>,
    parentheses: usize,
    /// How many `BEGIN` and `CASE` of a function's body are open.
    blocks: usize,
    from_or_to: bool,
    copies_through_client: bool,
}

impl Splitter<'_> {
    fn take(&mut self, kind: TokenKind, at: usize, end: usize) -> Result<(), (usize, Problem)> {
        let token = &self.text[at..end];
        match kind {
            TokenKind::Whitespace | TokenKind::BlockComment { terminated: true } => return Ok(()),
            TokenKind::LineComment => {
                self.comment(token, at)?;
                return Ok(());
            }
            TokenKind::Semi if self.parentheses == 0 && self.blocks == 0 => return self.end_statement(at),
            _ => {}
        }
        if is_unterminated(kind) {
            return Err((self.line + 1, Problem::Unterminated));
        }
        if self.open.is_none() {
            if token.starts_with('\\') {
                return Err((self.line + 1, Problem::PsqlCommand));
            }
            self.open = Some((at, self.line + 1));
        }
        match kind {
            TokenKind::OpenParen => self.parentheses += 1,
            TokenKind::CloseParen => self.parentheses = self.parentheses.saturating_sub(1),
            TokenKind::Ident => self.word(token.to_ascii_uppercase()),
            _ => self.from_or_to = false,
        }
        Ok(())
    }

    fn word(&mut self, word: String) {
        if self.parentheses == 0 {
            match word.as_str() {
                "BEGIN" if self.is_routine() => self.blocks += 1,
                "CASE" if self.blocks > 0 => self.blocks += 1,
                "END" => self.blocks = self.blocks.saturating_sub(1),
                "STDIN" | "STDOUT" if self.from_or_to => {
                    self.copies_through_client = self.words.first().is_some_and(|first| first == "COPY");
                }
                _ => {}
            }
            self.from_or_to = word == "FROM" || word == "TO";
        }
        if self.words.len() < N_WORDS {
            self.words.push(word);
        }
    }

    /// Whether the open statement makes a function or procedure, the only place where semicolons may be between
    /// `BEGIN ATOMIC` and `END`.
    fn is_routine(&self) -> bool {
        let words: Vec<&str> = self.words.iter().map(String::as_str).collect();
        matches!(
            words[..],
            ["CREATE", "FUNCTION" | "PROCEDURE", ..] | ["CREATE", "OR", "REPLACE", "FUNCTION" | "PROCEDURE"]
        )
    }

    fn comment(&mut self, token: &str, at: usize) -> Result<(), (usize, Problem)> {
        let text = token.trim_start_matches('-').trim();
        if MARKS.iter().any(|mark| text.starts_with(mark)) {
            self.end_statement(at)?;
        }
        if self.open.is_none() {
            self.pieces.push(Piece::Comment { text: text.to_owned(), line: self.line + 1 });
        }
        Ok(())
    }

    fn end_statement(&mut self, at: usize) -> Result<(), (usize, Problem)> {
        let words = std::mem::take(&mut self.words);
        let copies = std::mem::take(&mut self.copies_through_client);
        (self.parentheses, self.blocks, self.from_or_to) = (0, 0, false);
        let Some((start, line)) = self.open.take() else { return Ok(()) };
        if copies {
            return Err((line, Problem::CopyThroughClient));
        }
        let text = self.text[start..at].trim_end().to_owned();
        self.pieces.push(Piece::Statement(Statement { text, line, words }));
        Ok(())
    }
}

fn is_unterminated(kind: TokenKind) -> bool {
    match kind {
        TokenKind::BlockComment { terminated } | TokenKind::QuotedIdent { terminated, .. } => !terminated,
        TokenKind::Literal { kind } => match kind {
            LiteralKind::Str { terminated }
            | LiteralKind::NationalStr { terminated }
            | LiteralKind::ByteStr { terminated }
            | LiteralKind::BitStr { terminated }
            | LiteralKind::DollarQuotedString { terminated }
            | LiteralKind::UnicodeEscStr { terminated }
            | LiteralKind::EscStr { terminated } => !terminated,
            LiteralKind::Int { .. } | LiteralKind::Numeric { .. } => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{Piece, split};
    use crate::sql::error::Problem;

    fn statements(text: &str) -> Vec<String> {
        let only = |piece| match piece {
            Piece::Statement(statement) => Some(statement.text),
            Piece::Comment { .. } => None,
        };
        split(text).unwrap().into_iter().filter_map(only).collect()
    }

    #[test]
    fn a_semicolon_ends_a_statement_only_where_it_is_no_part_of_one() {
        let whole = [
            "INSERT INTO t VALUES ('a;b', E'it\\';s', U&'x;', 'it''s;')",
            "CREATE TABLE \"odd;name\" (\"a;b\" int)",
            "DO $$ BEGIN PERFORM 1; END; $$",
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $body$ SELECT $$a;b$$; $body$",
            "CREATE FUNCTION f(a int) RETURNS int BEGIN ATOMIC SELECT CASE a WHEN 1 THEN 2 END; SELECT 2; END",
            "CREATE OR REPLACE PROCEDURE p() BEGIN ATOMIC INSERT INTO t VALUES (1); END",
            "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
            "SELECT 1 /* a; /* nested; */ b; */ + 2",
            "SELECT 1 -- not; here\n + 2",
            "SELECT $1::int, a$b$c, 1.5e3, '{1,2}'::int[]",
            "CREATE TYPE mood AS ENUM ('sad;', 'ok')",
        ];
        for statement in whole {
            assert_eq!(statements(&format!("{statement};\nSELECT 2;")), [statement, "SELECT 2"]);
        }
        assert_eq!(statements("\u{feff}SELECT 1;;\r\n ; SELECT 2"), ["SELECT 1", "SELECT 2"]);
        assert_eq!(statements("-- nothing\n/* at all */;"), [""; 0]);
        assert_eq!(statements("BEGIN; SELECT 1; END; SELECT 2"), ["BEGIN", "SELECT 1", "END", "SELECT 2"]);
    }

    #[test]
    fn what_cannot_be_sent_to_a_server_is_refused_with_its_line() {
        for (text, line, problem) in [
            ("SELECT 1;\n\\set x 1\n", 2, Problem::PsqlCommand),
            ("\n\nCOPY t (a) FROM stdin;\n1\n\\.\n", 3, Problem::CopyThroughClient),
            ("COPY t TO STDOUT;", 1, Problem::CopyThroughClient),
            ("SELECT 1;\nSELECT 'open", 2, Problem::Unterminated),
            ("SELECT $a$ open $b$", 1, Problem::Unterminated),
            ("/* open", 1, Problem::Unterminated),
            ("SELECT \"open", 1, Problem::Unterminated),
        ] {
            assert_eq!(split(text), Err((line, problem)), "{text}");
        }
        assert_eq!(
            statements("COPY t FROM '/srv/stdin.csv'; SELECT a FROM stdin"),
            ["COPY t FROM '/srv/stdin.csv'", "SELECT a FROM stdin"]
        );
    }

    #[test]
    fn lines_are_counted_and_marks_end_a_statement() {
        let pieces = split("-- no-transaction\nSELECT 1\n-- migrate:down\n\nSELECT 2 -- aside\n;").unwrap();
        let shown: Vec<String> = pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Statement(statement) => format!("{}: {}", statement.line, statement.text),
                Piece::Comment { text, line } => format!("{line}: -- {text}"),
            })
            .collect();
        assert_eq!(
            shown,
            ["1: -- no-transaction", "2: SELECT 1", "3: -- migrate:down", "5: SELECT 2 -- aside"]
        );
    }
}
