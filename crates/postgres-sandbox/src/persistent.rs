//! A cluster that keeps its data: the embedded default.
//!
//! Any number of processes may use it at once. Each holds a shared lock on `users.lock`; whoever ends and then gets that
//! lock exclusively was the last and stops the server, unless [`PersistentCluster::start`] asked for it to stay. The
//! kernel releases the lock of a killed process: its server stays until the next use ends. Starting, stopping and
//! ending a use exclude each other by `sandbox.lock`, which also marks the directory as ours.
//!
//! It deliberately never touches a directory without that mark.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::client::{Client, succeed};
use crate::server::{self, PidFile};
use crate::{Binaries, Cluster, SandboxError, Search, ServerVersion, data, place};

/// Name of the lock file that also marks the directory.
pub(crate) const LOCK: &str = "sandbox.lock";
const USERS: &str = "users.lock";
/// Its presence means: the server stays although it is not in use.
const KEEP: &str = "keep-running";

/// How long to wait for others that start or stop the server; longer than a start may take.
const LOCK_PATIENCE: Duration = Duration::from_secs(330);
const LOCK_POLL: Duration = Duration::from_millis(10);

/// What a server says while sessions of a killed one have not ended yet, and how long that may last.
const ORPHANS: &str = "pre-existing shared memory block";
const ORPHAN_PATIENCE: Duration = Duration::from_secs(30);

/// A persistent cluster, running or not.
#[derive(Debug, Clone)]
pub struct PersistentCluster {
    directory: PathBuf,
    search: Search,
}

/// What is known of a persistent cluster from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Process id of the server, if it runs.
    pub pid: Option<u32>,
    /// Whether the server stays when it is not in use.
    pub keeps_running: bool,
    /// Major version of the data directory, if there is one.
    pub major: Option<u32>,
    /// What is wrong with the data directory, if there is one that is not whole.
    pub damage: Option<&'static str>,
    /// Version of the binaries for it, if there are some on the machine.
    pub server_version: Option<ServerVersion>,
    /// The data directory, be it there or not.
    pub data_directory: PathBuf,
    /// Size of all files in it.
    pub size_bytes: u64,
    /// Directory of the socket, if the server runs.
    pub socket_directory: Option<PathBuf>,
    /// URL of the database `postgres`, if the server runs.
    pub url: Option<String>,
}

/// One use of a persistent cluster; the last one to end stops the server.
#[derive(Debug)]
pub(crate) struct Use {
    cluster: PersistentCluster,
    users: File,
}

impl PersistentCluster {
    /// The cluster in this directory. Nothing is made or started yet.
    #[must_use]
    pub fn at(directory: impl AsRef<Path>) -> Self {
        Self { directory: directory.as_ref().to_owned(), search: Search::from_environment() }
    }

    /// Looks for binaries here instead of on the whole machine.
    #[must_use]
    pub fn with_search(mut self, search: Search) -> Self {
        self.search = search;
        self
    }

    /// Uses the cluster: makes it if the directory is empty or absent, starts the server if it does not run, and attaches
    /// to it if it does. Its data is durable. The server stops when the last use of it ends, in whichever process.
    ///
    /// # Errors
    /// [`SandboxError::NotOurs`] if the directory holds something else; others if the server does not start.
    pub fn attach(&self) -> Result<Cluster, SandboxError> {
        let this = self.made()?;
        let _lock = this.lock()?;
        let users = this.users()?;
        users.lock_shared().map_err(SandboxError::file("lock", &this.directory.join(USERS)))?;
        let client = this.ensure_running()?;
        Ok(Cluster::attached(client, this.data_directory(), this.log_file(), Use { cluster: this, users }))
    }

    /// Starts the server if it does not run, and lets it run until [`PersistentCluster::stop`].
    ///
    /// # Errors
    /// As [`PersistentCluster::attach`].
    pub fn start(&self) -> Result<Status, SandboxError> {
        let this = self.made()?;
        let lock = this.lock()?;
        this.ensure_running()?;
        let keep = this.directory.join(KEEP);
        File::create(&keep).map_err(SandboxError::file("create", &keep))?;
        drop(lock);
        this.status()
    }

    /// Stops the server, whoever started it; sessions of others are ended. Does nothing if it does not run.
    ///
    /// # Errors
    /// [`SandboxError::Failed`] if it does not stop.
    pub fn stop(&self) -> Result<(), SandboxError> {
        let Some(this) = self.existing()? else { return Ok(()) };
        let _lock = this.lock()?;
        this.stop_server()
    }

    /// Stops the server and deletes all data. Does nothing if there is none.
    ///
    /// # Errors
    /// [`SandboxError::NotOurs`] if the directory holds something else.
    pub fn reset(&self) -> Result<(), SandboxError> {
        let Some(this) = self.existing()? else { return Ok(()) };
        let _lock = this.lock()?;
        this.stop_server()?;
        let data = this.data_directory();
        if data.exists() {
            fs::remove_dir_all(&data).map_err(SandboxError::file("remove", &data))?;
        }
        Ok(())
    }

    /// Whether a server answers.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.listening().is_some()
    }

    /// What is known of the cluster. Changes nothing.
    ///
    /// # Errors
    /// [`SandboxError::NotOurs`] if the directory holds something else.
    pub fn status(&self) -> Result<Status, SandboxError> {
        let this = self.existing()?.unwrap_or_else(|| self.clone());
        let pid_file = this.listening();
        let data_directory = this.data_directory();
        let present = this.search_for_data().only_present().run();
        Ok(Status {
            pid: pid_file.as_ref().map(|file| file.pid),
            keeps_running: this.directory.join(KEEP).exists(),
            damage: this.damage(),
            major: this.major(),
            server_version: present.ok().map(|binaries| binaries.server_version()),
            size_bytes: place::size_bytes(&data_directory),
            data_directory,
            url: pid_file.as_ref().map(|file| place::url(&file.socket_directory, "postgres")),
            socket_directory: pid_file.map(|file| file.socket_directory),
        })
    }

    fn data_directory(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// Major version of the data directory, if there is one.
    fn major(&self) -> Option<u32> {
        data::major(&self.data_directory())
    }

    fn binaries(&self) -> Result<Binaries, SandboxError> {
        self.search_for_data().run().map_err(|missing| match missing.major {
            Some(_) if self.major().is_some() => {
                SandboxError::OtherMajor { data_directory: self.data_directory(), missing: Box::new(missing) }
            }
            _ => missing.into(),
        })
    }

    /// What is wrong with the data directory, if it is there and not whole.
    fn damage(&self) -> Option<&'static str> {
        data::damage(&self.data_directory())
    }

    fn search_for_data(&self) -> Search {
        let search = self.search.clone();
        self.major().map_or(search.clone(), |major| search.only_major(major))
    }

    fn listening(&self) -> Option<PidFile> {
        PidFile::read(&self.data_directory()).filter(PidFile::is_listening)
    }

    /// This cluster by its real path, if its directory is there and not empty.
    fn existing(&self) -> Result<Option<Self>, SandboxError> {
        let directory = &self.directory;
        if directory.join(LOCK).is_file() {
            let real = fs::canonicalize(directory).map_err(SandboxError::file("read", directory))?;
            return Ok(Some(Self { directory: real, search: self.search.clone() }));
        }
        if !directory.exists() {
            return Ok(None);
        }
        let mut entries = fs::read_dir(directory).map_err(SandboxError::file("read", directory))?.flatten();
        // Another process may be making it at this moment; the mark is the first file that it makes.
        if entries.any(|entry| entry.file_name() != LOCK) && !directory.join(LOCK).is_file() {
            return Err(SandboxError::NotOurs { directory: directory.clone() });
        }
        Ok(None)
    }

    /// This cluster by its real path, its directory made and marked as ours.
    fn made(&self) -> Result<Self, SandboxError> {
        if let Some(existing) = self.existing()? {
            return Ok(existing);
        }
        let directory = &self.directory;
        fs::create_dir_all(directory).map_err(SandboxError::file("create", directory))?;
        let directory = fs::canonicalize(directory).map_err(SandboxError::file("read", directory))?;
        open(&directory.join(LOCK))?;
        let ignore = directory.join(".gitignore");
        fs::write(&ignore, "*\n").map_err(SandboxError::file("create", &ignore))?;
        Ok(Self { directory, search: self.search.clone() })
    }

    /// Excludes others from starting and stopping the server, until the file is dropped.
    fn lock(&self) -> Result<File, SandboxError> {
        let path = self.directory.join(LOCK);
        let file = open(&path)?;
        let deadline = Instant::now() + LOCK_PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(LOCK_POLL),
                Err(TryLockError::WouldBlock) => {
                    return Err(SandboxError::Busy { directory: self.directory.clone() });
                }
                Err(TryLockError::Error(source)) => return Err(SandboxError::file("lock", &path)(source)),
            }
        }
    }

    fn users(&self) -> Result<File, SandboxError> {
        open(&self.directory.join(USERS))
    }

    /// Makes and starts the server as far as needed. The caller holds the lock.
    fn ensure_running(&self) -> Result<Client, SandboxError> {
        let data = self.data_directory();
        if let Some(what) = self.damage() {
            return Err(SandboxError::Damaged { data_directory: data, what });
        }
        if self.major().is_none() {
            self.initialise()?;
        }
        let binaries = self.binaries()?;
        let pid_file = match self.listening() {
            // Its starter may have been killed before it was ready.
            Some(file) if file.is_ready => file,
            Some(file) => server::wait_until_ready(&data, &self.log_file(), || !file.is_listening())?,
            None => {
                self.forget_ended_server()?;
                self.start_server(&binaries)?
            }
        };
        Ok(Client { binaries, socket_directory: pid_file.socket_directory })
    }

    /// Makes the data directory: aside first, so that a killed attempt leaves none that looks complete.
    fn initialise(&self) -> Result<(), SandboxError> {
        let binaries = self.binaries()?;
        let account = Account::for_new()?;
        account.can_enter(&self.directory)?;
        for entry in
            fs::read_dir(&self.directory).map_err(SandboxError::file("read", &self.directory))?.flatten()
        {
            if entry.file_name().to_string_lossy().starts_with("making_") {
                fs::remove_dir_all(entry.path()).map_err(SandboxError::file("remove", &entry.path()))?;
            }
        }
        let aside = self.directory.join(place::unique_name("making"));
        data::make(&aside, &binaries, account)?;
        let data = self.data_directory();
        fs::rename(&aside, &data).map_err(SandboxError::file("create", &data))
    }

    /// Removes what a killed server or a crash of the machine left: by now its process id may be another process's, or a
    /// zombie's, and the server would not start. The caller holds the lock and has seen that none listens.
    fn forget_ended_server(&self) -> Result<(), SandboxError> {
        let data = self.data_directory();
        let mut left = vec![server::path(&data)];
        if let Some(stale) = PidFile::read(&data) {
            if stale.is_server_of(&data) {
                return Err(SandboxError::SocketLost { data_directory: data, pid: stale.pid });
            }
            left.extend(place::files_of_socket(&stale.socket_directory));
        }
        for path in left {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(SandboxError::file("remove", &path)(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Starts the server, which stays when we end. The caller holds the lock.
    fn start_server(&self, binaries: &Binaries) -> Result<PidFile, SandboxError> {
        let deadline = Instant::now() + ORPHAN_PATIENCE;
        loop {
            match self.try_start_server(binaries) {
                Err(SandboxError::Start { log, .. })
                    if log.contains(ORPHANS) && Instant::now() < deadline =>
                {
                    thread::sleep(LOCK_POLL);
                }
                done => return done,
            }
        }
    }

    fn try_start_server(&self, binaries: &Binaries) -> Result<PidFile, SandboxError> {
        let data = self.data_directory();
        let account = Account::of(&data)?;
        account.can_enter(&self.directory)?;
        let socket_directory = place::socket_directory(&self.directory, account)?;
        let log = self.log_file();
        let output = File::create(&log).map_err(SandboxError::file("create", &log))?;
        let errors = output.try_clone().map_err(SandboxError::file("open", &log))?;
        let line = server::command_line(binaries, &data, &socket_directory, &[]);
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        account.apply(&mut command);
        let mut child = command.spawn().map_err(SandboxError::spawn(&binaries.postgres()))?;
        let ready = server::wait_until_ready(&data, &log, || !matches!(child.try_wait(), Ok(None)));
        // As long as we live, we are its parent and collect its exit status.
        thread::spawn(move || child.wait());
        ready
    }

    /// Stops the server if it runs, and forgets that it should stay. The caller holds the lock.
    fn stop_server(&self) -> Result<(), SandboxError> {
        let keep = self.directory.join(KEEP);
        if keep.exists() {
            fs::remove_file(&keep).map_err(SandboxError::file("remove", &keep))?;
        }
        let data = self.data_directory();
        if !PidFile::read(&data).is_some_and(|file| file.is_listening() || file.is_server_of(&data)) {
            return Ok(());
        }
        let mut command = Command::new(self.binaries()?.pg_ctl());
        command.args(["stop", "--silent", "--wait", "--mode=fast", "--pgdata"]).arg(&data);
        Account::of(&data)?.apply(&mut command);
        succeed(command, "").map(|_| ())
    }
}

impl Use {
    pub(crate) fn server_pid(&self) -> Option<u32> {
        self.cluster.listening().map(|file| file.pid)
    }

    fn end(&self) -> Result<(), SandboxError> {
        let _lock = self.cluster.lock()?;
        let is_last = self.users.try_lock().is_ok();
        if is_last && !self.cluster.directory.join(KEEP).exists() {
            return self.cluster.stop_server();
        }
        Ok(())
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        // If it fails, the server stays until the next use ends or it is stopped.
        drop(self.end());
    }
}

/// Opens a lock file, making it if need be.
fn open(path: &Path) -> Result<File, SandboxError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    options.open(path).map_err(SandboxError::file("open", path))
}
