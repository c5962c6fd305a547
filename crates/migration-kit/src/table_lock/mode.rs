//! The lock modes of tables, which of them conflict, and the order in which several tables are locked.

use std::fmt;
use std::str::FromStr;

use crate::qualified;
use crate::session::BOOKKEEPING;

/// A mode of `LOCK TABLE`, from the weakest to the strongest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LockMode {
    /// Taken by reading.
    AccessShare,
    /// Taken by `SELECT … FOR UPDATE` and its kin.
    RowShare,
    /// Taken by writing.
    RowExclusive,
    /// Taken by `VACUUM`, `VALIDATE CONSTRAINT`, a concurrent index build: reading and writing continue.
    ShareUpdateExclusive,
    /// Taken by a plain index build: writing stops.
    Share,
    /// Taken by adding a trigger or a foreign key: writing stops.
    ShareRowExclusive,
    /// Only reading continues.
    Exclusive,
    /// Neither reads nor writes continue.
    AccessExclusive,
}

impl LockMode {
    /// All modes, from the weakest to the strongest.
    pub const ALL: [Self; 8] = [
        Self::AccessShare,
        Self::RowShare,
        Self::RowExclusive,
        Self::ShareUpdateExclusive,
        Self::Share,
        Self::ShareRowExclusive,
        Self::Exclusive,
        Self::AccessExclusive,
    ];

    /// The mode's name as `LOCK TABLE … IN … MODE` writes it.
    #[must_use]
    pub fn sql(self) -> &'static str {
        match self {
            Self::AccessShare => "ACCESS SHARE",
            Self::RowShare => "ROW SHARE",
            Self::RowExclusive => "ROW EXCLUSIVE",
            Self::ShareUpdateExclusive => "SHARE UPDATE EXCLUSIVE",
            Self::Share => "SHARE",
            Self::ShareRowExclusive => "SHARE ROW EXCLUSIVE",
            Self::Exclusive => "EXCLUSIVE",
            Self::AccessExclusive => "ACCESS EXCLUSIVE",
        }
    }

    /// The mode's name as `pg_locks.mode` writes it.
    #[must_use]
    pub fn catalog_name(self) -> &'static str {
        match self {
            Self::AccessShare => "AccessShareLock",
            Self::RowShare => "RowShareLock",
            Self::RowExclusive => "RowExclusiveLock",
            Self::ShareUpdateExclusive => "ShareUpdateExclusiveLock",
            Self::Share => "ShareLock",
            Self::ShareRowExclusive => "ShareRowExclusiveLock",
            Self::Exclusive => "ExclusiveLock",
            Self::AccessExclusive => "AccessExclusiveLock",
        }
    }

    /// Whether two sessions cannot hold these modes on one table at once (manual, section 13.3.1, table 13.2).
    #[must_use]
    pub fn conflicts_with(self, other: Self) -> bool {
        let conflicting_from = match self {
            Self::AccessShare => Self::AccessExclusive,
            Self::RowShare => Self::Exclusive,
            Self::RowExclusive => Self::Share,
            Self::ShareUpdateExclusive => Self::ShareUpdateExclusive,
            Self::Share => return other >= Self::RowExclusive && other != Self::Share,
            Self::ShareRowExclusive => Self::RowExclusive,
            Self::Exclusive => Self::RowShare,
            Self::AccessExclusive => Self::AccessShare,
        };
        other >= conflicting_from
    }
}

impl fmt::Display for LockMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.sql())
    }
}

/// A text that is not the name of a lock mode.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a table lock mode")]
pub struct UnknownLockMode(String);

impl FromStr for LockMode {
    type Err = UnknownLockMode;

    /// Reads a mode as SQL or as `pg_locks` writes it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.sql() == text || mode.catalog_name() == text)
            .ok_or_else(|| UnknownLockMode(text.to_owned()))
    }
}

/// One table and the lock that a piece of work needs on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableLock {
    /// Schema of the table, unquoted.
    pub schema: String,
    /// Name of the table, unquoted.
    pub relation: String,
    /// The mode.
    pub mode: LockMode,
}

impl TableLock {
    /// A lock on a table; names unquoted.
    #[must_use]
    pub fn new(schema: impl Into<String>, relation: impl Into<String>, mode: LockMode) -> Self {
        Self { schema: schema.into(), relation: relation.into(), mode }
    }

    /// The quoted, schema-qualified name of the table.
    #[must_use]
    pub fn qualified(&self) -> String {
        qualified(&self.schema, &self.relation)
    }
}

/// One table refers to another by a foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Schema and name of the referring table.
    pub referring: (String, String),
    /// Schema and name of the table to which it refers.
    pub referenced: (String, String),
}

/// The statement that takes a lock at once or fails with SQLSTATE 55P03: it never enters the queue.
#[must_use]
pub fn lock_statement(lock: &TableLock) -> String {
    format!("{} NOWAIT", queueing_lock_statement(lock))
}

/// The statement that takes a lock and queues for it, within the transaction's `lock_timeout`.
pub(super) fn queueing_lock_statement(lock: &TableLock) -> String {
    format!("{BOOKKEEPING}LOCK TABLE {} IN {} MODE", lock.qualified(), lock.mode)
}

/// Puts locks into the one order in which everybody takes them: a table that others refer to comes before them, as
/// PostgreSQL itself locks when it checks a foreign key; otherwise by name. A table named twice gets its strongest mode.
/// In a cycle of references, the names decide.
#[must_use]
pub fn referenced_first(mut locks: Vec<TableLock>, references: &[Reference]) -> Vec<TableLock> {
    locks.sort_by(|a, b| (&a.schema, &a.relation, b.mode).cmp(&(&b.schema, &b.relation, a.mode)));
    locks.dedup_by(|later, kept| (&later.schema, &later.relation) == (&kept.schema, &kept.relation));
    let is = |lock: &TableLock, name: &(String, String)| lock.schema == name.0 && lock.relation == name.1;
    let mut ordered = Vec::with_capacity(locks.len());
    while !locks.is_empty() {
        let waits_for_another = |lock: &TableLock| {
            references.iter().any(|Reference { referring, referenced }| {
                is(lock, referring)
                    && referring != referenced
                    && locks.iter().any(|other| is(other, referenced))
            })
        };
        let next = locks.iter().position(|lock| !waits_for_another(lock)).unwrap_or(0);
        ordered.push(locks.remove(next));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(relation: &str) -> (String, String) {
        ("s".to_owned(), relation.to_owned())
    }

    fn ordered(locks: &[(&str, LockMode)], references: &[(&str, &str)]) -> Vec<String> {
        let locks = locks.iter().map(|(relation, mode)| TableLock::new("s", *relation, *mode)).collect();
        let reference = |(from, to): &(&str, &str)| Reference { referring: name(from), referenced: name(to) };
        let references: Vec<_> = references.iter().map(reference).collect();
        referenced_first(locks, &references)
            .into_iter()
            .map(|lock| format!("{} {}", lock.relation, lock.mode))
            .collect()
    }

    #[test]
    fn conflicts_are_those_of_the_manual() {
        // Table 13.2: each mode and the modes with which it conflicts, in the order of `ALL`.
        let manual =
            ["00000001", "00000011", "00001111", "00011111", "00110111", "00111111", "01111111", "11111111"];
        for (mode, row) in LockMode::ALL.into_iter().zip(manual) {
            for (other, conflict) in LockMode::ALL.into_iter().zip(row.chars()) {
                assert_eq!(mode.conflicts_with(other), conflict == '1', "{mode} and {other}");
                assert_eq!(mode.conflicts_with(other), other.conflicts_with(mode), "{mode} and {other}");
            }
        }
    }

    #[test]
    fn modes_are_read_in_both_spellings() {
        for mode in LockMode::ALL {
            assert_eq!(mode.sql().parse(), Ok(mode));
            assert_eq!(mode.catalog_name().parse(), Ok(mode));
        }
        assert!("access exclusive".parse::<LockMode>().is_err());
    }

    #[test]
    fn statements_quote_names() {
        let lock = TableLock::new("my schema", "a\"b", LockMode::ShareRowExclusive);
        let expected = r#"/* migrate */ LOCK TABLE "my schema"."a""b" IN SHARE ROW EXCLUSIVE MODE NOWAIT"#;
        assert_eq!(lock_statement(&lock), expected);
    }

    #[test]
    fn referenced_tables_come_first() {
        use LockMode::{AccessExclusive as Ae, ShareRowExclusive as Sre};
        assert_eq!(
            ordered(&[("a", Sre), ("b", Ae), ("c", Sre)], &[("a", "b"), ("b", "c")]),
            ["c SHARE ROW EXCLUSIVE", "b ACCESS EXCLUSIVE", "a SHARE ROW EXCLUSIVE"]
        );
        assert_eq!(
            ordered(&[("b", Sre), ("a", Sre)], &[]),
            ["a SHARE ROW EXCLUSIVE", "b SHARE ROW EXCLUSIVE"]
        );
    }

    #[test]
    fn a_table_named_twice_gets_its_strongest_mode() {
        use LockMode::{AccessExclusive as Ae, ShareRowExclusive as Sre};
        assert_eq!(ordered(&[("a", Sre), ("a", Ae)], &[]), ["a ACCESS EXCLUSIVE"]);
    }

    #[test]
    fn cycles_and_references_to_oneself_do_not_hang() {
        use LockMode::ShareRowExclusive as Sre;
        let cycle = ordered(&[("b", Sre), ("a", Sre)], &[("a", "b"), ("b", "a"), ("a", "a")]);
        assert_eq!(cycle, ["a SHARE ROW EXCLUSIVE", "b SHARE ROW EXCLUSIVE"]);
    }
}
