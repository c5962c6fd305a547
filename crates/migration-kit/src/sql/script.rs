//! What an SQL file says: the statements of each direction, and whether they run inside a transaction.

use super::SqlFile;
use super::error::Problem;
use super::split::{Piece, Statement, split};

/// The statements of one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The statements, each without its semicolon.
    pub(super) statements: Vec<String>,
    /// The lines of their first words.
    lines: Vec<usize>,
    /// Whether they run inside a transaction.
    pub(super) transactional: bool,
}

/// Both directions of a file.
pub(super) struct Both {
    pub(super) up: Script,
    pub(super) down: Option<Script>,
}

/// Reads a file that has one direction, or both under the marks of dbmate, goose or sql-migrate.
///
/// # Errors
/// [`Problem`] with its line.
pub(super) fn both(text: &str) -> Result<Both, (usize, Problem)> {
    let mut head = Draft::default();
    let mut marked: [Option<Draft>; 2] = [None, None];
    let mut current = None;
    for piece in split(text)? {
        match piece {
            Piece::Comment { text, line } => match mark(&text) {
                Mark::None => {}
                Mark::Unknown => return Err((line, Problem::UnknownMark)),
                Mark::NoTransaction => head.no_transaction |= current.is_none() && head.statements.is_empty(),
                Mark::NoTransactionAtAll => head.no_transaction = true,
                Mark::Section { index, no_transaction } => {
                    if marked[index].is_some() {
                        return Err((line, Problem::MisplacedMark));
                    }
                    if let Some(early) = head.statements.first() {
                        return Err((early.line, Problem::BeforeUp));
                    }
                    marked[index] = Some(Draft { statements: Vec::new(), no_transaction });
                    current = Some(index);
                }
            },
            Piece::Statement(statement) => {
                let section = current.and_then(|index| marked[index].as_mut()).unwrap_or(&mut head);
                section.statements.push(statement);
            }
        }
    }
    let no_transaction = head.no_transaction;
    let finish = |mut draft: Draft| {
        draft.no_transaction |= no_transaction;
        draft.finish()
    };
    match marked {
        [None, None] => Ok(Both { up: head.finish()?, down: None }),
        [up, down] => {
            let up = up.unwrap_or_default();
            Ok(Both { up: finish(up)?, down: down.map(finish).transpose()? })
        }
    }
}

/// Reads what applies of a file, and its comments.
///
/// # Errors
/// [`Problem`] with its line.
pub(super) fn file(text: &str) -> Result<SqlFile, (usize, Problem)> {
    let Script { statements, lines, transactional } = both(text)?.up;
    let comment = |piece| match piece {
        Piece::Comment { text, .. } => Some(text),
        Piece::Statement(_) => None,
    };
    Ok(SqlFile {
        statements: lines.into_iter().zip(statements).collect(),
        is_transactional: transactional,
        comments: split(text)?.into_iter().filter_map(comment).collect(),
    })
}

/// Reads a file that has one direction.
///
/// # Errors
/// [`Problem`] with its line.
pub(super) fn single(text: &str) -> Result<Script, (usize, Problem)> {
    let mut draft = Draft::default();
    for piece in split(text)? {
        match piece {
            Piece::Comment { text, line } => match mark(&text) {
                Mark::None => {}
                Mark::Unknown => return Err((line, Problem::UnknownMark)),
                Mark::Section { .. } => return Err((line, Problem::MisplacedMark)),
                Mark::NoTransaction => draft.no_transaction |= draft.statements.is_empty(),
                Mark::NoTransactionAtAll => draft.no_transaction = true,
            },
            Piece::Statement(statement) => draft.statements.push(statement),
        }
    }
    draft.finish()
}

#[derive(Default)]
struct Draft {
    statements: Vec<Statement>,
    no_transaction: bool,
}

impl Draft {
    fn finish(mut self) -> Result<Script, (usize, Problem)> {
        if !self.no_transaction {
            self.unwrap_transaction();
            if let Some(control) = self.statements.iter().find(|statement| controls_transaction(statement)) {
                return Err((control.line, Problem::EndsTransaction));
            }
        }
        Ok(Script {
            lines: self.statements.iter().map(|statement| statement.line).collect(),
            statements: self.statements.into_iter().map(|statement| statement.text).collect(),
            transactional: !self.no_transaction,
        })
    }

    /// A file `BEGIN; …; COMMIT;` asks for what it gets anyway: one transaction around all of it.
    fn unwrap_transaction(&mut self) {
        if let [begin, between @ .., commit] = &self.statements[..]
            && is(
                begin,
                &[&["BEGIN"], &["BEGIN", "TRANSACTION"], &["BEGIN", "WORK"], &["START", "TRANSACTION"]],
            )
            && is(commit, &[&["COMMIT"], &["COMMIT", "TRANSACTION"], &["COMMIT", "WORK"], &["END"]])
            && !between.iter().any(controls_transaction)
        {
            self.statements.pop();
            self.statements.remove(0);
        }
    }
}

enum Mark {
    None,
    Unknown,
    /// At the beginning of the file.
    NoTransaction,
    /// Wherever it is.
    NoTransactionAtAll,
    Section {
        index: usize,
        no_transaction: bool,
    },
}

fn mark(comment: &str) -> Mark {
    if comment == "no-transaction" {
        return Mark::NoTransaction;
    }
    if let Some(mark) = comment.strip_prefix("+goose").or(comment.strip_prefix("+migrate")) {
        return plus_mark(mark);
    }
    let Some(rest) = comment.strip_prefix("migrate:") else { return Mark::None };
    let mut words = rest.split_whitespace();
    let index = match words.next() {
        Some("up") => 0,
        Some("down") => 1,
        _ => return Mark::Unknown,
    };
    match (words.next(), words.next()) {
        (None, _) | (Some("transaction:true"), None) => Mark::Section { index, no_transaction: false },
        (Some("transaction:false"), None) => Mark::Section { index, no_transaction: true },
        _ => Mark::Unknown,
    }
}

/// A mark of goose or sql-migrate, behind the tool's name. What one of them knows is understood of the other too.
fn plus_mark(mark: &str) -> Mark {
    let mark = mark.to_ascii_lowercase();
    let section = |index, no_transaction| Mark::Section { index, no_transaction };
    match mark.split_whitespace().collect::<Vec<_>>()[..] {
        ["up"] => section(0, false),
        ["down"] => section(1, false),
        ["up", "notransaction"] => section(0, true),
        ["down", "notransaction"] => section(1, true),
        ["no", "transaction"] => Mark::NoTransactionAtAll,
        // Where a statement ends is known without them.
        ["statementbegin" | "statementend"] => Mark::None,
        _ => Mark::Unknown,
    }
}

fn is(statement: &Statement, forms: &[&[&str]]) -> bool {
    forms.iter().any(|form| statement.words == *form)
}

/// Whether a statement begins or ends a transaction. Savepoints do neither.
fn controls_transaction(statement: &Statement) -> bool {
    let words: Vec<&str> = statement.words.iter().map(String::as_str).collect();
    match words[..] {
        ["ROLLBACK", "TO", ..] | ["ROLLBACK", "WORK" | "TRANSACTION", "TO", ..] => false,
        ["BEGIN" | "COMMIT" | "END" | "ROLLBACK" | "ABORT", ..]
        | ["START" | "PREPARE", "TRANSACTION", ..] => true,
        _ => false,
    }
}
