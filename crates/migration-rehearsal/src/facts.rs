//! What the server saw of one migration, for judging it: per statement the locks, scans, rewrites, builds and drops on tables
//! that were there before, and the tables before and after.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use migration_kit::LockMode;
use serde::Deserialize;

/// What the server saw of one migration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Facts {
    /// The statements that define something, in order.
    pub statements: Vec<StatementFacts>,
    /// Tables that were there before and that one transaction held for itself, together.
    pub held_together: BTreeSet<String>,
    /// Tables that were there before and whose rows one transaction changed, or locked to change them, while it held one of
    /// those for itself.
    pub changed_meanwhile: BTreeSet<String>,
    /// Locks on tables that were there before, held by the transaction in which it ended. One in steps holds none any more.
    pub held_at_end: Vec<(String, LockMode)>,
    /// The service's tables before.
    pub before: Shape,
    /// The service's tables after.
    pub after: Shape,
}

/// What one statement did to tables that were there before the migration.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StatementFacts {
    /// The statement.
    pub sql: String,
    /// The locks that its transaction held at its end.
    pub locks: Vec<(String, LockMode)>,
    /// Tables that were read from beginning to end.
    pub scanned: Vec<String>,
    /// Tables that were written anew.
    pub rewritten: Vec<String>,
    /// Tables on which an index was built while nobody could write.
    pub indexed: Vec<String>,
    /// Tables, columns and views that were dropped: `table`, `table.column`.
    pub dropped: Vec<String>,
    /// Tables of other services that were altered, or whose rows were changed: `schema.table`.
    pub others: Vec<String>,
}

/// The tables of a service.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Shape {
    /// Their names by number.
    pub tables: HashMap<u32, String>,
    /// Their columns by table and number.
    pub columns: BTreeMap<(u32, i16), Column>,
    /// Foreign keys without an index behind them: `table.constraint`.
    pub unindexed: BTreeSet<String>,
    /// Functions that run with their owner's rights, with whatever `search_path` the caller has.
    pub unfixed: BTreeSet<String>,
    /// Which table refers to which.
    pub references: BTreeSet<(String, String)>,
    /// Tables by number in which logical replication cannot find a row again: no primary key, and no other replica identity.
    pub unkeyed: BTreeSet<u32>,
    /// Foreign keys to tables of other schemas: `table.constraint, to schema.table`.
    pub elsewhere: BTreeSet<String>,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Column {
    relation: u32,
    number: i16,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub type_name: String,
    /// Its type with length and the like, and its collation if that is not the type's: what a client's prepared statement returns.
    #[serde(default)]
    pub read_as: String,
    /// Whether each row has to give a value: it is not null, and there is no default.
    pub required: bool,
    /// Whether it draws its default from a sequence that it owns, and is no identity column.
    pub serial: bool,
    /// Whether it is an identity column.
    #[serde(default)]
    pub identity: bool,
    /// The name of the sequence that its default draws from, if one does.
    #[serde(default)]
    pub sequence: Option<String>,
    /// Whether it is part of the primary key.
    pub key: bool,
}

impl Column {
    /// Its table and its number in it.
    pub(crate) fn place(&self) -> (u32, i16) {
        (self.relation, self.number)
    }
}

impl Shape {
    /// Columns that are here and not there, with their tables.
    pub(crate) fn columns_beyond<'s>(
        &'s self,
        other: &'s Self,
    ) -> impl Iterator<Item = (&'s str, &'s Column)> {
        let new = self.columns.iter().filter(|(place, column)| {
            other.columns.get(place).is_none_or(|before| before.type_name != column.type_name)
        });
        new.filter_map(|((table, _), column)| Some((self.tables.get(table)?.as_str(), column)))
    }
}

/// A note on a statement. Relations go by number.
#[derive(Debug, Default)]
pub(crate) struct StatementNote {
    pub(crate) scans_before: Option<HashMap<u32, i64>>,
    pub(crate) scans: HashMap<u32, i64>,
    pub(crate) rewritten: Option<u32>,
    pub(crate) indexed: Vec<u32>,
    pub(crate) dropped: Vec<(u32, i32, String, String)>,
}

/// The notes on the statements of a migration that is under way.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    statements: Vec<Draft>,
    together: Vec<Vec<u32>>,
    changed: Vec<Vec<u32>>,
    held_at_end: Vec<(u32, LockMode)>,
}

#[derive(Debug, Default)]
struct Draft {
    sql: String,
    scans_before: HashMap<u32, i64>,
    scanned: Vec<u32>,
    rewritten: Vec<u32>,
    indexed: Vec<u32>,
    dropped: Vec<(u32, i32, String, String)>,
    locks: Vec<(u32, LockMode)>,
}

impl Noted {
    /// A statement that the server got; what is noted next is its doing.
    pub(crate) fn statement(&mut self, sql: &str) {
        self.statements.push(Draft { sql: sql.trim().to_owned(), ..Draft::default() });
    }

    pub(crate) fn note(&mut self, note: StatementNote, locks: &[(u32, LockMode)]) {
        let exclusive = locks.iter().filter(|(_, mode)| *mode == LockMode::AccessExclusive);
        self.together.push(exclusive.map(|(table, _)| *table).collect());
        let written = locks.iter().filter(|(_, mode)| *mode == LockMode::RowExclusive);
        self.changed.push(written.map(|(table, _)| *table).collect());
        let Some(draft) = self.statements.last_mut() else { return };
        if let Some(before) = note.scans_before {
            draft.scans_before = before;
        }
        for (table, n_scans) in note.scans {
            if n_scans > draft.scans_before.get(&table).copied().unwrap_or(0) {
                draft.scanned.push(table);
            }
        }
        draft.rewritten.extend(note.rewritten);
        draft.dropped.extend(note.dropped);
        // A concurrent build has given its lock back; what is held is another's that lets others write.
        let blocks = |table: &u32| locks.iter().any(|(held, mode)| held == table && *mode >= LockMode::Share);
        draft.indexed.extend(note.indexed.into_iter().filter(blocks));
        draft.locks.extend_from_slice(locks);
    }

    /// The locks that are held at the end.
    pub(crate) fn end(&mut self, locks: Vec<(u32, LockMode)>) {
        self.held_at_end = locks;
    }

    /// What it comes to for tables that were there before. `others` are those of other services.
    pub(crate) fn facts(self, before: Shape, after: Shape, others: &HashMap<u32, String>) -> Facts {
        let names = |tables: &[u32]| -> BTreeSet<String> {
            tables.iter().filter_map(|table| before.tables.get(table).cloned()).collect()
        };
        let held_together = self.together.iter().map(|tables| names(tables)).max_by_key(BTreeSet::len);
        let beside = self.together.iter().zip(&self.changed).filter(|(held, _)| !names(held).is_empty());
        let changed_meanwhile = beside.flat_map(|(_, changed)| names(changed)).collect();
        let named = |locks: &[(u32, LockMode)]| -> Vec<(String, LockMode)> {
            let name = |(table, mode): &(u32, LockMode)| Some((before.tables.get(table)?.clone(), *mode));
            locks.iter().filter_map(name).collect()
        };
        let statement = |draft: &Draft| StatementFacts {
            sql: draft.sql.clone(),
            locks: named(&draft.locks),
            others: (draft.locks.iter().filter_map(|(table, _)| others.get(table).cloned()))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            scanned: names(&draft.scanned).into_iter().collect(),
            rewritten: names(&draft.rewritten).into_iter().collect(),
            indexed: names(&draft.indexed).into_iter().collect(),
            dropped: draft.dropped.iter().filter_map(|dropped| name_of(dropped, &before)).collect(),
        };
        let statements = self.statements.iter().map(statement).collect();
        let held_together = held_together.unwrap_or_default();
        let held_at_end = named(&self.held_at_end);
        Facts { statements, held_together, changed_meanwhile, held_at_end, before, after }
    }
}

/// What was dropped, if it was there before.
fn name_of((relation, column, kind, name): &(u32, i32, String, String), before: &Shape) -> Option<String> {
    match kind.as_str() {
        "view" => Some(name.clone()),
        _ if *column > 0 => {
            let there = before.columns.get(&(*relation, i16::try_from(*column).ok()?))?;
            Some(format!("{}.{}", before.tables.get(relation)?, there.name))
        }
        _ => before.tables.get(relation).cloned(),
    }
}
