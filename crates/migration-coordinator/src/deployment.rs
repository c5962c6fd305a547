//! Which service lives where: the services of a program, each with its schema and its database.
//!
//! Decided before anything is connected. Reading addresses from the environment is the caller's part.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use migration_kit::{Service, quote_identifier};
use migration_plan::{Catalog, CatalogError, ServiceName};

use crate::database::DatabaseUrl;
use crate::lock_file::{LockFile, LockFileError};

/// A service, the schema it lives in and the database that holds it.
pub struct Placement {
    /// The service.
    pub service: Service,
    /// Schema of its tables, version table and journal.
    pub schema: String,
    /// Where its database is.
    pub url: DatabaseUrl,
}

/// All services of a program, placed.
pub struct Deployment {
    // Invariant: no two placements share a version table; checked in `new`.
    placements: Vec<Placed>,
    // Invariant: where each service is in `placements`.
    places: HashMap<ServiceName, usize>,
    databases: Vec<DatabaseUrl>,
    catalog: Catalog,
    /// Objects that every migration may touch, each as `schema.name`.
    allowed: BTreeSet<String>,
}

/// A placement with what follows from it.
pub(crate) struct Placed {
    pub(crate) service: Service,
    pub(crate) schema: String,
    pub(crate) database: usize,
    pub(crate) lock_file: LockFile,
}

/// Why services cannot be coordinated together.
#[derive(Debug, thiserror::Error)]
pub enum DeploymentError {
    /// Names or requirements do not fit together.
    #[error("the services do not fit together")]
    Catalog(#[from] CatalogError),
    /// Two services would write one version table.
    #[error(
        "`{first}` and `{second}` share the version table `{table}`: each would take the other's migrations for its own"
    )]
    SharedVersionTable {
        /// One service.
        first: ServiceName,
        /// The other.
        second: ServiceName,
        /// Schema and table.
        table: String,
    },
    /// A schema that PostgreSQL would not take under this name.
    #[error("`{service}`: its schema cannot be `{}`: {why}", schema.escape_debug())]
    SchemaName {
        /// The service.
        service: ServiceName,
        /// The schema's name.
        schema: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A service's `migrations.lock` cannot be read.
    #[error("`{service}`: its `migrations.lock` cannot be read")]
    LockFile {
        /// The service.
        service: ServiceName,
        /// What is wrong with it.
        #[source]
        source: LockFileError,
    },
}

impl Deployment {
    /// Puts services and databases together.
    ///
    /// # Errors
    /// [`DeploymentError`] if names or requirements do not fit, a schema cannot have its name, two services share a
    /// version table, or a lock file is malformed.
    pub fn new(placements: Vec<Placement>) -> Result<Self, DeploymentError> {
        let catalog = Catalog::new(placements.iter().map(|p| p.service.known()).collect())?;
        let mut databases: Vec<DatabaseUrl> = Vec::new();
        let mut identities = HashMap::new();
        let mut tables: BTreeMap<(usize, String), ServiceName> = BTreeMap::new();
        let mut placed = Vec::with_capacity(placements.len());
        for Placement { service, schema, url } in placements {
            if let Some(why) = unusable(&schema) {
                return Err(DeploymentError::SchemaName { service: service.name().clone(), schema, why });
            }
            let database = *identities.entry(url.identity()).or_insert_with(|| {
                databases.push(url);
                databases.len() - 1
            });
            let table = qualified(&schema, service.version_table());
            if let Some(first) = tables.insert((database, table.clone()), service.name().clone()) {
                return Err(DeploymentError::SharedVersionTable {
                    first,
                    second: service.name().clone(),
                    table,
                });
            }
            let lock_file = LockFile::parse(service.lock_file().unwrap_or_default())
                .map_err(|source| DeploymentError::LockFile { service: service.name().clone(), source })?;
            placed.push(Placed { service, schema, database, lock_file });
        }
        let places = placed.iter().enumerate().map(|(place, p)| (p.name().clone(), place)).collect();
        Ok(Self { placements: placed, places, databases, catalog, allowed: BTreeSet::new() })
    }

    /// Lets every migration touch these objects, each `schema.name` without quotes: what the database's own event
    /// triggers write to.
    #[must_use]
    pub fn allowing(mut self, objects: impl IntoIterator<Item = String>) -> Self {
        self.allowed.extend(objects);
        self
    }

    pub(crate) fn allows(&self, object: &str) -> bool {
        self.allowed.contains(object)
    }

    /// What planning knows of the services.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The databases in use, each once.
    #[must_use]
    pub fn databases(&self) -> &[DatabaseUrl] {
        &self.databases
    }

    /// The services in their order, each with its schema and the index of its database.
    pub fn services(&self) -> impl Iterator<Item = (&Service, &str, usize)> {
        self.placements.iter().map(|p| (&p.service, p.schema.as_str(), p.database))
    }

    /// The service of this name, with its schema and the index of its database.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<(&Service, &str, usize)> {
        self.placed(name).map(|p| (&p.service, p.schema.as_str(), p.database))
    }

    pub(crate) fn placements(&self) -> &[Placed] {
        &self.placements
    }

    pub(crate) fn placed(&self, service: &ServiceName) -> Option<&Placed> {
        self.places.get(service).map(|&place| &self.placements[place])
    }

    /// The service to which an object belongs: the one whose schema this is; in a schema that services share, the one
    /// that names the table, or another name with which the object's begins, the longest one first.
    pub(crate) fn owner_of(&self, database: usize, schema: &str, name: &str) -> Option<&ServiceName> {
        let there = || self.placements.iter().filter(|p| p.database == database && p.schema == schema);
        if let Some(whole) = there().find(|p| !p.shares_schema()) {
            return Some(whole.name());
        }
        let begins = |table: &&String| {
            name.strip_prefix(table.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        let longest = |placed: &Placed| placed.service.tables().iter().filter(begins).map(String::len).max();
        there()
            .filter_map(|p| longest(p).map(|length| (length, p.name())))
            .max()
            .map(|(_, name)| name)
            .or_else(|| there().find(|p| crate::bookkeeping::is_bookkeeping(p, name)).map(Placed::name))
    }

    /// The service whose schema this is.
    pub(crate) fn owner_of_schema(&self, database: usize, schema: &str) -> Option<&ServiceName> {
        self.placements.iter().find(|p| p.database == database && p.schema == schema).map(Placed::name)
    }
}

impl Placed {
    pub(crate) fn name(&self) -> &ServiceName {
        self.service.name()
    }

    pub(crate) fn version_table(&self) -> String {
        qualified(&self.schema, self.service.version_table())
    }

    pub(crate) fn journal_name(&self) -> String {
        format!("migration_journal_{}", self.name())
    }

    pub(crate) fn journal(&self) -> String {
        qualified(&self.schema, &self.journal_name())
    }

    /// Text whose hash is the key of the service's migration lock.
    pub(crate) fn lock_key(&self) -> String {
        format!("migrate:{}.{}", self.schema, self.service.version_table())
    }

    /// Whether the schema holds more than this service: `public`, or any other that is not the service's default.
    pub(crate) fn shares_schema(&self) -> bool {
        self.schema != self.service.default_schema() || self.schema == "public"
    }
}

/// Why no service can live in a schema of this name, if so.
fn unusable(schema: &str) -> Option<&'static str> {
    /// `NAMEDATALEN` of PostgreSQL less one.
    const LONGEST: usize = 63;
    match schema {
        "" => Some("it is empty"),
        // Even in quotes, `search_path` reads it as the role's own schema.
        "$user" => Some("a `search_path` takes it for the name of the role"),
        "information_schema" => Some("it is the server's own"),
        _ if schema.starts_with("pg_") => Some("names that begin with `pg_` are the server's own"),
        _ if schema.len() > LONGEST => Some("it is longer than 63 bytes, where PostgreSQL cuts names"),
        _ if schema.contains(char::is_control) => Some("it has a control character"),
        _ => None,
    }
}

/// Schema and name as one SQL identifier.
pub(crate) fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_identifier(schema), quote_identifier(name))
}
