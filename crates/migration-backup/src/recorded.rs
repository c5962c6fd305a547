//! What is recorded of a service at one moment, and what every manifest says of it.

use migration_coordinator::{Deployment, ServiceFacts};
use migration_kit::ServiceName;
use migration_plan::Utc;

use crate::manifest::{Extension, FORMAT, Kind, Manifest, Server, Verification};
use crate::owned::Owned;

/// What is applied of a service, and what was begun.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// All applied migrations, in the order in which the version table has them.
    pub(crate) migrations: Vec<String>,
    /// The last of the list that is applied.
    pub(crate) newest: Option<String>,
    /// Migrations that were begun and not finished.
    pub(crate) unfinished: Vec<String>,
}

impl Recorded {
    pub(crate) fn of(deployment: &Deployment, facts: &ServiceFacts) -> Self {
        let migrations: Vec<String> = facts.applied.iter().map(|row| row.name.to_string()).collect();
        let mut unfinished: Vec<String> = facts
            .journal
            .iter()
            .filter(|(name, journal)| journal.begun && !migrations.contains(&name.to_string()))
            .map(|(name, _)| name.to_string())
            .collect();
        unfinished.sort();
        let known = deployment.catalog().service(&facts.service).map_or(&[][..], |known| &known.migrations);
        let newest = known.iter().rev().find(|known| migrations.contains(&known.name.to_string()));
        let newest = newest.map(|known| known.name.to_string()).or_else(|| migrations.last().cloned());
        Self { migrations, newest, unfinished }
    }
}

/// A service at the moment of its backup.
pub(crate) struct Described<'d> {
    pub(crate) service: &'d ServiceName,
    pub(crate) recorded: &'d Recorded,
    pub(crate) owned: &'d Owned,
    /// The extensions of the database, and the roles that policies name.
    pub(crate) around: (Vec<Extension>, Vec<String>),
    pub(crate) server: &'d Server,
    /// Seconds since 1970.
    pub(crate) taken_at: i64,
    pub(crate) tool: &'d str,
}

impl Described<'_> {
    /// Its manifest, so far of an external backup without a name and without counts.
    pub(crate) fn manifest(self) -> Manifest {
        let Self { service, recorded, owned, around: (extensions, roles), server, taken_at, tool } = self;
        Manifest {
            format: FORMAT.to_owned(),
            kind: Kind::External,
            external: None,
            service: service.to_string(),
            schema: owned.schemas[0].clone(),
            further_schemas: owned.schemas[1..].to_vec(),
            shared: owned.shares,
            archive: String::new(),
            size_bytes: 0,
            sha256: String::new(),
            files: Vec::new(),
            taken_at: Utc(taken_at).rfc3339(),
            newest: recorded.newest.clone(),
            history: Manifest::digest(service.as_str(), &recorded.migrations),
            migrations: recorded.migrations.clone(),
            unfinished: recorded.unfinished.clone(),
            server: server.clone(),
            tables: Vec::new(),
            left_out: Vec::new(),
            functions_and_types: owned.functions.iter().chain(&owned.types).cloned().collect(),
            extensions,
            roles,
            owners: Vec::new(),
            tablespaces: Vec::new(),
            outside: Vec::new(),
            verification: Verification::Skipped("not tried yet".to_owned()),
            pg_dump: None,
            tool: tool.to_owned(),
        }
    }
}
