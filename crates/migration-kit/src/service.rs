//! What a service is: its name, its schema, its migrations in order, what it sees of others, as data.

use std::collections::BTreeSet;

use migration_plan::{KnownMigration, KnownService, MigrationId, MigrationName, NameError, ServiceName};
use sea_orm_migration::MigrationTrait;

use crate::Details;

/// A migration of a service: sea-orm's migration, and what is known of it before it runs.
pub trait ServiceMigration: MigrationTrait {
    /// Phase, requirements, checks and the rest, as data. Called often: it must be cheap and always the same.
    fn details(&self) -> Details;
}

/// A table that belongs to somebody else and that the service's application reads. Its presence is reported, its
/// absence is no error, and a migration that changes it is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// Schema of the table.
    pub schema: &'static str,
    /// Name of the table.
    pub table: &'static str,
    /// Who owns it, for messages: `the forum`.
    pub owner: &'static str,
}

/// A service and all that the coordinator needs to know of it.
pub struct Service {
    // Invariant: these names are valid and distinct; checked in `new`.
    name: ServiceName,
    migrations: Vec<(MigrationName, Box<dyn ServiceMigration>)>,
    default_schema: String,
    externals: Vec<External>,
    tables: Vec<&'static str>,
    version_table: String,
    lock_file: Option<&'static str>,
}

/// Why a list of migrations is not a service.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ServiceError {
    /// A name is malformed.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A migration's name lacks the form `mYYYYMMDD_HHMMSS_verb_noun`.
    #[error("`{service}`: migration `{migration}` is not named `mYYYYMMDD_HHMMSS_verb_noun`")]
    Unconventional {
        /// The service.
        service: ServiceName,
        /// The name as given.
        migration: MigrationName,
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
    /// Two migrations have one name.
    #[error("`{service}`: migration `{migration}` is listed twice")]
    Duplicate {
        /// The service.
        service: ServiceName,
        /// The name that stands twice.
        migration: MigrationName,
    },
}

impl Service {
    /// A service with its migrations in the order in which they are applied. Its schema has its name until
    /// [`Service::default_schema`] says otherwise.
    ///
    /// # Errors
    /// [`ServiceError`] if a name is malformed or stands twice, or a check ends with no later migration.
    pub fn new(name: &str, migrations: Vec<Box<dyn ServiceMigration>>) -> Result<Self, ServiceError> {
        let service: ServiceName = name.parse()?;
        let mut seen = BTreeSet::new();
        let mut named = Vec::with_capacity(migrations.len());
        for migration in migrations {
            let name: MigrationName = migration.name().parse()?;
            if !name.is_conventional() {
                return Err(ServiceError::Unconventional { service, migration: name });
            }
            if !seen.insert(name.clone()) {
                return Err(ServiceError::Duplicate { service, migration: name });
            }
            for required in migration.details().requires {
                required.parse::<MigrationId>()?;
            }
            named.push((name, migration));
        }
        for (index, (name, migration)) in named.iter().enumerate() {
            let later = &named[index + 1..];
            let ends = migration.details().checks.into_iter().filter_map(|check| check.until);
            for until in ends {
                if later.iter().all(|(later, _)| *later != until) {
                    return Err(ServiceError::NoLaterMigration { service, migration: name.clone(), until });
                }
            }
        }
        Ok(Self {
            name: service,
            migrations: named,
            default_schema: name.to_owned(),
            version_table: version_table(name),
            externals: Vec::new(),
            tables: Vec::new(),
            lock_file: None,
        })
    }

    /// Sets the schema in which the service lives unless its user says otherwise.
    #[must_use]
    pub fn with_default_schema(mut self, schema: &str) -> Self {
        schema.clone_into(&mut self.default_schema);
        self
    }

    /// Declares a table of somebody else that the service's application reads.
    #[must_use]
    pub fn with_external(mut self, schema: &'static str, table: &'static str, owner: &'static str) -> Self {
        self.externals.push(External { schema, table, owner });
        self
    }

    /// Names the service's tables. Needed where it may live in a schema that it shares with others: there, a migration
    /// may change these tables and what it creates itself, and nothing else.
    #[must_use]
    pub fn with_tables(mut self, tables: &[&'static str]) -> Self {
        self.tables.extend_from_slice(tables);
        self
    }

    /// Names the version table where an existing database has it under another name; the service's `MigratorTrait` then
    /// says the same.
    #[must_use]
    pub fn with_version_table(mut self, table: &str) -> Self {
        table.clone_into(&mut self.version_table);
        self
    }

    /// Gives the text of the service's `migrations.lock`: checksums and table locks per migration.
    #[must_use]
    pub fn with_lock_file(mut self, text: &'static str) -> Self {
        self.lock_file = Some(text);
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

    /// The service's own tables, where it named them.
    #[must_use]
    pub fn tables(&self) -> &[&'static str] {
        &self.tables
    }

    /// Text of the service's `migrations.lock`, if it has one.
    #[must_use]
    pub fn lock_file(&self) -> Option<&'static str> {
        self.lock_file
    }

    /// Name of the service's version table: sea-orm's layout, one table a service.
    #[must_use]
    pub fn version_table(&self) -> &str {
        &self.version_table
    }

    /// The migrations in their order.
    pub fn migrations(&self) -> impl Iterator<Item = (&MigrationName, &dyn ServiceMigration)> {
        self.migrations.iter().map(|(name, migration)| (name, &**migration))
    }

    /// The migration of this name, if the service has it.
    #[must_use]
    pub fn migration(&self, name: &MigrationName) -> Option<&dyn ServiceMigration> {
        self.migrations().find(|(known, _)| *known == name).map(|(_, migration)| migration)
    }

    /// What planning needs to know of the service.
    #[must_use]
    pub fn known(&self) -> KnownService {
        let migrations = self.migrations().map(|(name, migration)| {
            let details = migration.details();
            KnownMigration {
                name: name.clone(),
                phase: details.phase,
                transactional: migration.use_transaction().unwrap_or(true),
                irreversible: details.irreversible.map(str::to_owned),
                loses: details.loses.map(str::to_owned),
                requires: details
                    .requires
                    .iter()
                    .map(|text| text.parse().expect("checked when the service was made"))
                    .collect(),
            }
        });
        KnownService { name: self.name.clone(), migrations: migrations.collect() }
    }
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
