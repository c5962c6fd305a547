//! `migrations.lock`: per migration its phase, the checksum of its SQL, what it does in a sentence, and the table locks it
//! takes, as text.
//!
//! The file is generated from what a server saw; it is reviewed, committed and compiled into the service. A migration
//! adds its lines at the end, so that two branches that add one conflict. Here the text is read and written; tracing
//! is another module's part.

use std::collections::BTreeMap;
use std::fmt::Write;

use migration_plan::{Direction, MigrationName, Phase};

use crate::table_lock::LockMode;

/// First lines of every lock file.
const HEADER: &str = "# Generated from the migrations. Commit it with them; do not edit it by hand.\n\
                      # migration, phase, transaction or steps, checksums of the SQL of `up` and of `down`; below: what it does, table locks it takes.\n";

/// In place of the checksum of a `down` that is not called.
const NOT_REVERTED: &str = "-";

/// What a lock file says of its service's migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LockFile {
    entries: BTreeMap<MigrationName, LockEntry>,
}

/// What a lock file says of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockEntry {
    /// Expand or contract.
    pub phase: RecordedPhase,
    /// Whether it runs in one transaction.
    pub transactional: bool,
    /// SHA-256 of the SQL that applying it sends, in hexadecimal.
    pub checksum: String,
    /// SHA-256 of the SQL that reverting it sends; `None` if it, or a later one, cannot be reverted.
    pub revert_checksum: Option<String>,
    /// What it does: the first sentence of its source, if that was found.
    pub does: Option<String>,
    /// Locks that applying it takes on tables that exist before.
    pub apply: Vec<RecordedLock>,
    /// Locks that reverting it takes on tables that exist before.
    pub revert: Vec<RecordedLock>,
}

/// The phase of a migration, without the soak time, which may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordedPhase {
    /// Compatible with the running application.
    Expand,
    /// Removes what old application code may still read.
    Contract,
}

impl RecordedPhase {
    /// The phase as text: `expand` or `contract`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expand => "expand",
            Self::Contract => "contract",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Expand, Self::Contract].into_iter().find(|phase| phase.as_str() == text)
    }
}

impl From<Phase> for RecordedPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::Expand => Self::Expand,
            Phase::Contract { .. } => Self::Contract,
        }
    }
}

/// A lock on a table of the service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedLock {
    /// Table, without its schema.
    pub relation: String,
    /// Mode of the lock.
    pub mode: LockMode,
}

/// Why a lock file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} is malformed: `{text}`")]
pub struct LockFileError {
    /// Number of the line, from 1.
    pub line: usize,
    /// The line.
    pub text: String,
}

impl LockFile {
    /// Reads the text of a lock file; an empty text is an empty file.
    ///
    /// # Errors
    /// [`LockFileError`] with the first line that does not follow the format.
    pub fn parse(text: &str) -> Result<Self, LockFileError> {
        let mut entries = BTreeMap::new();
        let mut current: Option<MigrationName> = None;
        for (index, line) in text.lines().enumerate() {
            // As many as a tool has added: none is part of a line, so that what is written again is read as the same.
            let line = line.trim_end_matches('\r');
            let malformed = || LockFileError { line: index + 1, text: line.to_owned() };
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if let Some(lock) = line.strip_prefix("  ") {
                let entry: &mut LockEntry =
                    current.as_ref().and_then(|name| entries.get_mut(name)).ok_or_else(malformed)?;
                let (direction, rest) = lock.split_once(' ').ok_or_else(malformed)?;
                if direction == "does" {
                    entry.does = Some(rest.to_owned());
                    continue;
                }
                let (relation, mode) = rest.trim().rsplit_once(" in ").ok_or_else(malformed)?;
                let recorded = RecordedLock {
                    relation: relation.to_owned(),
                    mode: mode.trim().parse().map_err(|_| malformed())?,
                };
                match direction {
                    "apply" => entry.apply.push(recorded),
                    "revert" => entry.revert.push(recorded),
                    _ => return Err(malformed()),
                }
            } else {
                // A name may have spaces.
                let [reverting, checksum, how, phase, name] =
                    <[&str; 5]>::try_from(line.rsplitn(5, ' ').collect::<Vec<_>>())
                        .map_err(|_| malformed())?;
                let transactional = match how {
                    "transaction" => true,
                    "steps" => false,
                    _ => return Err(malformed()),
                };
                let name: MigrationName = name.parse().map_err(|_| malformed())?;
                let entry = LockEntry {
                    phase: RecordedPhase::parse(phase).ok_or_else(malformed)?,
                    transactional,
                    checksum: checksum.to_owned(),
                    revert_checksum: (reverting != NOT_REVERTED).then(|| reverting.to_owned()),
                    does: None,
                    apply: Vec::new(),
                    revert: Vec::new(),
                };
                if entries.insert(name.clone(), entry).is_some() {
                    return Err(malformed());
                }
                current = Some(name);
            }
        }
        Ok(Self { entries })
    }

    /// Writes the file, migrations in the order given.
    #[must_use]
    pub fn render<'a>(entries: impl IntoIterator<Item = (&'a MigrationName, &'a LockEntry)>) -> String {
        let mut text = HEADER.to_owned();
        for (name, entry) in entries {
            let how = if entry.transactional { "transaction" } else { "steps" };
            let (phase, checksum) = (entry.phase.as_str(), &entry.checksum);
            let reverting = entry.revert_checksum.as_deref().unwrap_or(NOT_REVERTED);
            writeln!(text, "\n{name} {phase} {how} {checksum} {reverting}")
                .expect("writing to a string cannot fail");
            if let Some(does) = &entry.does {
                writeln!(text, "  does {does}").expect("writing to a string cannot fail");
            }
            for (direction, locks) in [("apply", &entry.apply), ("revert", &entry.revert)] {
                for RecordedLock { relation, mode } in locks {
                    writeln!(text, "  {direction} {relation} in {mode}")
                        .expect("writing to a string cannot fail");
                }
            }
        }
        text
    }

    /// What the file says of all its migrations, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&MigrationName, &LockEntry)> {
        self.entries.iter()
    }

    /// What the file says of a migration, if it knows it.
    #[must_use]
    pub fn entry(&self, name: &MigrationName) -> Option<&LockEntry> {
        self.entries.get(name)
    }

    /// Checksum of a migration's SQL, if the file knows it.
    #[must_use]
    pub fn checksum(&self, name: &MigrationName) -> Option<&str> {
        self.entry(name).map(|entry| entry.checksum.as_str())
    }

    /// Locks that a migration takes in this direction on tables that exist before.
    #[must_use]
    pub fn locks(&self, name: &MigrationName, direction: Direction) -> &[RecordedLock] {
        match (self.entry(name), direction) {
            (Some(entry), Direction::Apply) => &entry.apply,
            (Some(entry), Direction::Revert) => &entry.revert,
            (None, _) => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> MigrationName {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lock = |relation: &str, mode: &str| RecordedLock {
            relation: relation.into(),
            mode: mode.parse().unwrap(),
        };
        let (first, second) = (name("m20250101_000001_create_a"), name("Drop b for good"));
        let one = LockEntry {
            phase: RecordedPhase::Expand,
            transactional: true,
            checksum: "ab12".into(),
            revert_checksum: Some("ba21".into()),
            does: Some("Creates `a`".into()),
            apply: vec![],
            revert: vec![lock("a", "ACCESS EXCLUSIVE")],
        };
        let two = LockEntry {
            phase: RecordedPhase::Contract,
            transactional: false,
            checksum: "cd34".into(),
            revert_checksum: None,
            does: None,
            apply: vec![lock("a", "SHARE ROW EXCLUSIVE"), lock("b in c", "ACCESS EXCLUSIVE")],
            revert: vec![],
        };
        let text = LockFile::render([(&first, &one), (&second, &two)]);
        let file = LockFile::parse(&text).unwrap();
        assert_eq!(file.entry(&first), Some(&one));
        assert_eq!(file.entry(&second), Some(&two));
        assert_eq!(file.checksum(&second), Some("cd34"));
        assert_eq!(file.locks(&second, Direction::Apply).len(), 2);
        assert_eq!(LockFile::parse(&text.replace('\n', "\r\r\n")), Ok(file));
    }

    #[test]
    fn a_malformed_line_is_named() {
        let error = LockFile::parse("m1 expand transaction\n").unwrap_err();
        assert_eq!(error.to_string(), "line 1 is malformed: `m1 expand transaction`");
        let error = LockFile::parse("m1 later transaction aa bb\n").unwrap_err();
        assert_eq!(error.line, 1);
        let error = LockFile::parse("# x\n  apply a in SHARE\n").unwrap_err();
        assert_eq!(error.line, 2);
    }
}
