//! Sessions that stand in a migration's way: they read and stay in their transaction.

use std::fmt::Write as _;
use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::ensure;

use super::{Bench, server};

/// Who reads while a migration runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Readers {
    /// Nobody but the application.
    None,
    /// One transaction of 6 s that begins just before the migration.
    Long,
    /// Transactions of 0.35 s, of which one begins before another ends: there is never a moment without one.
    Overlapping,
}

/// Readers at work; they end with this value.
pub(super) struct Reading {
    children: Vec<Child>,
}

impl Readers {
    pub(super) const ALL: [Self; 3] = [Self::None, Self::Long, Self::Overlapping];

    /// What a table of figures says of them.
    pub(super) fn describe(self) -> &'static str {
        match self {
            Self::None => "no other readers",
            Self::Long => "a reader of 6 s",
            Self::Overlapping => "overlapping readers of 0.35 s",
        }
    }

    /// Starts them on these tables; returns when they read.
    pub(super) fn start(self, bench: &Bench, url: &str, tables: &[&str]) -> anyhow::Result<Reading> {
        const PAUSE: Duration = Duration::from_millis(175);
        let (n_readers, seconds, n_times) = match self {
            Self::None => return Ok(Reading { children: Vec::new() }),
            Self::Long => (1, 6.0, 1),
            Self::Overlapping => (2, 0.35, 10_000),
        };
        let mut transaction = "BEGIN;\n".to_owned();
        for table in tables {
            writeln!(transaction, "SELECT count(*) FROM (SELECT FROM {table} LIMIT 10) AS few;")?;
        }
        writeln!(transaction, "SELECT pg_sleep({seconds});\nCOMMIT;")?;
        let script = bench.cluster.socket_directory().join("readers.sql");
        fs::write(&script, transaction.repeat(n_times))?;
        let mut reading = Reading { children: Vec::new() };
        for _ in 0..n_readers {
            let mut psql = server::psql(&bench.cluster, url);
            psql.arg("-f").arg(&script).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            let mut child = psql.spawn()?;
            thread::sleep(PAUSE);
            ensure!(child.try_wait()?.is_none(), "a reader cannot read");
            reading.children.push(child);
        }
        Ok(reading)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        for child in &mut self.children {
            // One that has ended by itself cannot be killed, and need not be.
            drop(child.kill());
            drop(child.wait());
        }
    }
}
