//! Services of small migrations, as many as are asked for, and the same as a script: what a young system looks like, and
//! what a grown one does.
//!
//! Each migration is one statement: a table, a column, an index or a check, over and over.

use std::fmt::Write as _;

use clap::ValueEnum;
use migration_kit::{Details, Service, ServiceMigration};
use sea_orm_migration::async_trait;
use sea_orm_migration::prelude::*;

/// How many services of how many migrations each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Size {
    /// 5 services of 20 migrations
    #[value(name = "5x20")]
    S5M20,
    /// 5 services of 200 migrations
    #[value(name = "5x200")]
    S5M200,
    /// 5 services of 2,000 migrations
    #[value(name = "5x2000")]
    S5M2000,
    /// 100 services of 20 migrations
    #[value(name = "100x20")]
    S100M20,
    /// 500 services of 20 migrations
    #[value(name = "500x20")]
    S500M20,
}

/// One statement as a migration. The statement is made when it is needed, since a migration's is compiled in.
struct Synthetic {
    name: String,
    number: usize,
    kind: Kind,
}

/// What the statement does.
#[derive(Clone, Copy)]
enum Kind {
    Create,
    Add,
    Index,
    Check,
}

impl Size {
    /// How many services there are.
    #[must_use]
    pub fn n_services(self) -> usize {
        match self {
            Self::S5M20 | Self::S5M200 | Self::S5M2000 => 5,
            Self::S100M20 => 100,
            Self::S500M20 => 500,
        }
    }

    /// How many migrations all services have together.
    #[must_use]
    pub fn n_migrations(self) -> usize {
        self.n_services() * self.n_of_each()
    }

    /// The size as the command line takes it.
    #[must_use]
    pub fn argument(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The work of applying everything as a script for `psql`: schema and version table, then a transaction a migration.
    #[must_use]
    pub fn script(self) -> String {
        let mut script = String::new();
        for service in self.names() {
            let table = migration_kit::version_table(&service);
            write!(
                script,
                "CREATE SCHEMA {service};\nSET search_path = {service};\n\
                 CREATE TABLE {table} (version varchar PRIMARY KEY, applied_at bigint NOT NULL);\n"
            )
            .expect("writing to a string cannot fail");
            for migration in migrations(self.n_of_each()) {
                let (name, sql) = (&migration.name, migration.sql());
                write!(
                    script,
                    "BEGIN;\nINSERT INTO {table} VALUES ('{name}', extract(epoch FROM clock_timestamp())::bigint);\n{sql};\nCOMMIT;\n"
                )
                .expect("writing to a string cannot fail");
            }
        }
        script
    }

    /// A query over the version tables of all services.
    #[must_use]
    pub fn query(self) -> String {
        let table = |service: String| {
            format!(
                "SELECT '{service}', version, applied_at FROM {service}.{}",
                migration_kit::version_table(&service)
            )
        };
        self.names().map(table).collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// The names of the services, which are also those of their schemas.
    pub fn names(self) -> impl Iterator<Item = String> {
        (1..=self.n_services()).map(|number| format!("service_{number:03}"))
    }

    /// The services as the command line takes them.
    #[must_use]
    pub fn services(self) -> Vec<Service> {
        let service = |name: String| {
            let migrations =
                migrations(self.n_of_each()).into_iter().map(|m| Box::new(m) as Box<dyn ServiceMigration>);
            Service::new(&name, migrations.collect()).expect("the names are written here, and well formed")
        };
        self.names().map(service).collect()
    }

    /// The migrations of one service as sea-orm-migration takes them.
    #[must_use]
    pub fn plain_migrations(self) -> Vec<Box<dyn MigrationTrait>> {
        migrations(self.n_of_each()).into_iter().map(|m| Box::new(m) as Box<dyn MigrationTrait>).collect()
    }

    /// The migrations of all services in the order of the services: the schema that one works in, its name, its statement.
    pub fn statements(self) -> impl Iterator<Item = [String; 3]> {
        let of_one = move |service: String| {
            migrations(self.n_of_each()).into_iter().map(move |migration| {
                let sql = migration.sql();
                [service.clone(), migration.name, sql]
            })
        };
        self.names().flat_map(of_one)
    }

    fn n_of_each(self) -> usize {
        match self {
            Self::S5M20 | Self::S100M20 | Self::S500M20 => 20,
            Self::S5M200 => 200,
            Self::S5M2000 => 2000,
        }
    }
}

fn migrations(n_migrations: usize) -> Vec<Synthetic> {
    const KINDS: [(Kind, &str); 4] =
        [(Kind::Create, "create"), (Kind::Add, "add"), (Kind::Index, "index"), (Kind::Check, "check")];
    let migration = |at: usize| {
        let (number, (kind, verb)) = (at / KINDS.len() + 1, KINDS[at % KINDS.len()]);
        let second = at % KINDS.len();
        Synthetic { name: format!("m20260101_{number:04}{second:02}_{verb}_table_{number:03}"), number, kind }
    };
    (0..n_migrations).map(migration).collect()
}

impl Synthetic {
    fn sql(&self) -> String {
        let table = format!("table_{:03}", self.number);
        match self.kind {
            Kind::Create => format!(
                "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)"
            ),
            Kind::Add => format!("ALTER TABLE {table} ADD COLUMN amount integer NOT NULL DEFAULT 0"),
            Kind::Index => format!("CREATE INDEX {table}_name_idx ON {table} (name)"),
            Kind::Check => {
                format!("ALTER TABLE {table} ADD CONSTRAINT {table}_amount_check CHECK (amount >= 0)")
            }
        }
    }
}

impl MigrationName for Synthetic {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Synthetic {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(&self.sql()).await.map(drop)
    }
}

impl ServiceMigration for Synthetic {
    fn details(&self) -> Details {
        Details::expand()
    }
}
