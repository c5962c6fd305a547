//! What a service makes in its schema, by name: what two services of one schema cannot both make, and what must not be there
//! before. Known are tables, types and functions that the service names, and indexes and functions that its checks promise.

use std::collections::BTreeSet;

use crate::Service;

/// Something that a service makes in its schema.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Made {
    /// A table, by its name.
    Table(String),
    /// A type, by its name.
    Type(String),
    /// An index, by its name.
    Index(String),
    /// A function, by its name with the types of its arguments.
    Function(String),
}

impl Made {
    /// What it is, in a word.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Table(_) => "table",
            Self::Type(_) => "type",
            Self::Index(_) => "index",
            Self::Function(_) => "function",
        }
    }

    /// Its name; of a function, with the types of its arguments.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Table(name) | Self::Type(name) | Self::Index(name) | Self::Function(name) => name,
        }
    }

    /// Whether one schema cannot hold both: tables and indexes share their names, and so do tables, whose rows have a type, and
    /// types.
    #[must_use]
    pub fn excludes(&self, other: &Self) -> bool {
        let is_possible = match (self, other) {
            (Self::Function(_), other) | (other, Self::Function(_)) => !matches!(other, Self::Function(_)),
            (Self::Index(_), other) | (other, Self::Index(_)) => matches!(other, Self::Type(_)),
            _ => false,
        };
        !is_possible && self.name() == other.name()
    }
}

impl Service {
    /// What the service makes in its schema, as far as it says so.
    #[must_use]
    pub fn makes(&self) -> BTreeSet<Made> {
        let named = self.tables().iter().cloned().map(Made::Table);
        let named = named.chain(self.types().iter().cloned().map(Made::Type));
        let named = named.chain(self.functions().iter().cloned().map(Made::Function));
        let checks = self.migrations().flat_map(|listed| &listed.details().checks);
        named.chain(checks.filter_map(|check| check.made().cloned())).collect()
    }

    /// Its tables that a migration takes over where they are there already.
    pub fn adoptable(&self) -> impl Iterator<Item = &String> {
        self.migrations().flat_map(|listed| &listed.details().adopts)
    }
}
