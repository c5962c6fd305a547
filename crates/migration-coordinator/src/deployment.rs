//! Which service lives where: the services of a program, each with its schema and its database.
//!
//! Decided before anything is connected. Reading addresses from the environment is the caller's part. It is long because each way in
//! which services cannot live together has its error here, with its sentence.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use migration_kit::{Check, LockFile, LockFileError, Made, MigrationId, MigrationName, Service, qualified};
use migration_plan::{Catalog, CatalogError, Hint, Offer, ServiceName};

use crate::belongings::{self, Applied, Kind, Number, Thing};
use crate::database::DatabaseUrl;
use crate::site::Site;

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
    // Invariant: no two placements share a version table, claim one schema, or make one name in it; checked in `new`.
    placements: Vec<Placed>,
    // Invariant: where each service is in `placements`.
    places: HashMap<ServiceName, usize>,
    databases: Vec<DatabaseUrl>,
    /// For each of `databases` the first one with the same address: they differ in the role that connects.
    same_address: Vec<usize>,
    catalog: Catalog,
    /// Objects that every migration may touch, each as `schema.name`.
    allowed: BTreeSet<String>,
    /// Whether migrations are applied where text may be any bytes.
    any_bytes: bool,
}

/// A service at its site.
pub(crate) struct Placed {
    pub(crate) site: Site,
    pub(crate) service: Service,
    pub(crate) lock_file: LockFile,
}

/// Why services cannot be coordinated together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
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
    /// A service claims a schema for itself in which another one lives, or which another one claims too.
    #[error("`{first}` and `{second}` cannot both have the schema `{schema}`: {why}")]
    ClaimedSchema {
        /// The service that claims it.
        first: ServiceName,
        /// The other.
        second: ServiceName,
        /// The schema.
        schema: String,
        /// How it is claimed.
        why: &'static str,
    },
    /// Two services of one schema make something of the same name.
    #[error("{}, and share the schema `{schema}`", both_have((first, &made.0), (second, &made.1)))]
    SharedName {
        /// One service.
        first: ServiceName,
        /// The other.
        second: ServiceName,
        /// The schema.
        schema: String,
        /// What each of them makes.
        made: Box<(Made, Made)>,
    },
    /// A service that shares its schema with another one does not say what is its own there.
    #[error("`{service}` shares the schema `{schema}` with `{other}` and names no tables of its own")]
    NoTables {
        /// The service.
        service: ServiceName,
        /// The other.
        other: ServiceName,
        /// The schema.
        schema: String,
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

impl DeploymentError {
    /// What to do next.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Self::SharedVersionTable { second, .. }
            | Self::ClaimedSchema { second, .. }
            | Self::SharedName { second, .. } => Some(format!("give `{second}` a schema of its own").into()),
            Self::NoTables { service, .. } => {
                let ways = format!(
                    "name its tables with `Service::with_tables`, or give `{service}` a schema of its own"
                );
                Some(ways.into())
            }
            Self::SchemaName { service, .. } => {
                Some(Hint::from("set ") + Offer::Schema(service.clone()) + " to another name")
            }
            Self::Catalog(_) | Self::LockFile { .. } => None,
        }
    }
}

impl Deployment {
    /// Puts services and databases together.
    ///
    /// # Errors
    /// [`DeploymentError`] if names or requirements do not fit, a schema cannot have its name, two services share a
    /// version table, a schema that one of them claims, or a name in their schema, or a lock file is malformed.
    pub fn new(placements: Vec<Placement>) -> Result<Self, DeploymentError> {
        let catalog = Catalog::new(placements.iter().map(|p| p.service.known()).collect())?;
        let mut databases: Vec<DatabaseUrl> = Vec::new();
        let mut identities = HashMap::new();
        let mut addresses = HashMap::new();
        let mut same_address: Vec<usize> = Vec::new();
        let mut tables: BTreeMap<(usize, String), ServiceName> = BTreeMap::new();
        let mut placed = Vec::with_capacity(placements.len());
        for Placement { service, schema, url } in placements {
            for schema in [&schema].into_iter().chain(service.further_schemas()) {
                if let Some(why) = unusable_schema(schema) {
                    let (service, schema) = (service.name().clone(), schema.clone());
                    return Err(DeploymentError::SchemaName { service, schema, why });
                }
            }
            let database = *identities.entry(url.identity()).or_insert_with(|| {
                same_address.push(*addresses.entry(url.address()).or_insert(databases.len()));
                databases.push(url);
                databases.len() - 1
            });
            let table = qualified(&schema, service.version_table());
            let place = (same_address[database], table.clone());
            if let Some(first) = tables.insert(place, service.name().clone()) {
                return Err(DeploymentError::SharedVersionTable {
                    first,
                    second: service.name().clone(),
                    table,
                });
            }
            let lock_file = service.lock_file().map_err(|source| DeploymentError::LockFile {
                service: service.name().clone(),
                source: source.clone(),
            })?;
            let lock_file = lock_file.cloned().unwrap_or_default();
            placed.push(Placed { site: Site::new(&service, schema, database), service, lock_file });
        }
        neighbours(&mut placed, &same_address)?;
        let places = placed.iter().enumerate().map(|(place, p)| (p.name().clone(), place)).collect();
        let allowed = BTreeSet::new();
        Ok(Self { placements: placed, places, databases, same_address, catalog, allowed, any_bytes: false })
    }

    /// Lets every migration touch these objects, each `schema.name` without quotes: what the database's own event
    /// triggers write to.
    #[must_use]
    pub fn allowing(mut self, objects: impl IntoIterator<Item = String>) -> Self {
        self.allowed.extend(objects);
        self
    }

    /// Whether migrations are applied in databases with the encoding SQL_ASCII too, which take bytes that are no text: an operator
    /// who knows that all text there is UTF-8 may say so.
    #[must_use]
    pub fn allowing_any_bytes(mut self, any_bytes: bool) -> Self {
        self.any_bytes = any_bytes;
        self
    }

    pub(crate) fn allows(&self, object: &str) -> bool {
        self.allowed.contains(object)
    }

    pub(crate) fn allows_any_bytes(&self) -> bool {
        self.any_bytes
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
        self.placements.iter().map(|p| (&p.service, p.site.schema.as_str(), p.site.database))
    }

    /// The service of this name, with its schema and the index of its database.
    #[must_use]
    pub fn service(&self, name: &ServiceName) -> Option<(&Service, &str, usize)> {
        self.placed(name).map(|p| (&p.service, p.site.schema.as_str(), p.site.database))
    }

    /// These services by the index of their database, in their order; those that are not in the deployment are left out.
    #[must_use]
    pub fn by_database(&self, services: &[ServiceName]) -> BTreeMap<usize, Vec<ServiceName>> {
        let mut by_database: BTreeMap<usize, Vec<ServiceName>> = BTreeMap::new();
        for placed in services.iter().filter_map(|service| self.placed(service)) {
            by_database.entry(placed.site.database).or_default().push(placed.name().clone());
        }
        by_database
    }

    /// The tables of a service's bookkeeping, whether they exist or not; none of a service that is not in the deployment.
    #[must_use]
    pub fn bookkeeping_tables(&self, service: &ServiceName) -> Vec<String> {
        self.placed(service).map(|placed| placed.site.bookkeeping_tables()).unwrap_or_default()
    }

    /// Whether a service's schema may hold more than the service: then its own is what [`Self::owns`] says.
    #[must_use]
    pub fn shares_schema(&self, service: &ServiceName) -> bool {
        self.placed(service).is_some_and(|placed| placed.site.shares_schema())
    }

    /// Whether a thing in a service's schema is the service's own, once something of the service is applied: any if nobody shares
    /// the schema, else what the service names and what hangs on that.
    #[must_use]
    pub fn owns(&self, service: &ServiceName, thing: &Thing) -> bool {
        let owner = self.placed(service).and_then(|p| self.owner_of(p.site.database, &p.site.schema, thing));
        owner == Some(service)
    }

    /// Whether a thing in a service's schema is the service's own now. Where nothing of it is applied and others may live there,
    /// only its bookkeeping is, and tables that it takes over.
    #[must_use]
    pub fn has(&self, service: &ServiceName, applied: Applied, thing: &Thing) -> bool {
        let Some(placed) = self.placed(service) else { return false };
        let site = &placed.site;
        if applied == Applied::Something || !site.shares_schema() {
            return self.owns(service, thing);
        }
        let is_table = thing.kind == Kind::Relation;
        is_table && (site.is_bookkeeping(&thing.name) || site.adoptable.contains(&thing.name))
    }

    /// The question for the things in a service's schema, whose answers [`Thing::read`] takes.
    #[must_use]
    pub fn things(&self, service: &ServiceName) -> Option<String> {
        self.placed(service).map(|placed| self.things_of(placed, None))
    }

    /// The same, for those with these numbers if some are given.
    pub(crate) fn things_of(&self, placed: &Placed, only: Option<&[Number]>) -> String {
        let Site { schema, database, .. } = &placed.site;
        let is_there =
            |p: &&Placed| p.site.schema == *schema && self.is_one_database(p.site.database, *database);
        let made = self.placements.iter().filter(is_there).flat_map(|p| &p.site.makes);
        let functions = made.filter(|made| matches!(made, Made::Function(_))).map(Made::name);
        belongings::question(schema, functions, only)
    }

    /// The migration after which the first of a service's own that makes one of these tables comes; `None` if that is its first
    /// one, or none does.
    #[must_use]
    pub fn migration_before(&self, service: &ServiceName, tables: &[String]) -> Option<MigrationId> {
        let migrations: Vec<_> = self.placed(service)?.service.migrations().collect();
        let first = migrations.iter().position(|listed| {
            let mut objects = listed.details().checks.iter().flat_map(Check::objects);
            objects.any(|object| tables.contains(object))
        });
        let before = migrations[first?.checked_sub(1)?].name().clone();
        Some(MigrationId { service: service.clone(), name: before })
    }

    /// Whether two of the [`databases`](Self::databases) are one, by their addresses, to which two roles connect.
    pub(crate) fn is_one_database(&self, one: usize, other: usize) -> bool {
        self.same_address[one] == self.same_address[other]
    }

    /// Services of one database and of another that would meet in a schema if the two were one: each pair with that schema.
    pub(crate) fn meeting(
        &self,
        one: usize,
        other: usize,
    ) -> impl Iterator<Item = (&ServiceName, &ServiceName, &str)> {
        let of = |database| self.placements.iter().filter(move |p| p.site.database == database);
        of(one).flat_map(move |first| {
            of(other).filter_map(move |second| {
                let has = |schema: &&String| {
                    second.site.schema == **schema || second.site.has_further_schema(schema)
                };
                let mut claimed = [&first.site.schema].into_iter().chain(first.service.further_schemas());
                Some((first.name(), second.name(), claimed.find(has)?.as_str()))
            })
        })
    }

    /// The service that is placed into a schema away from its own and has a table there, if it names this one: what another
    /// service declares as another's table is then not what is there.
    #[must_use]
    pub fn newcomer(&self, database: usize, schema: &str, table: &str) -> Option<&ServiceName> {
        let is_it = |p: &&Placed| {
            let is_there = self.is_one_database(p.site.database, database) && p.site.schema == schema;
            is_there && p.service.default_schema() != schema && p.site.tables.iter().any(|own| own == table)
        };
        self.placements.iter().find(is_it).map(Placed::name)
    }

    pub(crate) fn placements(&self) -> &[Placed] {
        &self.placements
    }

    /// Where the services are, in their order.
    pub(crate) fn sites(&self) -> impl Iterator<Item = &Site> {
        self.placements.iter().map(|placed| &placed.site)
    }

    pub(crate) fn placed(&self, service: &ServiceName) -> Option<&Placed> {
        self.places.get(service).map(|&place| &self.placements[place])
    }

    /// The service to which a thing belongs: the one whose schema this is; in a schema that services share, the one that names
    /// it, or that has all relations which use it.
    pub(crate) fn owner_of(&self, database: usize, schema: &str, thing: &Thing) -> Option<&ServiceName> {
        if let Some(whole) = self.owner_of_whole_schema(database, schema) {
            return Some(whole);
        }
        let is_there =
            |p: &&Placed| self.is_one_database(p.site.database, database) && p.site.schema == schema;
        let named = self.placements.iter().filter(is_there).find(|p| p.names(thing)).map(Placed::name);
        named.or_else(|| {
            let mut owners = thing.used_by().map(|relation| self.owner_of(database, schema, &relation));
            let first = owners.next()??;
            owners.all(|owner| owner == Some(first)).then_some(first)
        })
    }

    /// The service that has this schema for itself: lives there alone, or names it as one more of its own.
    pub(crate) fn owner_of_whole_schema(&self, database: usize, schema: &str) -> Option<&ServiceName> {
        let is_whole = |p: &&Placed| {
            self.is_one_database(p.site.database, database)
                && (p.site.schema == schema && !p.site.shares_schema() || p.site.has_further_schema(schema))
        };
        self.placements.iter().find(is_whole).map(Placed::name)
    }

    /// The service whose schema this is.
    pub(crate) fn owner_of_schema(&self, database: usize, schema: &str) -> Option<&ServiceName> {
        let is_of = |p: &&Placed| {
            self.is_one_database(p.site.database, database)
                && (p.site.schema == schema || p.site.has_further_schema(schema))
        };
        self.placements.iter().find(is_of).map(Placed::name)
    }
}

/// Notes which services live in one schema, and refuses those that cannot.
fn neighbours(placed: &mut [Placed], same_address: &[usize]) -> Result<(), DeploymentError> {
    // Each is compared with those that claim schemas and with those that live in its own: not with all of five hundred.
    let mut claiming: Vec<usize> = Vec::new();
    let mut living: HashMap<(usize, String), Vec<usize>> = HashMap::new();
    for second in 0..placed.len() {
        let site = &placed[second].site;
        let address = same_address[site.database];
        let beside = living.entry((address, site.schema.clone())).or_default();
        let claims = !placed[second].service.further_schemas().is_empty();
        let firsts: BTreeSet<usize> =
            if claims { (0..second).collect() } else { beside.iter().chain(&claiming).copied().collect() };
        beside.push(second);
        if claims {
            claiming.push(second);
        }
        for first in firsts {
            let (a, b) = (&placed[first], &placed[second]);
            if same_address[a.site.database] != address {
                continue;
            }
            for (a, b) in [(a, b), (b, a)] {
                let claimed = a.service.further_schemas().iter();
                if let Some(schema) =
                    claimed.clone().find(|s| **s == b.site.schema || b.site.has_further_schema(s))
                {
                    return Err(claimed_schema(a, b, schema, "`with_schemas` names it as one service's own"));
                }
            }
            if a.site.schema == b.site.schema {
                side_by_side(a, b)?;
                placed[first].site.has_neighbour();
                placed[second].site.has_neighbour();
            }
        }
    }
    Ok(())
}

/// Refuses two services of one schema of which one wants all of it, does not say what is its own, or wants what the other has.
fn side_by_side(a: &Placed, b: &Placed) -> Result<(), DeploymentError> {
    for (a, b) in [(a, b), (b, a)] {
        if a.service.owns_its_schema() {
            return Err(claimed_schema(
                a,
                b,
                &a.site.schema,
                "`owning_schema` says that all of it is one service's own",
            ));
        }
        if a.service.tables().is_empty() && a.service.migrations().next().is_some() {
            let (service, other, schema) = (a.name().clone(), b.name().clone(), a.site.schema.clone());
            return Err(DeploymentError::NoTables { service, other, schema });
        }
    }
    let (ours, theirs) = (&a.site.makes, &b.site.makes);
    let both = ours.iter().find_map(|our| Some((our, theirs.iter().find(|their| our.excludes(their))?)));
    match both {
        Some((our, their)) => Err(DeploymentError::SharedName {
            first: a.name().clone(),
            second: b.name().clone(),
            schema: a.site.schema.clone(),
            made: Box::new((our.clone(), their.clone())),
        }),
        None => Ok(()),
    }
}

/// Which name two services both make.
fn both_have((first, our): (&ServiceName, &Made), (second, their): (&ServiceName, &Made)) -> String {
    match (our.kind(), their.kind()) {
        (kind, same) if kind == same => {
            format!("`{first}` and `{second}` both have a {kind} `{}`", our.name())
        }
        (kind, other) => {
            format!("`{first}` has a {kind} `{name}`, `{second}` has a {other} `{name}`", name = our.name())
        }
    }
}

fn claimed_schema(first: &Placed, second: &Placed, schema: &str, why: &'static str) -> DeploymentError {
    let (first, second, schema) = (first.name().clone(), second.name().clone(), schema.to_owned());
    DeploymentError::ClaimedSchema { first, second, schema, why }
}

/// Why no service can live in a schema of this name, if so.
#[must_use]
pub fn unusable_schema(schema: &str) -> Option<&'static str> {
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

impl Placed {
    /// The migrations that need the service's tables on the node that migrates.
    pub(crate) fn on_one_node(&self) -> impl Iterator<Item = &migration_kit::MigrationName> {
        let needs = |listed: &&migration_kit::Listed| listed.details().one_node.is_some();
        self.service.migrations().filter(needs).map(migration_kit::Listed::name)
    }

    /// Whether the service names a thing as its own, or it is of its bookkeeping.
    fn names(&self, thing: &Thing) -> bool {
        let (site, name) = (&self.site, thing.name.clone());
        match thing.kind {
            Kind::Relation => site.is_bookkeeping(&name) || site.makes.contains(&Made::Table(name)),
            Kind::Type => site.makes.contains(&Made::Type(name)),
            Kind::Function => site.makes.contains(&Made::Function(name)),
            Kind::Other => false,
        }
    }

    pub(crate) fn name(&self) -> &ServiceName {
        self.service.name()
    }

    /// The checks of these migrations that still apply when all of `applied` are.
    pub(crate) fn checks_of<'p>(
        &'p self,
        migrations: &'p HashSet<&MigrationName>,
        applied: &'p HashSet<&MigrationName>,
    ) -> impl Iterator<Item = (&'p MigrationName, &'p Check)> {
        let listed = self.service.migrations().filter(|listed| migrations.contains(listed.name()));
        let checks =
            listed.flat_map(|listed| listed.details().checks.iter().map(|check| (listed.name(), check)));
        checks.filter(|(_, check)| check.until.as_ref().is_none_or(|until| !applied.contains(until)))
    }
}
