//! The server that everything is measured on: private, and as durable as one in production.

use std::process::Command;
use std::thread;

use postgres_sandbox::{Cluster, SandboxError};

/// Settings in which it differs from the sandbox's: durability is paid for, and by both sides.
const SETTINGS: [(&str, &str); 9] = [
    ("fsync", "on"),
    ("full_page_writes", "on"),
    ("synchronous_commit", "on"),
    ("shared_buffers", "512MB"),
    ("max_wal_size", "8GB"),
    ("min_wal_size", "8GB"),
    ("autovacuum", "on"),
    // Tells sessions apart where statements are counted; nothing is logged unless a benchmark asks for it.
    ("log_line_prefix", "session=%p "),
    ("log_checkpoints", "off"),
];

/// A new cluster with the settings of production.
pub(super) fn durable() -> Result<Cluster, SandboxError> {
    SETTINGS.iter().fold(Cluster::builder(), |builder, (name, value)| builder.setting(name, value)).start()
}

/// What the figures were taken on.
pub(super) fn describe(cluster: &Cluster) -> Result<String, SandboxError> {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let version = cluster.psql("postgres", "SELECT current_setting('server_version')")?;
    let settings: Vec<String> =
        SETTINGS[..6].iter().map(|(name, value)| format!("`{name} = {value}`")).collect();
    Ok(format!("PostgreSQL {}, {cores} cores, {}", version.trim(), settings.join(", ")))
}

/// Makes the segments of the write-ahead log that the largest measurement fills, as a server has them that has been at
/// work. Where one is missing, every commit waits until it is made and on disk, whoever wrote the log: 16 MB, for which
/// this took 80 to 100 ms on a virtual machine that had to be given the memory first.
pub(super) fn fill_log(cluster: &Cluster) -> Result<(), SandboxError> {
    cluster.psql(
        "postgres",
        "SELECT count(pg_logical_emit_message(false, 'bench', repeat('x', 1000000))) FROM generate_series(1, 4000)",
    )?;
    cluster.psql("postgres", "CHECKPOINT").map(drop)
}

/// A copy of a database to which nobody is connected, by copying its files: the cheapest for a big one.
pub(super) fn copy(cluster: &Cluster, template: &str, name: &str) -> Result<String, SandboxError> {
    cluster.psql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy"))?;
    cluster.psql("postgres", "CHECKPOINT")?;
    Ok(cluster.url(name))
}

/// Drops such a copy.
pub(super) fn drop_copy(cluster: &Cluster, name: &str) -> Result<(), SandboxError> {
    cluster.psql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)")).map(drop)
}

/// The real `psql`, as a script would call it. (Debian's wrapper on `PATH` takes 20 ms more.)
pub(super) fn psql(cluster: &Cluster, url: &str) -> Command {
    let mut command = Command::new(cluster.binaries().psql());
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url]);
    command
}
