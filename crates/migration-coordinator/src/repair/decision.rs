//! What an operator decided, and the changes that it comes to. Pure: from what was read, and nothing is written here.

use std::collections::HashMap;
use std::fmt;

use migration_kit::{Listed, MigrationName};
use migration_plan::Direction;

use super::Trouble;
use crate::deployment::{Deployment, Placed};
use crate::edited::edited_migrations;
use crate::survey::{Access, JournalFacts, ServiceFacts};

/// How one trouble of a service is to be mended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Its invalid indexes are dropped.
    DropInvalidIndexes,
    /// A migration has another name now.
    Rename {
        /// Its name in the version table.
        applied: MigrationName,
        /// Its name in this build.
        now: MigrationName,
    },
    /// An applied migration may differ from what was applied.
    AcceptEdit(MigrationName),
    /// A migration that this build does not have counts as never applied; what it did stays.
    Forget(MigrationName),
    /// A migration stands for those that it replaces.
    Squash(MigrationName),
    /// The rows of the version table are made again from the journal.
    RestoreRows,
    /// The journal gets a line for each applied migration that has none.
    RewriteJournal,
}

/// One change, of which a decision takes one or more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes the tables of the history where they are missing.
    Install,
    /// Drops an index while reading and writing continue.
    DropIndex(String),
    /// Deletes the row of a migration from the version table.
    DeleteRow(MigrationName),
    /// Gives the row of a migration another name.
    RenameRow {
        /// Its name until now.
        from: MigrationName,
        /// Its name from now on.
        to: MigrationName,
    },
    /// Inserts a row for a migration, applied at this time, in seconds since 1970.
    InsertRow {
        /// The migration.
        migration: MigrationName,
        /// When it was applied.
        applied_at: i64,
    },
    /// Appends a line to the journal.
    Journal(Line),
    /// Notes how many lines the journal has.
    NoteLines,
}

/// A line of the journal that says what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub(super) migration: MigrationName,
    pub(super) direction: Direction,
    /// Whether the line changes what the journal says of the migration; otherwise it is a note.
    pub(super) counts: bool,
    pub(super) checksum: Option<String>,
    pub(super) consent: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Install => f.write_str("make the tables of the history that are missing"),
            Self::DropIndex(index) => write!(f, "drop the invalid index `{index}`"),
            Self::DeleteRow(name) => write!(f, "delete the row of `{name}` from the version table"),
            Self::RenameRow { from, to } => {
                write!(f, "rename the row of `{from}` in the version table to `{to}`")
            }
            Self::InsertRow { migration, .. } => {
                write!(f, "insert a row for `{migration}` into the version table")
            }
            Self::NoteLines => f.write_str("note how many lines the journal has"),
            Self::Journal(line) => {
                write!(f, "record `{}` of `{}` in the journal", line.consent, line.migration)
            }
        }
    }
}

/// What was read of a service before a decision.
pub(super) struct Found<'a> {
    pub(super) deployment: &'a Deployment,
    pub(super) placed: &'a Placed,
    pub(super) facts: &'a ServiceFacts,
    /// Its invalid indexes.
    pub(super) invalid: &'a [Trouble],
    /// What the journal says to be applied, in the order of its lines.
    pub(super) journalled: &'a [Journalled],
}

/// A migration that the journal says to be applied.
pub(super) struct Journalled {
    pub(super) name: MigrationName,
    /// When its last line was written, in seconds since 1970.
    pub(super) at: i64,
    /// Whether it was recorded then, and not run.
    pub(super) recorded: bool,
}

/// Known migrations that are not applied, each with all migrations that it replaces, which are.
pub(super) fn squashed(placed: &Placed, facts: &ServiceFacts) -> Vec<(MigrationName, Vec<MigrationName>)> {
    let applied = |id: &str| facts.applied.iter().map(|row| &row.name).find(|name| name.as_str() == id);
    let listed = placed.service.migrations();
    let squashed = listed.filter(|listed| applied(listed.name().as_str()).is_none()).filter_map(|listed| {
        let replaces = &listed.details().replaces;
        let replaced: Option<Vec<_>> = replaces.iter().map(|id| applied(id).cloned()).collect();
        replaced.filter(|replaced| !replaced.is_empty()).map(|replaced| (listed.name().clone(), replaced))
    });
    squashed.collect()
}

impl Found<'_> {
    /// The changes that a decision comes to, in their order, or why there is nothing to decide.
    pub(super) fn changes(&self, decision: &Decision) -> Result<Vec<Change>, String> {
        let mut changes = match decision {
            Decision::RestoreRows => self.restore_rows()?,
            _ if self.facts.access == Access::Lost => {
                return Err("the rows of its version table are lost: restore them first".to_owned());
            }
            Decision::RewriteJournal => self.rewrite_journal()?,
            Decision::DropInvalidIndexes => self.drop_indexes()?,
            Decision::Rename { applied, now } => self.rename(applied, now)?,
            Decision::AcceptEdit(name) => self.accept_edit(name)?,
            Decision::Forget(name) => self.forget(name)?,
            Decision::Squash(name) => self.squash(name)?,
        };
        if !self.facts.installed {
            changes.insert(0, Change::Install);
        }
        Ok(changes)
    }

    fn is_applied(&self, name: &MigrationName) -> bool {
        self.facts.applied.iter().any(|row| row.name == *name)
    }

    fn is_known(&self, name: &MigrationName) -> bool {
        self.placed.service.migration(name).is_some()
    }

    fn is_begun(&self, name: &MigrationName) -> bool {
        self.facts.begun().any(|begun| begun == name)
    }

    /// The line for a migration that no longer counts as applied, under this name.
    fn gone(migration: &MigrationName, consent: &str) -> Change {
        let consent = format!("repair:{consent}");
        let (direction, checksum) = (Direction::Revert, None);
        Change::Journal(Line { migration: migration.clone(), direction, counts: true, checksum, consent })
    }

    /// The line for a migration that counts as applied.
    fn there(migration: &MigrationName, checksum: Option<&str>, consent: &str) -> Change {
        let (consent, checksum) = (format!("repair:{consent}"), checksum.map(str::to_owned));
        let direction = Direction::Apply;
        Change::Journal(Line { migration: migration.clone(), direction, counts: true, checksum, consent })
    }

    fn drop_indexes(&self) -> Result<Vec<Change>, String> {
        let newest = self.facts.applied.last().map(|row| &row.name).or_else(|| self.facts.begun().next());
        let Some(newest) = newest else { return Err("it has no history in which to record it".to_owned()) };
        let mut changes = Vec::new();
        for trouble in self.invalid {
            let Trouble::InvalidIndex { index, table, is_busy } = trouble else { continue };
            if *is_busy {
                return Err(format!("`{index}` of `{table}` may be being built at this moment"));
            }
            changes.push(Change::DropIndex(index.clone()));
            changes.push(Change::Journal(Line {
                migration: newest.clone(),
                direction: Direction::Apply,
                counts: false,
                checksum: None,
                consent: format!("repair:dropped-invalid-index:{index}"),
            }));
        }
        if changes.is_empty() { Err("it has no invalid index".to_owned()) } else { Ok(changes) }
    }

    fn rename(&self, applied: &MigrationName, now: &MigrationName) -> Result<Vec<Change>, String> {
        if !self.is_applied(applied) {
            return Err(format!("`{applied}` is not in its version table"));
        }
        if self.is_known(applied) {
            return Err(format!("this build has `{applied}` under that name"));
        }
        if !self.is_known(now) {
            return Err(format!("this build has no migration `{now}`"));
        }
        if self.is_applied(now) || self.is_begun(now) {
            return Err(format!("`{now}` is applied or begun itself"));
        }
        let checksum = self.facts.journal.get(applied).and_then(|journal| journal.checksum.as_deref());
        Ok(vec![
            Change::RenameRow { from: applied.clone(), to: now.clone() },
            Self::gone(applied, &format!("renamed-to:{now}")),
            Self::there(now, checksum, &format!("renamed-from:{applied}")),
        ])
    }

    fn accept_edit(&self, name: &MigrationName) -> Result<Vec<Change>, String> {
        if !edited_migrations(self.deployment, self.facts).contains(name) {
            return Err(format!("`{name}` is not applied, or was not edited after it was"));
        }
        Ok(vec![Self::there(name, self.placed.lock_file.checksum(name), "accepted-edit")])
    }

    fn forget(&self, name: &MigrationName) -> Result<Vec<Change>, String> {
        let is_claimed = self.facts.journal.get(name).is_some_and(|journal| journal.begun);
        if !self.is_applied(name) && !is_claimed {
            return Err(format!("`{name}` is neither applied nor begun"));
        }
        if self.is_known(name) {
            return Err(format!("this build has `{name}`, and can revert it"));
        }
        let squashed = squashed(self.placed, self.facts);
        if let Some((by, _)) = squashed.iter().find(|(_, replaced)| replaced.contains(name)) {
            return Err(format!("`{by}` replaces `{name}`, and would be applied over what that made"));
        }
        Ok(vec![Change::DeleteRow(name.clone()), Self::gone(name, "forgotten")])
    }

    fn squash(&self, name: &MigrationName) -> Result<Vec<Change>, String> {
        if !self.is_known(name) {
            return Err(format!("this build has no migration `{name}`"));
        }
        let squashed = squashed(self.placed, self.facts);
        let Some((_, replaced)) = squashed.into_iter().find(|(by, _)| by == name) else {
            return Err(format!("`{name}` is applied, or not all of what it replaces is"));
        };
        if let Some(known) = replaced.iter().find(|replaced| self.is_known(replaced)) {
            return Err(format!("this build still has `{known}`, which `{name}` replaces"));
        }
        let rows = self.facts.applied.iter().filter(|row| replaced.contains(&row.name));
        let applied_at = rows.map(|row| row.applied_at).max().unwrap_or(0);
        let mut changes = Vec::new();
        for old in &replaced {
            changes.push(Change::DeleteRow(old.clone()));
            changes.push(Self::gone(old, &format!("squashed-into:{name}")));
        }
        changes.push(Change::InsertRow { migration: name.clone(), applied_at });
        changes.push(Self::there(name, self.placed.lock_file.checksum(name), "squashed"));
        Ok(changes)
    }

    fn restore_rows(&self) -> Result<Vec<Change>, String> {
        if self.facts.access != Access::Lost {
            return Err("its version table is there and has its rows".to_owned());
        }
        let Some(newest) = self.journalled.last() else {
            return Err("its journal records no applied migration".to_owned());
        };
        let lost = self.facts.unread.as_ref().and_then(|error| error.lost_rows());
        let rows = self.restored().into_iter();
        let rows = rows.filter(|(name, _)| lost.is_none_or(|lost| lost.contains(name)));
        let rows = rows.map(|(name, applied_at)| Change::InsertRow { migration: name.clone(), applied_at });
        let note = Change::Journal(Line {
            migration: newest.name.clone(),
            direction: Direction::Apply,
            counts: false,
            checksum: None,
            consent: "repair:restored-rows".to_owned(),
        });
        Ok(rows.chain([note]).collect())
    }

    /// A row that has no line to say that it was applied gets one; what was begun stays begun.
    fn rewrite_journal(&self) -> Result<Vec<Change>, String> {
        let is_covered =
            |name: &MigrationName| self.facts.journal.get(name).is_some_and(JournalFacts::is_applied);
        let uncovered = self.facts.applied.iter().map(|row| &row.name).filter(|name| !is_covered(name));
        let line = |name| Self::there(name, self.placed.lock_file.checksum(name), "rewritten-journal");
        let mut changes: Vec<Change> = uncovered.map(line).collect();
        if changes.is_empty() && !self.facts.has_lost_its_journal() {
            return Err("its journal has a line for everything that is applied".to_owned());
        }
        changes.push(Change::NoteLines);
        Ok(changes)
    }

    /// Migrations, and when each was applied, as the version table would have it: what was run was applied in the order of the
    /// journal, whatever the clock did, and what was only recorded no later than what follows it in the list.
    fn restored(&self) -> Vec<(&MigrationName, i64)> {
        let names = self.placed.service.migrations().map(Listed::name);
        let place: HashMap<_, _> = names.enumerate().map(|(place, name)| (name, place)).collect();
        let mut last = i64::MIN;
        let rows = self.journalled.iter().map(|row| {
            last = last.max(row.at);
            (row, last)
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|(row, _)| place.get(&row.name));
        let mut least = i64::MAX;
        for (row, at) in rows.iter_mut().rev().filter(|(row, _)| place.contains_key(&row.name)) {
            if row.recorded {
                *at = least.min(*at);
            }
            least = least.min(*at);
        }
        rows.into_iter().map(|(row, at)| (&row.name, at)).collect()
    }
}
