//! Reading the sandbox server's log: which migration sent which statements, and which table locks it took.
//!
//! The log is PostgreSQL's `jsonlog` with every statement in it, and the notes of `trace.sql` between them. What the
//! coordinator and the kit ask for themselves begins with `/* migrate */` and is passed over. Pure: it gets lines.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use migration_kit::table_lock::LockMode;
use migration_kit::{BOOKKEEPING, MigrationName, ServiceName};
use migration_plan::Direction;
use serde::Deserialize;

use crate::RehearsalError;
use crate::facts::{Column, Facts, Noted, Shape, StatementNote};
use crate::sent::{Piece, Sending};

/// Opens the notes of `trace.sql`.
pub(crate) const NOTE: &str = "migration trace: ";

/// What one run of a migration in one direction did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Traced {
    /// The service.
    pub service: ServiceName,
    /// The migration.
    pub migration: MigrationName,
    /// Whether it was applied or reverted.
    pub direction: Direction,
    /// Its statements in order, whitespace collapsed, with their parameters.
    pub statements: Vec<String>,
    /// The same as a script can send them again: in their transactions, with values in place of parameters, and without what
    /// was rolled back.
    pub pieces: Vec<Piece>,
    /// What the server saw, for judging it.
    pub facts: Facts,
    /// Locks on tables that existed before it, in no order.
    pub locks: Vec<(String, LockMode)>,
    /// Which table referred to which, before it or after.
    pub references: Vec<(String, String)>,
}

/// A line of the log; what else is there is not needed.
#[derive(Deserialize)]
struct Line {
    session_id: String,
    #[serde(default)]
    application_name: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    error_severity: String,
    /// What was refused.
    #[serde(default)]
    statement: String,
}

/// A note of `trace.sql`.
#[derive(Deserialize)]
struct Note {
    #[serde(default)]
    locks: Vec<(u32, String)>,
    #[serde(default)]
    dropped_indexes: Vec<u32>,
    journal: Option<Journal>,
    scans_before: Option<HashMap<u32, i64>>,
    #[serde(default)]
    scans: HashMap<u32, i64>,
    rewritten: Option<u32>,
    #[serde(default)]
    indexed: Vec<u32>,
    #[serde(default)]
    dropped: Vec<(u32, i32, String, String)>,
}

/// A line of a service's journal, and what its schema holds at that moment. Relations go by number.
#[derive(Deserialize)]
struct Journal {
    service: String,
    /// Its schema; none if it is of files.
    #[serde(default)]
    schema: String,
    migration: String,
    direction: String,
    outcome: String,
    tables: HashMap<u32, String>,
    indexes: HashMap<u32, String>,
    references: Vec<(String, String)>,
    #[serde(default)]
    columns: Vec<Column>,
    #[serde(default)]
    unindexed: Vec<String>,
    #[serde(default)]
    unfixed: Vec<String>,
    #[serde(default)]
    unkeyed: BTreeSet<u32>,
    #[serde(default)]
    elsewhere: Vec<String>,
}

/// What a session has done since its last migration.
#[derive(Default)]
struct Since {
    statements: Vec<String>,
    sending: Sending,
    noted: Noted,
    locks: Vec<(u32, LockMode)>,
    dropped_indexes: Vec<u32>,
}

/// Reads a whole log; migrations in the order in which they ended.
///
/// # Errors
/// A line that is not what this server version is expected to write.
pub(crate) fn read(log: &str) -> Result<Vec<Traced>, RehearsalError> {
    let mut sessions: HashMap<String, Since> = HashMap::new();
    let mut before: BTreeMap<String, Journal> = BTreeMap::new();
    let mut traced = Vec::new();
    for (index, text) in log.lines().enumerate() {
        let not_understood = |text: &str| RehearsalError::Log { line: index + 1, text: text.to_owned() };
        let line: Line = serde_json::from_str(text).map_err(|_| not_understood(text))?;
        // The coordinator names the migration in `application_name`, behind a colon, for as long as it runs.
        if !line.application_name.starts_with("migrate ") || !line.application_name.contains(':') {
            continue;
        }
        let since = sessions.entry(line.session_id.clone()).or_default();
        if let Some(note) = line.message.strip_prefix(NOTE) {
            let note: Note = serde_json::from_str(note).map_err(|_| not_understood(note))?;
            let mut locks = Vec::with_capacity(note.locks.len());
            for (relation, mode) in note.locks {
                locks.push((relation, mode.parse().map_err(|_| not_understood(&mode))?));
            }
            let Note { scans_before, scans, rewritten, indexed, dropped, .. } = note;
            since.noted.note(StatementNote { scans_before, scans, rewritten, indexed, dropped }, &locks);
            since.locks.extend(locks.iter().copied());
            since.dropped_indexes.extend(note.dropped_indexes);
            if let Some(journal) = note.journal.filter(|journal| journal.outcome == "succeeded") {
                let mut since = std::mem::take(since);
                since.noted.end(locks);
                let done = since.done(&journal, &before);
                traced.push(done.ok_or_else(|| not_understood(&journal.migration))?);
                before.insert(journal.service.clone(), journal);
            }
        } else if line.error_severity == "ERROR" {
            since.sending.refused(&line.statement);
        } else if let Some(sql) = sql(&line) {
            since.sending.statement(sql, &line.detail);
            since.noted.statement(sql);
            since.statements.extend(statement(sql, &line.detail));
        }
    }
    Ok(traced)
}

impl Journal {
    fn shape(&self) -> Shape {
        let set = |names: &[String]| names.iter().cloned().collect();
        Shape {
            tables: self.tables.clone(),
            columns: self.columns.iter().map(|column| (column.place(), column.clone())).collect(),
            unindexed: set(&self.unindexed),
            unfixed: set(&self.unfixed),
            references: self.references.iter().cloned().collect(),
            unkeyed: self.unkeyed.clone(),
            elsewhere: set(&self.elsewhere),
        }
    }
}

impl Since {
    /// What the session did since then was this migration. `schemas` is what each service's schema held last.
    /// `None` if the journal's names are none.
    fn done(mut self, journal: &Journal, schemas: &BTreeMap<String, Journal>) -> Option<Traced> {
        let before = schemas.get(&journal.service);
        let table = |relation| before.and_then(|before| before.tables.get(relation));
        let indexed = |index| before.and_then(|before| before.indexes.get(index));
        let mut locks: Vec<(String, LockMode)> = self
            .locks
            .iter()
            .filter_map(|(relation, mode)| Some((table(relation)?.clone(), *mode)))
            .collect();
        // Dropped concurrently, or together with its table, whose own lock is stronger.
        let of_indexes = self.dropped_indexes.iter().filter_map(indexed);
        locks.extend(of_indexes.map(|table| (table.clone(), LockMode::ShareUpdateExclusive)));
        let mut references = journal.references.clone();
        references.extend(before.into_iter().flat_map(|before| before.references.iter().cloned()));
        Some(Traced {
            service: journal.service.parse().ok()?,
            migration: journal.migration.parse().ok()?,
            direction: match journal.direction.as_str() {
                "revert" => Direction::Revert,
                _ => Direction::Apply,
            },
            statements: self.statements,
            pieces: self.sending.take(),
            facts: self.noted.facts(
                before.map(Journal::shape).unwrap_or_default(),
                journal.shape(),
                &others(journal, schemas),
            ),
            locks,
            references,
        })
    }
}

/// Tables of other services, as `schema.table`. What lies in a schema that is shared is no other's.
fn others(own: &Journal, schemas: &BTreeMap<String, Journal>) -> HashMap<u32, String> {
    let of = |other: &Journal| {
        let name = |(relation, table): (&u32, &String)| (*relation, format!("{}.{table}", other.schema));
        other.tables.iter().map(name).collect::<Vec<_>>()
    };
    schemas.values().filter(|other| other.schema != own.schema).flat_map(of).collect()
}

/// The statements that made the extensions which services declare, without our mark.
///
/// # Errors
/// As [`read`].
pub(crate) fn extensions(log: &str) -> Result<Vec<String>, RehearsalError> {
    let mut made = Vec::new();
    for (index, text) in log.lines().enumerate() {
        let line: Line = serde_json::from_str(text)
            .map_err(|_| RehearsalError::Log { line: index + 1, text: text.to_owned() })?;
        if line.application_name == "migrate extensions" {
            let statement = sql(&line).and_then(|sql| sql.strip_prefix(BOOKKEEPING));
            made.extend(statement.filter(|sql| sql.starts_with("CREATE ")).map(str::to_owned));
        }
    }
    Ok(made)
}

/// A statement, if the line reports one.
fn sql(line: &Line) -> Option<&str> {
    match line.message.strip_prefix("statement: ") {
        Some(sql) => Some(sql),
        // `execute sqlx_s_1: SELECT …`; the name counts what the session prepared.
        None => Some(line.message.strip_prefix("execute ")?.split_once(": ")?.1),
    }
}

/// A migration's own statement, if it is one.
fn statement(sql: &str, detail: &str) -> Option<String> {
    let sql = collapse(sql);
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_uppercase();
    // Where transactions begin and end is the coordinator's and the kit's business, not part of what is changed.
    let of_transactions = ["BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"].contains(&first.as_str());
    if sql.starts_with(BOOKKEEPING) || of_transactions {
        return None;
    }
    // `parameters: $1 = '…'`; PostgreSQL 16 and later write `Parameters`.
    let parameters = detail.get(.."parameters: ".len()).filter(|s| s.eq_ignore_ascii_case("parameters: "));
    Some(match parameters {
        Some(prefix) => format!("{sql} -- {}", &detail[prefix.len()..]),
        None => sql,
    })
}

/// Every run of whitespace as one space: indenting a statement anew does not change what it does.
fn collapse(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const APPLICATION: &str = "migrate a:m20250101_000001_create_t";

    fn line(session: &str, application: &str, message: &str, detail: &str) -> String {
        json!({
            "session_id": session, "application_name": application, "message": message, "detail": detail, "pid": 1
        })
        .to_string()
    }

    fn journal(migration: &str, tables: &serde_json::Value, locks: &serde_json::Value) -> String {
        let note = json!({
            "locks": locks,
            "journal": {
                "service": "a", "migration": migration, "direction": "apply", "outcome": "succeeded",
                "tables": tables, "indexes": {"9": "t"}, "references": [["t", "u"]],
            },
        });
        line("s", APPLICATION, &format!("{NOTE}{note}"), "")
    }

    #[test]
    fn a_migration_is_what_its_session_sent_until_its_line_in_the_journal() {
        let log = [
            line("s", "migrate a", "statement: SELECT 'before it'", ""),
            line("s", APPLICATION, "statement: BEGIN", ""),
            line("s", APPLICATION, "statement: CREATE TABLE\n    t (id int)", ""),
            line("other", APPLICATION, "statement: SELECT 'of another session'", ""),
            line("s", APPLICATION, "execute sqlx_s_7: INSERT INTO t VALUES ($1)", "Parameters: $1 = '5'"),
            line("s", APPLICATION, "execute sqlx_s_8: /* migrate */ INSERT INTO j", ""),
            journal("m20250101_000001_create_t", &json!({"7": "t"}), &json!([[7, "AccessExclusiveLock"]])),
        ];
        let traced = read(&log.join("\n")).unwrap();
        assert_eq!(traced.len(), 1);
        assert_eq!(
            traced[0].statements,
            ["CREATE TABLE t (id int)", "INSERT INTO t VALUES ($1) -- $1 = '5'"]
        );
        assert_eq!(traced[0].locks, [], "the table did not exist before");
    }

    #[test]
    fn locks_are_those_on_tables_that_existed_before() {
        let dropped = json!({"locks": [[7, "ShareLock"]], "dropped_indexes": [9]});
        let log = [
            journal("m20250101_000001_create_t", &json!({"7": "t"}), &json!([])),
            line("s", APPLICATION, &format!("{NOTE}{dropped}"), ""),
            journal("m20250101_000002_drop_t", &json!({"8": "u"}), &json!([[8, "AccessExclusiveLock"]])),
        ];
        let traced = read(&log.join("\n")).unwrap();
        assert_eq!(
            traced[1].locks,
            [("t".to_owned(), LockMode::Share), ("t".to_owned(), LockMode::ShareUpdateExclusive)]
        );
    }

    #[test]
    fn another_log_is_refused() {
        assert!(read("2026-01-01 LOG:  statement: SELECT 1").is_err());
    }
}
