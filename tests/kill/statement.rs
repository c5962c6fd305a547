//! Statements as a relay sees them, and which of them are worth a kill.

/// A statement of a run: its text without numbers and literals, and how many of the same have gone before. So it is found
/// again in another run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Id {
    pub(crate) shape: String,
    pub(crate) nth: usize,
}

/// A statement that was run.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) id: Id,
    /// The kind of what it committed: the keywords of all that its transaction wrote. Nothing where the database was the same
    /// after it.
    pub(crate) change: Option<String>,
}

/// When a program is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// While the server works on the statement.
    Sent,
    /// When the server is done and before the program hears of it.
    Answered,
}

/// A statement and a moment of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) id: Id,
    pub(crate) moment: Moment,
}

impl Id {
    /// Whether it changes the database, alone or at the end of its transaction.
    pub(crate) fn writes(&self) -> bool {
        const READS: [&str; 11] = [
            "EXPLAIN",
            "SELECT",
            "WITH",
            "SHOW",
            "SET",
            "RESET",
            "BEGIN",
            "COMMIT",
            "ROLLBACK",
            "LOCK",
            "SAVEPOINT",
        ];
        const WRITES: [&str; 3] = ["INSERT INTO", "UPDATE ", "DELETE FROM"];
        !READS.iter().any(|verb| self.shape.starts_with(verb))
            || WRITES.iter().any(|verb| self.shape.contains(verb))
    }

    /// Its keywords, which the kit writes in capitals.
    pub(crate) fn keywords(&self) -> String {
        let is_keyword = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
        let words = self.shape.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.filter(is_keyword).collect::<Vec<_>>().join(" ")
    }

    pub(crate) fn rolls_back(&self) -> bool {
        self.shape.starts_with("ROLLBACK")
    }
}

/// A statement's text without comments before it, with `?` for each number and literal.
pub(crate) fn shape(sql: &str) -> String {
    let mut sql = sql.trim_start();
    while let Some((_, rest)) = sql.strip_prefix("/*").and_then(|rest| rest.split_once("*/")) {
        sql = rest.trim_start();
    }
    let mut shape = String::new();
    for (place, part) in sql.split('\'').enumerate() {
        if place % 2 == 1 {
            shape.push('?');
            continue;
        }
        let mut in_name = false;
        for c in part.chars() {
            let is_number = c.is_ascii_digit() && !in_name;
            if !is_number {
                shape.push(c);
            } else if !shape.ends_with('?') {
                shape.push('?');
            }
            in_name = !is_number && (c.is_alphanumeric() || c == '_');
        }
    }
    shape
}

/// Where a run is killed, at most `n_most` times. The database is another one only after a statement that commits, so no other
/// statement is tried; of changes of one kind, such as batches and constraints, the first and the last; and if those are still
/// too many, some spread evenly. The moments take turns.
pub(crate) fn points(statements: &[Seen], n_most: usize) -> Vec<Point> {
    let changes: Vec<(&Id, &str)> =
        statements.iter().filter_map(|seen| Some((&seen.id, seen.change.as_deref()?))).collect();
    let is_first_or_last = |(id, kind): &(&Id, &str)| {
        let mut same = changes.iter().filter(|(_, other)| other == kind).map(|(id, _)| id);
        same.next() == Some(id) || same.next_back().is_none_or(|last| last == id)
    };
    let distinct: Vec<&Id> = changes.iter().copied().filter(is_first_or_last).map(|(id, _)| id).collect();
    let n_points = distinct.len().min(n_most);
    (0..n_points)
        .map(|index| distinct[index * (distinct.len() - 1) / (n_points - 1).max(1)].clone())
        .zip([Moment::Sent, Moment::Answered].into_iter().cycle())
        .map(|(id, moment)| Point { id, moment })
        .collect()
}
