//! The server that is hit, and what undisturbed runs make of its databases.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use migration_kit::Service;
use postgres_sandbox::{Cluster, Database};

use crate::digest;
use crate::disk::Disk;
use crate::model;

/// How long the server may take to recover.
const RECOVERY: Duration = Duration::from_secs(60);

/// What is asked for in an episode in which no old code runs.
pub(crate) const EVERYTHING: [&str; 3] = ["--contract", "--ignore-soak", "--allow-data-loss"];

/// A service with rows that were there before its second migration.
pub(crate) struct Stock {
    pub(crate) service: Service,
    rows: &'static str,
}

impl Stock {
    pub(crate) fn name(&self) -> &str {
        self.service.name().as_str()
    }
}

/// What a database holds of a service when nothing happened to it.
pub(crate) struct Head {
    pub(crate) schema: String,
    pub(crate) rows: String,
    pub(crate) original: String,
}

/// A server of its own, since it is made to crash.
pub(crate) struct Server {
    pub(crate) cluster: Cluster,
    /// The disk of the cluster, where one of its own can be made; after the cluster, so that it is there as long.
    pub(crate) disk: Option<Arc<Disk>>,
    pub(crate) stock: Vec<Stock>,
    /// Every service after its first migration, with rows.
    inherited: Database,
    /// Columns of that time, as `schema.table.column`.
    pub(crate) columns: Vec<String>,
    /// Brought to head beside old code, and with contract steps; a service each.
    heads: [Vec<Head>; 2],
}

impl Server {
    pub(crate) fn start() -> Self {
        let disk = Disk::mount().map(Arc::new);
        let mut builder = Cluster::builder().setting("max_wal_size", "128MB");
        if let Some(disk) = &disk {
            builder = builder.below(disk.directory());
        }
        let cluster = builder.start().unwrap();
        let stock = stock();
        let inherited = cluster.create_database().unwrap();
        let first = stock.iter().map(|stock| format!("{}@+1", stock.name()));
        migrate(inherited.url(), &["up".to_owned()].into_iter().chain(first).collect::<Vec<_>>());
        stock.iter().for_each(|stock| drop(inherited.psql(stock.rows).unwrap()));
        let columns = model::columns(&inherited, &stock);
        let mut server = Self { cluster, disk, stock, inherited, columns, heads: [Vec::new(), Vec::new()] };
        server.heads = [&[][..], &EVERYTHING].map(|options| {
            let database = server.database();
            let arguments = ["up"].iter().chain(options).map(|&argument| argument.to_owned());
            migrate(database.url(), &arguments.collect::<Vec<_>>());
            server.stock.iter().map(|stock| server.head(&database, stock)).collect()
        });
        server
    }

    /// A database that every service has used before there were migrations.
    pub(crate) fn database(&self) -> Database {
        let database = self.cluster.create_database_from(self.inherited.name()).unwrap();
        // Until then a crash sets the sequences of a copy back to where the template's were: the numbers that these have in
        // store are in no log of the copy.
        database.psql("CHECKPOINT").unwrap();
        database
    }

    /// What is in a database of a service.
    pub(crate) fn head(&self, database: &Database, stock: &Stock) -> Head {
        Head {
            schema: digest::schema(database, stock.name()),
            rows: digest::rows(database, stock.name()),
            original: model::original_rows(database, stock.name(), &self.columns),
        }
    }

    /// What undisturbed runs make of each service.
    pub(crate) fn heads(&self, with_contract: bool) -> &[Head] {
        &self.heads[usize::from(with_contract)]
    }

    /// Waits until the server takes connections again.
    pub(crate) fn recovers(&self, database: &Database) {
        let begun = Instant::now();
        while let Err(error) = database.psql("SELECT") {
            assert!(begun.elapsed() < RECOVERY, "the server does not come back: {error}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// All services, with rows good and bad.
fn stock() -> Vec<Stock> {
    let stock = |service, rows| Stock { service, rows };
    vec![
        stock(chat_migration::service(), include_str!("../kill/data/chat.sql")),
        stock(rag_migration::service(), include_str!("../kill/data/rag.sql")),
        stock(assessments_migration::service(), include_str!("../kill/data/assessments.sql")),
        stock(profochatbot_migration::service(), include_str!("../kill/data/profochatbot.sql")),
        stock(bookreader_migration::service(), include_str!("../kill/data/bookreader.sql")),
    ]
}

/// The command line on a database, with nothing of ours from the environment.
pub(crate) fn command(url: &str, arguments: &[String]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.env_clear().current_dir(std::env::temp_dir()).env("DATABASE_URL", url);
    command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH" || name == "HOME"));
    command.arg("migrate").args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end, undisturbed, and fails unless that is well.
pub(crate) fn migrate(url: &str, arguments: &[String]) {
    let ran = command(url, arguments).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "`{}` ends with {}\n{stdout}{stderr}", arguments.join(" "), ran.status);
}
