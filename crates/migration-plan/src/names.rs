//! The names of services and migrations. Names are checked where they are made, so that the rest can trust them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Name of a service: `[a-z][a-z0-9_.-]*`, at most 40 bytes, so that `migration_backfill_<name>` fits into the 63 bytes
/// of a PostgreSQL identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(
    // Invariant: matches the pattern above; checked in `from_str` only. Shared, since names are copied everywhere.
    Arc<str>,
);

/// Name of a migration, as the version table has it.
///
/// Any text, since version tables hold names of all kinds of tools. New migrations are best named
/// `mYYYYMMDD_HHMMSS_verb_noun` (see [`MigrationName::is_conventional`]).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationName(
    // Invariant: not empty; checked in `from_str` only. Shared, as above.
    Arc<str>,
);

/// The number or time that a migration's name begins with; greater is later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationNumber<'n> {
    prefix: &'n str,
    groups: Vec<u64>,
}

/// A migration of a service, written `service:migration`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MigrationId {
    /// Service that owns the migration.
    pub service: ServiceName,
    /// Name within the service.
    pub name: MigrationName,
}

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A service's name breaks the pattern of [`ServiceName`].
    #[error(
        "{} is not a service name: a lower-case letter, then lower-case letters, digits, `_`, `-` or `.`, at most 40 bytes",
        without_address(text)
    )]
    Service {
        /// The text as given.
        text: String,
    },
    /// A migration's name is empty.
    #[error("a migration name is empty")]
    EmptyMigration,
    /// The text is not of the form `service:migration`.
    #[error("`{text}` does not name a migration of a service: expected `service:migration`")]
    Id {
        /// The text as given.
        text: String,
    },
}

/// A text in backticks, unless it looks like an address: that may hold a password, and is not repeated.
fn without_address(text: &str) -> String {
    if text.contains("://") { "what looks like an address".to_owned() } else { format!("`{text}`") }
}

impl ServiceName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MigrationName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number or time that the name begins with, behind at most one letter: `m20251016_000001_create_messages`,
    /// `m0000010_init`, `0001_initial`, `2019-11-15-182353_Add email notifications`. Behind date and time of a name such as
    /// the first, a number is one of its words.
    #[must_use]
    pub fn number(&self) -> Option<MigrationNumber<'_>> {
        /// Digits of `YYYYMMDD` and `HHMMSS`.
        const DATE_AND_TIME: [usize; 2] = [8, 6];
        let prefix = usize::from(self.0.starts_with(|c: char| c.is_ascii_alphabetic()));
        let (prefix, rest) = self.0.split_at(prefix);
        let (mut groups, mut widths) = (Vec::new(), Vec::new());
        for group in rest.split(['_', '-', '.']) {
            match group.parse() {
                Ok(number) if widths != DATE_AND_TIME => {
                    groups.push(number);
                    widths.push(group.len());
                }
                _ => break,
            }
        }
        if groups.is_empty() { None } else { Some(MigrationNumber { prefix, groups }) }
    }

    /// Whether the name has the form `mYYYYMMDD_HHMMSS_words`: the order of such names is the order of their times.
    /// Nothing depends on it; it is a convention.
    #[must_use]
    pub fn is_conventional(&self) -> bool {
        let bytes = self.0.as_bytes();
        let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
        bytes.len() > 17
            && self.0.len() <= 200
            && bytes[0] == b'm'
            && digits(1..9)
            && bytes[9] == b'_'
            && digits(10..16)
            && bytes[16] == b'_'
            && bytes[17..].iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'_')
    }
}

impl MigrationNumber<'_> {
    /// Whether both are numbered in one way, so that it is known which is later.
    #[must_use]
    pub fn is_comparable_to(&self, other: &Self) -> bool {
        self.prefix == other.prefix
    }
}

impl FromStr for ServiceName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let continues = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-.".contains(&b));
        if starts && continues && text.len() <= 40 {
            Ok(Self(text.into()))
        } else {
            Err(NameError::Service { text: text.to_owned() })
        }
    }
}

impl FromStr for MigrationName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.is_empty() { Err(NameError::EmptyMigration) } else { Ok(Self(text.into())) }
    }
}

impl FromStr for MigrationId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (service, name) = text.split_once(':').ok_or_else(|| NameError::Id { text: text.to_owned() })?;
        Ok(Self { service: service.parse()?, name: name.parse()? })
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for MigrationName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.service, self.name)
    }
}
