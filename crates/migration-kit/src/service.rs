//! What a service is: its name, its schema, its migrations in order, what it sees of others, as data.
//!
//! It is long because all that can be said of a service is said here, each with its sentence.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;

use migration_plan::{
    KnownMigration, KnownService, MigrationId, MigrationList, MigrationName, NameError, ServiceName,
};
use sea_orm::DynIden;
use sea_orm_migration::{MigrationTrait, MigratorTrait};

use crate::lock_file::{LockFile, LockFileError};
use crate::sql::{self, SqlError, SqlMigration};
use crate::{Details, EntityTable};

/// Longest name of a migration, in bytes. It is a key in the version table and is printed in every table.
const LONGEST_NAME: usize = 255;

/// A migration of a service: sea-orm's migration, and what is known of it before it runs.
pub trait ServiceMigration: MigrationTrait {
    /// Phase, requirements, checks and the rest, as data. Called once, when the service is made.
    fn details(&self) -> Details;
}

/// A migration in its service's list: its name, what is known of it before it runs, and sea-orm's migration.
#[derive(Clone)]
pub struct Listed {
    name: MigrationName,
    details: Arc<Details>,
    body: Arc<dyn MigrationTrait>,
}

/// A table that belongs to another owner and that the service's application reads. Its presence is reported, its
/// absence is no error, and a migration that changes it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Schema of the table.
    pub schema: String,
    /// Name of the table.
    pub table: String,
    /// Who owns it, for messages: `the forum`.
    pub owner: String,
}

/// An empty table in the service's schema under the name of another runner's version table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandIn {
    /// Name of the table.
    pub table: String,
    /// Its columns, as `CREATE TABLE` has them.
    pub columns: String,
}

/// A service and all that the coordinator needs to know of it.
#[derive(Clone)]
pub struct Service {
    // Invariant: these names are valid and distinct; checked in `of`.
    name: ServiceName,
    migrations: Vec<Listed>,
    // Invariant: the names of `migrations`.
    list: MigrationList,
    default_schema: String,
    externals: Vec<External>,
    tables: Vec<String>,
    types: Vec<String>,
    functions: Vec<String>,
    owns_its_schema: bool,
    further_schemas: Vec<String>,
    stand_ins: Vec<StandIn>,
    extensions: Vec<String>,
    entities: Vec<EntityTable>,
    version_table: String,
    lock_file: Option<Result<LockFile, LockFileError>>,
}

/// Why a list of migrations is not a service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServiceError {
    /// A name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// SQL files are not migrations.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// A migration's name is too long, or has a character that cannot be printed.
    #[error("`{service}`: a migration's name must be printable and have at most 255 bytes: {migration:?}")]
    Unprintable {
        /// The service.
        service: ServiceName,
        /// The name as given.
        migration: String,
    },
    /// Details are given for a migration that the service does not have.
    #[error("`{service}` has no migration `{migration}` to give details to")]
    Unknown {
        /// The service.
        service: ServiceName,
        /// The name as given.
        migration: String,
    },
    /// A check ends with a migration that does not come after its own: it would never end, or never begin.
    #[error(
        "`{service}`: a check of `{migration}` ends with `{until}`, which is no later migration of the service"
    )]
    NoLaterMigration {
        /// The service.
        service: ServiceName,
        /// The migration of the check.
        migration: MigrationName,
        /// The name that the check gives.
        until: MigrationName,
    },
    /// A migration panicked when it was asked for its details.
    #[error("`{service}`: the details of `{migration}` cannot be made: it panicked: {message}")]
    Panicked {
        /// The service.
        service: String,
        /// The name as given.
        migration: String,
        /// What the panic says.
        message: String,
    },
    /// Two migrations have one name.
    #[error("migration `{service}:{migration}` is listed twice")]
    Duplicate {
        /// The service.
        service: ServiceName,
        /// The name that is listed twice.
        migration: MigrationName,
    },
}

impl Service {
    /// A service with its migrations in the order in which they are applied. Its schema has its name until
    /// [`Service::with_default_schema`] says otherwise.
    ///
    /// # Errors
    /// [`ServiceError`] if a name is malformed or is listed twice, a check ends with no later migration, or a migration panics
    /// in its `details()`.
    pub fn new(name: &str, migrations: Vec<Box<dyn ServiceMigration>>) -> Result<Self, ServiceError> {
        let with_details = |migration: Box<dyn ServiceMigration>| {
            // What the panic may have left half changed is the migration's own, and that is dropped.
            let asked = panic::catch_unwind(AssertUnwindSafe(|| migration.details()));
            let details = asked.map_err(|panic| ServiceError::Panicked {
                service: name.to_owned(),
                migration: migration.name().to_owned(),
                message: panic_message(&*panic).to_owned(),
            })?;
            Ok((details, migration as Box<dyn MigrationTrait>))
        };
        Self::of(name, version_table(name), migrations.into_iter().map(with_details))
    }

    /// A service of any existing sea-orm migrator: its names in its order, its version table, each migration in a
    /// transaction or not as it says itself. All are expand steps; [`Service::with_details`] says more of single ones.
    ///
    /// # Errors
    /// [`ServiceError`] if a name cannot be printed or is listed twice.
    pub fn from_migrator<M: MigratorTrait>(name: &str) -> Result<Self, ServiceError> {
        let migrations = M::migrations().into_iter().map(|migration| Ok((Details::expand(), migration)));
        let table: DynIden = M::migration_table_name();
        Self::of(name, table.to_string(), migrations)
    }

    /// A service of the SQL files in a folder, read now; [`crate::sql`] says which layouts are understood. All are
    /// expand steps; [`Service::with_details`] says more of single ones.
    ///
    /// # Errors
    /// [`ServiceError::Sql`] if the folder cannot be read or its files are not migrations.
    pub fn from_sql_directory(name: &str, folder: impl AsRef<Path>) -> Result<Self, ServiceError> {
        Self::from_sql_migrations(name, sql::from_directory(folder.as_ref())?)
    }

    /// A service of SQL files that are compiled in: see [`crate::sql_files!`].
    ///
    /// # Errors
    /// [`ServiceError::Sql`] if the files are not migrations.
    pub fn from_sql_files<'f>(
        name: &str,
        files: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    ) -> Result<Self, ServiceError> {
        Self::from_sql_migrations(name, sql::from_files(files)?)
    }

    /// A service of migrations that were read before.
    ///
    /// # Errors
    /// [`ServiceError`] if a name cannot be printed or is listed twice.
    pub fn from_sql_migrations(name: &str, migrations: Vec<SqlMigration>) -> Result<Self, ServiceError> {
        let with_details = |migration: SqlMigration| {
            let details = if migration.is_reversible() {
                Details::expand()
            } else {
                Details::expand().irreversible("no file says how")
            };
            Ok((details, Box::new(migration) as Box<dyn MigrationTrait>))
        };
        Self::of(name, version_table(name), migrations.into_iter().map(with_details))
    }

    /// A service of these migrations, each with what is known of it.
    fn of(
        name: &str,
        version_table: String,
        migrations: impl Iterator<Item = Result<(Details, Box<dyn MigrationTrait>), ServiceError>>,
    ) -> Result<Self, ServiceError> {
        let service: ServiceName = name.parse()?;
        let mut listed = Vec::with_capacity(migrations.size_hint().0);
        // Most migrations have these, and there may be ten thousand: they share them.
        let plain = Arc::new(Details::expand());
        for migration in migrations {
            let (details, body) = migration?;
            let name: MigrationName = body.name().parse()?;
            let is_plain = name.as_str().bytes().all(|byte| (b' '..=b'~').contains(&byte));
            let is_printable = is_plain || !name.as_str().chars().any(char::is_control);
            if name.as_str().len() > LONGEST_NAME || !is_printable {
                return Err(ServiceError::Unprintable { service, migration: name.as_str().to_owned() });
            }
            let details = if details == *plain { plain.clone() } else { Arc::new(details) };
            listed.push(Listed { name, details, body: body.into() });
        }
        let names = listed.iter().map(|listed: &Listed| listed.name.clone()).collect();
        let list = MigrationList::new(names).map_err(|again| ServiceError::Duplicate {
            service: service.clone(),
            migration: listed[again].name.clone(),
        })?;
        let service = Self {
            name: service,
            migrations: listed,
            list,
            default_schema: name.to_owned(),
            version_table,
            externals: Vec::new(),
            tables: Vec::new(),
            types: Vec::new(),
            functions: Vec::new(),
            owns_its_schema: false,
            further_schemas: Vec::new(),
            stand_ins: Vec::new(),
            extensions: Vec::new(),
            entities: Vec::new(),
            lock_file: None,
        };
        service.migrations.iter().try_for_each(|listed| service.check(&listed.name, &listed.details))?;
        Ok(service)
    }

    /// Says what is known of one migration, in place of what was said before: for a migration that comes from another
    /// crate or from an SQL file.
    ///
    /// # Errors
    /// [`ServiceError::Unknown`] if the service has no such migration, [`ServiceError::Name`] if a requirement is not
    /// `service:migration`, [`ServiceError::NoLaterMigration`] if a check ends with no later migration.
    pub fn with_details(mut self, migration: &str, details: Details) -> Result<Self, ServiceError> {
        let name: MigrationName = migration.parse()?;
        self.check(&name, &details)?;
        match self.list.place(name.as_str()) {
            Some(place) => self.migrations[place].details = Arc::new(details),
            None => {
                return Err(ServiceError::Unknown { service: self.name, migration: migration.to_owned() });
            }
        }
        Ok(self)
    }

    /// Whether the names in the details of this migration are what they have to be.
    fn check(&self, migration: &MigrationName, details: &Details) -> Result<(), ServiceError> {
        for required in &details.requires {
            required.parse::<MigrationId>()?;
        }
        for until in details.checks.iter().filter_map(|check| check.until.as_ref()) {
            if self.list.place(until.as_str()) <= self.list.place(migration.as_str()) {
                return Err(ServiceError::NoLaterMigration {
                    service: self.name.clone(),
                    migration: migration.clone(),
                    until: until.clone(),
                });
            }
        }
        Ok(())
    }

    /// The service without the migrations for which `is_kept` says no: as it was, or is elsewhere. What the others require of
    /// them stays.
    #[must_use]
    pub fn retain(mut self, is_kept: impl Fn(&MigrationName) -> bool) -> Self {
        self.migrations.retain(|listed| is_kept(&listed.name));
        let names = self.migrations.iter().map(|listed| listed.name.clone()).collect();
        self.list = MigrationList::new(names).expect("they were distinct before");
        self
    }

    /// Sets the schema in which the service lives unless its user says otherwise.
    #[must_use]
    pub fn with_default_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.default_schema);
        self
    }

    /// Declares a table of another owner that the service's application reads.
    #[must_use]
    pub fn with_external(mut self, schema: &str, table: &str, owner: &str) -> Self {
        let [schema, table, owner] = [schema, table, owner].map(str::to_owned);
        self.externals.push(External { schema, table, owner });
        self
    }

    /// Names the service's types, such as enums. Needed where [`Service::with_tables`] is, to let a migration drop what another
    /// one has made, unless only the service's tables use it.
    #[must_use]
    pub fn with_types(mut self, types: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.types.extend(types.into_iter().map(|name| name.as_ref().to_owned()));
        self
    }

    /// Names the service's functions, each with the types of its arguments: `["bot_of(integer, text)"]`. In a schema that
    /// it shares, another owner's function of that name is then noticed before anything is applied.
    #[must_use]
    pub fn with_functions(mut self, functions: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.functions.extend(functions.into_iter().map(|function| function.as_ref().to_owned()));
        self
    }

    /// Names the service's tables. Needed where it may live in a schema that it shares with others: there, a migration
    /// may change these tables and what it creates itself, and nothing else.
    #[must_use]
    pub fn with_tables(mut self, tables: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.tables.extend(tables.into_iter().map(|table| table.as_ref().to_owned()));
        self
    }

    /// Says that all of its schema is the service's own, wherever it is placed: for a schema such as `public` that nobody
    /// shares. Another service in it is refused, and the service's tables need not be named.
    #[must_use]
    pub fn owning_schema(mut self) -> Self {
        self.owns_its_schema = true;
        self
    }

    /// Names further schemas that the service's migrations make and that are its own; two services that name the same one are
    /// refused. They are not in `search_path`.
    #[must_use]
    pub fn with_schemas(mut self, schemas: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.further_schemas.extend(schemas.into_iter().map(|schema| schema.as_ref().to_owned()));
        self
    }

    /// Has an empty table in the service's schema before its first migration: for migrations that touch the version table of
    /// the runner that they were written for. `columns` is what is in the parentheses of `CREATE TABLE`:
    /// `with_stand_in("_sqlx_migrations", "version bigint, checksum bytea")`.
    #[must_use]
    pub fn with_stand_in(mut self, table: &str, columns: &str) -> Self {
        self.stand_ins.push(StandIn { table: table.to_owned(), columns: columns.to_owned() });
        self
    }

    /// Names the extensions of PostgreSQL that the service's migrations need. They belong to the database, so they are
    /// made once, before the first migration of a service that needs them, in `public` or, where that is gone, in a schema
    /// `extensions`; one that is there already stays where it is. The `search_path` of migrations and checks leads there.
    ///
    /// Plain sea-orm makes none: a migration that has to work there too says `CREATE EXTENSION IF NOT EXISTS` itself.
    #[must_use]
    pub fn with_extensions(mut self, extensions: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.extensions.extend(extensions.into_iter().map(|extension| extension.as_ref().to_owned()));
        self
    }

    /// Declares the sea-orm entities by which the service's application sees its tables, for comparing them with the tables.
    #[must_use]
    pub fn with_entities(mut self, entities: impl IntoIterator<Item = EntityTable>) -> Self {
        self.entities.extend(entities);
        self
    }

    /// Names the version table where an existing database has it under another name; the service's `MigratorTrait` then
    /// says the same.
    #[must_use]
    pub fn with_version_table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.version_table);
        self
    }

    /// Gives the text of the service's `migrations.lock`: checksums and table locks per migration. It is read here, once;
    /// a malformed one is reported by [`Service::lock_file`], and so by whatever deploys the service.
    #[must_use]
    pub fn with_lock_file(mut self, text: impl AsRef<str>) -> Self {
        self.lock_file = Some(LockFile::parse(text.as_ref()));
        self
    }

    /// Name of the service.
    #[must_use]
    pub fn name(&self) -> &ServiceName {
        &self.name
    }

    /// Schema in which the service lives unless its user says otherwise.
    #[must_use]
    pub fn default_schema(&self) -> &str {
        &self.default_schema
    }

    /// Tables of others that the service's application reads.
    #[must_use]
    pub fn externals(&self) -> &[External] {
        &self.externals
    }

    /// The service's own types, where it named them.
    #[must_use]
    pub fn types(&self) -> &[String] {
        &self.types
    }

    /// The service's own functions, where it named them, with the types of their arguments.
    #[must_use]
    pub fn functions(&self) -> &[String] {
        &self.functions
    }

    /// The service's own tables, where it named them.
    #[must_use]
    pub fn tables(&self) -> &[String] {
        &self.tables
    }

    /// Whether all of its schema is the service's own, wherever it is placed.
    #[must_use]
    pub fn owns_its_schema(&self) -> bool {
        self.owns_its_schema
    }

    /// Schemas of its own beside the one in which it lives.
    #[must_use]
    pub fn further_schemas(&self) -> &[String] {
        &self.further_schemas
    }

    /// Empty tables in place of another runner's version table.
    #[must_use]
    pub fn stand_ins(&self) -> &[StandIn] {
        &self.stand_ins
    }

    /// The sea-orm entities of its tables, where it declared them.
    #[must_use]
    pub fn entities(&self) -> &[EntityTable] {
        &self.entities
    }

    /// Extensions of PostgreSQL that the service's migrations need.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }

    /// The service's `migrations.lock`, if it has one.
    ///
    /// # Errors
    /// [`LockFileError`] with the first line that does not follow the format.
    pub fn lock_file(&self) -> Result<Option<&LockFile>, &LockFileError> {
        self.lock_file.as_ref().map(Result::as_ref).transpose()
    }

    /// What a migration does, in a sentence, if the service's `migrations.lock` says so.
    #[must_use]
    pub fn description(&self, migration: &MigrationName) -> Option<&str> {
        self.lock_file().ok().flatten()?.entry(migration)?.does.as_deref()
    }

    /// Name of the service's version table: sea-orm's layout, one table a service.
    #[must_use]
    pub fn version_table(&self) -> &str {
        &self.version_table
    }

    /// The migrations in their order.
    pub fn migrations(&self) -> impl Iterator<Item = &Listed> {
        self.migrations.iter()
    }

    /// The names of the migrations.
    #[must_use]
    pub fn list(&self) -> &MigrationList {
        &self.list
    }

    /// The migration of this name, if the service has it.
    #[must_use]
    pub fn migration(&self, name: &MigrationName) -> Option<&Listed> {
        self.list.place(name.as_str()).map(|place| &self.migrations[place])
    }

    /// What planning needs to know of the service.
    #[must_use]
    pub fn known(&self) -> KnownService {
        KnownService {
            name: self.name.clone(),
            migrations: self.migrations.iter().map(Listed::known).collect(),
        }
    }
}

impl Listed {
    /// Name of the migration.
    #[must_use]
    pub fn name(&self) -> &MigrationName {
        &self.name
    }

    /// What is known of the migration before it runs.
    #[must_use]
    pub fn details(&self) -> &Details {
        &self.details
    }

    /// The migration as sea-orm knows it.
    #[must_use]
    pub fn body(&self) -> &dyn MigrationTrait {
        &*self.body
    }

    /// Whether the migration runs inside one transaction.
    #[must_use]
    pub fn is_transactional(&self) -> bool {
        self.body.use_transaction().unwrap_or(true)
    }

    fn known(&self) -> KnownMigration {
        KnownMigration {
            name: self.name.clone(),
            phase: self.details.phase,
            transactional: self.is_transactional(),
            irreversible: self.details.irreversible.clone(),
            replaces: self.details.replaces.clone(),
            loses: self.details.loses.clone(),
            requires: self
                .details
                .requires
                .iter()
                .map(|text| text.parse().expect("checked when the details were given"))
                .collect(),
        }
    }
}

/// What a panic says: the text of `panic!`, which is all but those that `panic_any` throws.
#[must_use]
pub fn panic_message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message")
}

/// The migrations as plain sea-orm migrations, for a service's `MigratorTrait`.
#[must_use]
pub fn plain(migrations: Vec<Box<dyn ServiceMigration>>) -> Vec<Box<dyn MigrationTrait>> {
    migrations.into_iter().map(|migration| -> Box<dyn MigrationTrait> { migration }).collect()
}

/// Name of a service's version table unless it names another one, for its `MigratorTrait`.
#[must_use]
pub fn version_table(service: &str) -> String {
    format!("seaql_migrations_{service}")
}
