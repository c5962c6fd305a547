//! What undisturbed runs make of a service, migration by migration: the databases from which each kill begins, and what
//! must be there in the end.

use std::process::Command;

use migration_kit::{MigrationName, Service};
use postgres_sandbox::{Cluster, Database};

use crate::digest::{rows, schema};
use crate::relay::{Outcome, run};
use crate::statement::Point;

/// A service's way from an empty database to its head.
pub(crate) struct Chain {
    pub(crate) service: Service,
    /// The databases, each with one migration more than the one before; the first is empty.
    states: Vec<State>,
}

/// A database to which nothing happened but migrations.
pub(crate) struct State {
    pub(crate) database: Database,
    pub(crate) schema: String,
    pub(crate) rows: String,
}

impl Chain {
    /// Applies migration after migration, each to a copy of the database before. `data` is loaded after the first.
    pub(crate) fn new(service: Service, data: &str) -> Self {
        let empty = Cluster::shared().create_database().unwrap();
        // What is left by reverting everything, and what everything begins with.
        empty.psql(&format!("CREATE SCHEMA {}", service.default_schema())).unwrap();
        let mut chain = Self { states: Vec::new(), service };
        chain.states.push(chain.state(empty));
        for number in 1..=chain.n_migrations() {
            let database = chain.copy(number - 1);
            let ran = chain.run(&database, &chain.up(number), None);
            assert!(ran.status.success(), "`{}` does not run: {}", chain.name(number), ran.stderr);
            if number == 1 {
                database.psql(data).unwrap();
            }
            chain.states.push(chain.state(database));
        }
        chain
    }

    pub(crate) fn n_migrations(&self) -> usize {
        self.service.migrations().count()
    }

    /// The database after so many migrations, and what is in it.
    pub(crate) fn after(&self, n_migrations: usize) -> &State {
        &self.states[n_migrations]
    }

    /// A copy of the database after so many migrations.
    pub(crate) fn copy(&self, n_migrations: usize) -> Database {
        Cluster::shared().create_database_from(self.states[n_migrations].database.name()).unwrap()
    }

    fn state(&self, database: Database) -> State {
        let name = self.service.default_schema();
        State { schema: schema(&database, name), rows: rows(&database, name), database }
    }

    /// How many migrations the version table of a database lists.
    pub(crate) fn n_applied(&self, database: &Database) -> usize {
        let (schema, table) = (self.service.default_schema(), self.service.version_table());
        database.psql(&format!("SELECT count(*) FROM {schema}.{table}")).unwrap().trim().parse().unwrap()
    }

    /// The migration of this number, counted from 1.
    pub(crate) fn name(&self, number: usize) -> &MigrationName {
        self.service.migrations().nth(number - 1).unwrap().name()
    }

    /// The arguments that lead up to this migration, with all that may be asked for.
    pub(crate) fn up(&self, number: usize) -> Vec<String> {
        let options = ["--contract", "--ignore-soak", "--allow-data-loss"];
        ["up", &self.target(number)].into_iter().chain(options).map(str::to_owned).collect()
    }

    /// The arguments that lead down to this migration; 0 is before the first.
    pub(crate) fn down(&self, number: usize) -> Vec<String> {
        vec!["down".to_owned(), self.target(number), "--allow-data-loss".to_owned()]
    }

    /// The arguments that revert what is after this migration and apply it again.
    pub(crate) fn redo(&self, number: usize) -> Vec<String> {
        vec!["redo".to_owned(), self.target(number), "--allow-data-loss".to_owned()]
    }

    pub(crate) fn verify(&self) -> Vec<String> {
        vec!["verify".to_owned(), self.service.name().to_string()]
    }

    fn target(&self, number: usize) -> String {
        let name = self.service.name();
        if number == 0 { format!("{name}@base") } else { format!("{name}@{}", self.name(number)) }
    }

    /// Runs the command line on a database, and kills it at a point.
    pub(crate) fn run(&self, database: &Database, arguments: &[String], point: Option<&Point>) -> Outcome {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.env_clear().current_dir(std::env::temp_dir()).arg("migrate").args(arguments);
        run(command, Cluster::shared(), database.name(), point)
    }
}
