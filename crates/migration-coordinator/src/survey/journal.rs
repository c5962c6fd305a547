//! What a service's journal says last of each migration.

use std::collections::BTreeMap;

use migration_kit::MigrationName;
use migration_plan::{Direction, MigrationList};

/// What the journal says last of one migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalFacts {
    /// In which direction it was begun or done last; if never, tried last. What was refused changed nothing.
    pub direction: Direction,
    /// Checksum of the SQL when it was last applied with success.
    pub checksum: Option<String>,
    /// Whether it was begun since it last succeeded and what it did then is kept.
    pub begun: bool,
    /// Whether it ever succeeded, in either direction.
    pub succeeded: bool,
}

/// What a journal says last of each migration that is in it, those that the program does not know among them.
#[derive(Debug, Clone)]
pub struct Journal {
    list: MigrationList,
    // Invariant: as long as the list, or empty.
    known: Vec<Option<JournalFacts>>,
    // Invariant: none that is in the list.
    others: BTreeMap<MigrationName, JournalFacts>,
}

impl JournalFacts {
    /// Whether the last that it says is that the migration was applied.
    pub(crate) fn is_applied(&self) -> bool {
        self.direction == Direction::Apply && self.succeeded && !self.begun
    }
}

impl Journal {
    /// A journal that says nothing, of a service with this list.
    pub(super) fn of(list: MigrationList) -> Self {
        Self { list, known: Vec::new(), others: BTreeMap::new() }
    }

    /// What it says of this migration.
    #[must_use]
    pub fn get(&self, migration: &MigrationName) -> Option<&JournalFacts> {
        self.get_expected(&mut 0, migration)
    }

    /// The same for one migration after the other: looked up faster in the order of the list. `next` is where the next one
    /// is expected, at first 0.
    pub(crate) fn get_expected(&self, next: &mut usize, migration: &MigrationName) -> Option<&JournalFacts> {
        match self.list.place_expected(*next, migration.as_str()) {
            Some(place) => {
                *next = place + 1;
                self.known.get(place)?.as_ref()
            }
            None => self.others.get(migration),
        }
    }

    /// All migrations that are in it: those of the list in its order, then others by name.
    pub fn iter(&self) -> impl Iterator<Item = (&MigrationName, &JournalFacts)> {
        let known = self.list.names().iter().zip(&self.known);
        known.filter_map(|(name, facts)| Some((name, facts.as_ref()?))).chain(&self.others)
    }

    /// What it says, without the migrations' names.
    pub(crate) fn facts(&self) -> impl Iterator<Item = &JournalFacts> {
        self.known.iter().flatten().chain(self.others.values())
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.facts().next().is_none()
    }

    /// Forgets what it says.
    pub(super) fn clear(&mut self) {
        self.known.clear();
        self.others.clear();
    }

    /// Notes what it says of a migration, and gives what was noted before.
    pub(super) fn insert(&mut self, migration: MigrationName, facts: JournalFacts) -> Option<JournalFacts> {
        match self.list.place(migration.as_str()) {
            Some(place) => self.place(place).replace(facts),
            None => self.others.insert(migration, facts),
        }
    }

    /// What is noted of the migration at this place of the list.
    pub(super) fn place(&mut self, place: usize) -> &mut Option<JournalFacts> {
        self.known.resize(self.list.names().len(), None);
        &mut self.known[place]
    }
}
