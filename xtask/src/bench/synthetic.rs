//! Services of small migrations, as many as are asked for, and the same as a script: what a young system looks like, and
//! what a grown one does.
//!
//! Each migration is one statement: a table, a column, an index or a check, over and over.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use migration_cli::{Arguments, Program};
use migration_kit::{Details, Service, ServiceMigration};
use sea_orm_migration::async_trait;
use sea_orm_migration::prelude::*;

/// Arguments of the command line over the synthetic services.
#[derive(Debug, Args)]
pub(crate) struct SyntheticArguments {
    /// How many services of how many migrations each
    #[arg(long, value_enum, default_value_t = Size::S5M20)]
    size: Size,
    #[command(flatten)]
    arguments: Box<Arguments>,
}

/// How many services of how many migrations each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Size {
    #[value(name = "5x20")]
    S5M20,
    #[value(name = "5x200")]
    S5M200,
    #[value(name = "5x2000")]
    S5M2000,
    #[value(name = "100x20")]
    S100M20,
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

impl SyntheticArguments {
    /// The command line over the synthetic services, and what is asked of it.
    pub(crate) fn program(self) -> (Program, Arguments) {
        let services = match self.size {
            Size::S5M20 => services::<5, 20>,
            Size::S5M200 => services::<5, 200>,
            Size::S5M2000 => services::<5, 2000>,
            Size::S100M20 => services::<100, 20>,
            Size::S500M20 => services::<500, 20>,
        };
        let program = Program::new("cargo xtask synthetic", services);
        (program, *self.arguments)
    }
}

impl Size {
    pub(super) fn n_services(self) -> usize {
        match self {
            Self::S5M20 | Self::S5M200 | Self::S5M2000 => 5,
            Self::S100M20 => 100,
            Self::S500M20 => 500,
        }
    }

    pub(super) fn n_migrations(self) -> usize {
        let of_each = match self {
            Self::S5M20 | Self::S100M20 | Self::S500M20 => 20,
            Self::S5M200 => 200,
            Self::S5M2000 => 2000,
        };
        self.n_services() * of_each
    }

    /// The size as the command line takes it.
    pub(super) fn argument(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// The work of applying everything as a script for `psql`: schema and version table, then a transaction a migration.
    pub(super) fn script(self) -> String {
        let mut script = String::new();
        for service in self.names() {
            let table = migration_kit::version_table(&service);
            write!(
                script,
                "CREATE SCHEMA {service};\nSET search_path = {service};\n\
                 CREATE TABLE {table} (version varchar PRIMARY KEY, applied_at bigint NOT NULL);\n"
            )
            .expect("writing to a string cannot fail");
            for migration in migrations(self.n_migrations() / self.n_services()) {
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
    pub(super) fn query(self) -> String {
        let table = |service: String| {
            format!(
                "SELECT '{service}', version, applied_at FROM {service}.{}",
                migration_kit::version_table(&service)
            )
        };
        self.names().map(table).collect::<Vec<_>>().join(" UNION ALL ")
    }

    fn names(self) -> impl Iterator<Item = String> {
        names(self.n_services())
    }
}

fn names(n_services: usize) -> impl Iterator<Item = String> {
    (1..=n_services).map(|number| format!("service_{number:03}"))
}

fn services<const SERVICES: usize, const MIGRATIONS: usize>() -> Vec<Service> {
    let service = |name: String| {
        let migrations = migrations(MIGRATIONS).into_iter().map(|m| Box::new(m) as Box<dyn ServiceMigration>);
        Service::new(&name, migrations.collect()).expect("the names are written here, and well formed")
    };
    names(SERVICES).map(service).collect()
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
