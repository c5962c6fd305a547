//! Five services of twenty small migrations each, and the same as a script: what a young system looks like.
//!
//! Each migration is one statement: a table, a column, an index or a check, five times over.

use std::fmt::Write as _;

use migration_cli::Program;
use migration_kit::{Details, Service, ServiceMigration};
use sea_orm_migration::async_trait;
use sea_orm_migration::prelude::*;

/// Names of the services.
pub(super) const SERVICES: [&str; 5] = ["alpha", "beta", "gamma", "delta", "epsilon"];
const TABLES: [&str; 5] = ["account", "invoice", "payment", "product", "shipment"];

/// One statement as a migration.
struct Synthetic {
    name: String,
    sql: String,
}

/// The command line over the synthetic services.
pub(crate) fn program() -> Program {
    Program { invocation: "cargo xtask synthetic", services, tasks: Vec::new() }
}

/// The same work as a script for `psql`: schema and version table, then a transaction a migration.
pub(super) fn script() -> String {
    let mut script = String::new();
    for service in SERVICES {
        let table = migration_kit::version_table(service);
        write!(
            script,
            "CREATE SCHEMA {service};\nSET search_path = {service};\n\
             CREATE TABLE {table} (version varchar PRIMARY KEY, applied_at bigint NOT NULL);\n"
        )
        .expect("writing to a string cannot fail");
        for Synthetic { name, sql } in migrations() {
            write!(
                script,
                "BEGIN;\nINSERT INTO {table} VALUES ('{name}', extract(epoch FROM clock_timestamp())::bigint);\n{sql};\nCOMMIT;\n"
            )
            .expect("writing to a string cannot fail");
        }
    }
    script
}

/// A query over the version tables of all synthetic services.
pub(super) fn query() -> String {
    let tables = SERVICES.map(|service| {
        format!(
            "SELECT '{service}', version, applied_at FROM {service}.{}",
            migration_kit::version_table(service)
        )
    });
    tables.join(" UNION ALL ")
}

fn services() -> Vec<Service> {
    let service = |name: &str| {
        let migrations = migrations().into_iter().map(|m| Box::new(m) as Box<dyn ServiceMigration>);
        Service::new(name, migrations.collect()).expect("the names are written here, and well formed")
    };
    SERVICES.map(service).into()
}

fn migrations() -> Vec<Synthetic> {
    let mut migrations = Vec::new();
    for (day, table) in (1..).zip(TABLES) {
        let statements = [
            (
                "create",
                format!(
                    "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL)"
                ),
            ),
            ("add", format!("ALTER TABLE {table} ADD COLUMN amount integer NOT NULL DEFAULT 0")),
            ("index", format!("CREATE INDEX {table}_name_idx ON {table} (name)")),
            ("check", format!("ALTER TABLE {table} ADD CONSTRAINT {table}_amount_check CHECK (amount >= 0)")),
        ];
        for (hour, (verb, sql)) in (0..).zip(statements) {
            migrations.push(Synthetic { name: format!("m202601{day:02}_{hour:02}0000_{verb}_{table}"), sql });
        }
    }
    migrations
}

impl MigrationName for Synthetic {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Synthetic {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(&self.sql).await.map(drop)
    }
}

impl ServiceMigration for Synthetic {
    fn details(&self) -> Details {
        Details::expand()
    }
}
