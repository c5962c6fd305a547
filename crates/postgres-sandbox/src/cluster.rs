//! A cluster in use: a running server, and what keeps it running.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::account::Account;
use crate::client::Client;
use crate::persistent::Use;
use crate::supervisor::{self, Supervisor};
use crate::{Binaries, Database, PersistentCluster, SandboxError, memory, place};

/// Settings of a temporary cluster: its data need not survive the machine, and there are many of its kind.
const TEMPORARY: [(&str, &str); 5] = [
    ("fsync", "off"),
    ("full_page_writes", "off"),
    ("shared_buffers", "32MB"),
    ("max_connections", "100"),
    ("log_timezone", "UTC"),
];

/// A running cluster. When the last use of it ends, a temporary one is stopped and removed, a persistent one stopped.
#[derive(Debug)]
pub struct Cluster {
    running: Arc<Running>,
}

/// A running server: how to reach it, and what ends with it. Databases share it with their cluster.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) client: Client,
    data_directory: PathBuf,
    log: PathBuf,
    hold: Hold,
}

#[derive(Debug)]
enum Hold {
    Temporary(Supervisor),
    Persistent(Use),
}

/// How to make a temporary cluster.
#[derive(Debug, Default)]
pub struct ClusterBuilder {
    settings: Vec<(String, String)>,
    binaries: Option<Binaries>,
    parent: Option<PathBuf>,
    primary: Option<PathBuf>,
}

impl Cluster {
    /// Makes and starts a cluster that is gone when it is dropped, or when the process ends in any way, SIGKILL included.
    /// Takes about 0.7 s. Its data is not durable (`fsync` is off).
    ///
    /// # Errors
    /// [`SandboxError`] if there are no binaries or the server does not start.
    pub fn temporary() -> Result<Self, SandboxError> {
        Self::builder().start()
    }

    /// A temporary cluster with settings or binaries of one's own.
    #[must_use]
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::default()
    }

    /// The temporary cluster of this process, in memory where there is room, started on first use; for tests, each with a
    /// database of its own.
    ///
    /// # Panics
    /// If it cannot be started: a test that needs a server must not pass without one.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| {
            let started = Self::builder().in_memory().start();
            started.unwrap_or_else(|error| panic!("{error}; {}", error.hint().unwrap_or_default()))
        })
    }

    /// Uses the persistent cluster in `directory`: see [`PersistentCluster::attach`].
    ///
    /// # Errors
    /// [`SandboxError`] if there are no binaries or the server does not start.
    pub fn persistent(directory: impl AsRef<Path>) -> Result<Self, SandboxError> {
        PersistentCluster::at(directory).attach()
    }

    pub(crate) fn attached(client: Client, data_directory: PathBuf, log: PathBuf, users: Use) -> Self {
        let hold = Hold::Persistent(users);
        Self { running: Arc::new(Running { client, data_directory, log, hold }) }
    }

    /// URL of a database in this cluster, as libpq and sqlx read it; the user is the superuser `postgres`.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.running.client.url(database)
    }

    /// Creates an empty database; takes about 70 ms.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] with the server's message.
    pub fn create_database(&self) -> Result<Database, SandboxError> {
        self.create_database_from("template1")
    }

    /// Creates a copy of a database to which no session is connected.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] with the server's message.
    pub fn create_database_from(&self, template: &str) -> Result<Database, SandboxError> {
        Database::create(&self.running, template)
    }

    /// Runs statements through `psql`, each in a transaction of its own, and returns their rows: fields parted by `|`,
    /// a line each, NULL as nothing. Stops at the first error.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] with the server's message.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, SandboxError> {
        self.running.client.psql(database, sql)
    }

    /// Writes a database out through `pg_dump` with these further arguments.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] with the server's message.
    pub fn pg_dump(&self, database: &str, args: &[&str]) -> Result<String, SandboxError> {
        self.running.client.pg_dump(database, args)
    }

    /// The binaries that the cluster runs on.
    #[must_use]
    pub fn binaries(&self) -> &Binaries {
        &self.running.client.binaries
    }

    /// Directory of the socket.
    #[must_use]
    pub fn socket_directory(&self) -> &Path {
        &self.running.client.socket_directory
    }

    /// The data directory. With `logging_collector` on, the server's logs are in `log` below it.
    #[must_use]
    pub fn data_directory(&self) -> &Path {
        &self.running.data_directory
    }

    /// What the server writes to its standard error.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        &self.running.log
    }

    /// Process id of the server; nothing if it has ended.
    #[must_use]
    pub fn server_pid(&self) -> Option<u32> {
        match &self.running.hold {
            Hold::Temporary(supervisor) => supervisor.server_pid(),
            Hold::Persistent(users) => users.server_pid(),
        }
    }
}

impl ClusterBuilder {
    /// Sets a server setting. Later ones win over earlier ones and over the defaults, so `("fsync", "on")` makes the
    /// cluster durable.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Uses these binaries.
    #[must_use]
    pub fn binaries(mut self, binaries: Binaries) -> Self {
        self.binaries = Some(binaries);
        self
    }

    /// Places the cluster below this directory instead of the system's one for temporary files. It goes to `/tmp` all
    /// the same where the path would be too long for a socket, or closed to the server's account.
    #[must_use]
    pub fn below(mut self, parent: impl Into<PathBuf>) -> Self {
        self.parent = Some(parent.into());
        self
    }

    /// Places the cluster in memory where the machine has a file system for that with 4 GiB free: for many small
    /// databases. Elsewhere nothing changes.
    #[must_use]
    pub fn in_memory(self) -> Self {
        match memory::directory() {
            Some(directory) => self.below(directory),
            None => self,
        }
    }

    /// Makes it a standby of this running cluster, on the same binaries, with all that is in there now.
    #[must_use]
    pub fn standby_of(mut self, primary: &Cluster) -> Self {
        self.primary = Some(primary.socket_directory().to_owned());
        self.binaries(primary.binaries().clone())
    }

    /// Makes and starts the cluster: see [`Cluster::temporary`].
    ///
    /// # Errors
    /// [`SandboxError`] if there are no binaries or the server does not start.
    pub fn start(self) -> Result<Cluster, SandboxError> {
        let binaries = self.binaries.map_or_else(Binaries::find, Ok)?;
        let account = Account::for_new()?;
        let directory = place::temporary_directory(self.parent.as_deref(), account)?;
        let mut settings: Vec<_> = TEMPORARY.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        settings.extend(self.settings);
        let supervisor =
            Supervisor::start(&directory, &binaries, account, self.primary.as_deref(), &settings)
                .inspect_err(|_| drop(fs::remove_dir_all(&directory)))?;
        let running = Running {
            data_directory: supervisor::data_directory(&directory),
            log: supervisor::log(&directory),
            client: Client { binaries, socket_directory: directory },
            hold: Hold::Temporary(supervisor),
        };
        Ok(Cluster { running: Arc::new(running) })
    }
}
