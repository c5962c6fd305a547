//! What is said of a backup in a file beside it.

use std::fmt;

use migration_plan::counted;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a manifest begins with.
pub(crate) const FORMAT: &str = "migrate-backup/v1";

/// What is known of a backup. It is written when everything else is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// What this file is: `migrate-backup/v1`.
    pub format: String,
    /// What it is of.
    pub kind: Kind,
    /// Of an external one, what is known of it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// The service.
    pub service: String,
    /// The schema that it lives in.
    pub schema: String,
    /// Schemas of its own beside that one.
    pub further_schemas: Vec<String>,
    /// Whether only a part of the schema is the service's.
    pub shared: bool,
    /// Name of the archive, in the same directory; of an external one, of this file.
    pub archive: String,
    /// Its size; of an external one, zero.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal digits; of an external one, empty.
    pub sha256: String,
    /// If the archive is a directory, its files by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<ArchiveFile>,
    /// When its moment was, in UTC.
    pub taken_at: String,
    /// The newest applied migration.
    pub newest: Option<String>,
    /// All applied migrations, in the order in which the version table has them.
    pub migrations: Vec<String>,
    /// Digest of service and migrations.
    pub history: String,
    /// Migrations that were begun and not finished at that moment.
    pub unfinished: Vec<String>,
    /// Where it is from.
    pub server: Server,
    /// How many rows each table has; none if an external one is of a service that is too large for counting.
    pub tables: Vec<TableRows>,
    /// What was there and is not in the archive, in words: a dump does not carry it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Functions and types of a shared schema that are the service's.
    pub functions_and_types: Vec<String>,
    /// Extensions of the database.
    pub extensions: Vec<Extension>,
    /// Roles that policies name.
    pub roles: Vec<String>,
    /// Roles that own something of it or have rights on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// Tablespaces of its tables and indexes, but for the one that is the database's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tablespaces: Vec<String>,
    /// What the service uses and is in other schemas, or of the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<Outside>,
    /// Whether it was proved that it can be restored.
    pub verification: Verification,
    /// Version of `pg_dump`, if it made the archive.
    pub pg_dump: Option<String>,
    /// Tool and version.
    pub tool: String,
}

/// What a manifest is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An archive of `pg_dump`.
    Archive,
    /// A backup that a command of the shell has made, whose files only its tool knows.
    External,
}

/// What is known here of a backup that a command has made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// The name that the command was given.
    pub name: String,
    /// Where the server's log was before; `None` on a standby.
    pub wal_position: Option<String>,
}

/// A file of an archive that is a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveFile {
    /// Its name.
    pub name: String,
    /// Its size.
    pub size_bytes: u64,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// A database and its server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Server {
    /// The server's own number, which no other server has, unless it is a copy of its files.
    pub identifier: String,
    /// Version as the server writes it: `15.18`.
    pub version: String,
    /// Database on it.
    pub database: String,
}

/// A table and its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// How many rows it has.
    pub rows: i64,
}

impl fmt::Display for TableRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of `{}.{}`", counted(self.rows, "row", "rows"), self.schema, self.name)
    }
}

/// An extension and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Its name.
    pub name: String,
    /// The schema of its objects.
    pub schema: String,
}

/// Something that a service uses and that no backup of it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// What of the service uses it: ``trigger `audit on chat.messages` ``.
    pub used_by: String,
    /// What it is, as the server calls it: `function`.
    pub kind: String,
    /// Its name with its schema and the types of its arguments, as SQL has it.
    pub name: String,
}

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} uses {} `{}`", self.used_by, self.kind, self.name)
    }
}

/// Whether it was proved that a backup can be restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// It was restored into a private server, with the same rows and the same schema.
    Restored,
    /// It was not tried, for this reason.
    Skipped(String),
}

impl Manifest {
    /// How many rows all tables have.
    #[must_use]
    pub fn n_rows(&self) -> i64 {
        // A file that was edited may say anything.
        self.tables.iter().fold(0, |sum, table| sum.saturating_add(table.rows))
    }

    /// It as the text of its file, which ends with a seal.
    pub(crate) fn sealed(&self) -> String {
        let mut value = serde_json::to_value(self).expect("a manifest is numbers and texts");
        let seal = seal(&value);
        value[SEAL] = seal.into();
        format!("{value:#}\n")
    }

    /// Whether the text of its file is as it was written.
    pub(crate) fn is_as_written(mut value: serde_json::Value) -> bool {
        let written = value.as_object_mut().and_then(|fields| fields.remove(SEAL));
        written.is_some_and(|written| written == seal(&value))
    }

    /// Digest of a history.
    pub(crate) fn digest(service: &str, migrations: &[String]) -> String {
        hex(&Sha256::digest([&[service.to_owned()][..], migrations].concat().join("\n")))
    }
}

/// The field with a digest of all others. It finds what was edited or broken; whoever may write there can write it anew.
const SEAL: &str = "seal";

fn seal(value: &serde_json::Value) -> String {
    hex(&Sha256::digest(value.to_string()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
