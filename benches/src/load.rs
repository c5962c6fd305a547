//! An application at work: `pgbench` in an open loop, and what its log says of every statement.
//!
//! In an open loop statements come when they are due, whether or not earlier ones were answered, and latency counts from
//! when they were due. A closed loop would hide a stall: it asks nothing while it waits.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};

use super::{Bench, process};

/// Statements a second: so many that a stall of 50 ms meets several, so few that two cores keep up.
const RATE: u32 = 200;
const CLIENTS: u32 = 8;

/// A running application.
pub(super) struct Load {
    child: Child,
    directory: PathBuf,
}

/// What became of the statements.
pub(super) struct Statements {
    /// When each was due and how long it then took, in microseconds.
    samples: Vec<(u128, u128)>,
    /// Statements that the server answered with an error.
    pub(super) n_failed: usize,
    /// What `pgbench` said of them.
    pub(super) errors: String,
}

impl Load {
    /// Starts it; each script is one statement, with how often it comes among the others.
    pub(super) fn start(bench: &Bench, url: &str, scripts: &[(&str, u32)]) -> anyhow::Result<Self> {
        let pgbench = bench.cluster.binaries().pgbench().context("`pgbench` is not installed")?;
        let directory = bench.cluster.socket_directory().join("load");
        drop(fs::remove_dir_all(&directory));
        fs::create_dir(&directory)?;
        let mut command = Command::new(pgbench);
        command
            .args(["-n", "-M", "prepared", "-T", "86400", "--log", "--log-prefix"])
            .arg(directory.join("log"))
            .args(["-R", &RATE.to_string(), "-c", &CLIENTS.to_string()]);
        for (number, (script, weight)) in scripts.iter().enumerate() {
            let file = directory.join(format!("{number}.sql"));
            fs::write(&file, script)?;
            command.arg("-f").arg(format!("{}@{weight}", file.display()));
        }
        let errors = File::create(directory.join("errors"))?;
        let child = command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors).spawn()?;
        Ok(Self { child, directory })
    }

    /// Ends it as at the end of its time, and reads what it wrote.
    pub(super) fn stop(mut self) -> anyhow::Result<Statements> {
        process::signal(&self.child, "ALRM")?;
        self.child.wait()?;
        let mut errors = String::new();
        File::open(self.directory.join("errors"))?.read_to_string(&mut errors)?;
        let errors: Vec<&str> =
            errors.lines().filter(|line| line.contains("ERROR") || line.contains("aborted")).collect();
        let mut statements = Statements {
            samples: Vec::new(),
            n_failed: errors.iter().filter(|line| line.contains("aborted")).count(),
            errors: errors.first().map_or("", |first| first).to_owned(),
        };
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log")) {
                statements.read(&fs::read_to_string(path)?);
            }
        }
        ensure!(!statements.samples.is_empty(), "`pgbench` did nothing: {}", statements.errors);
        Ok(statements)
    }
}

impl Statements {
    /// Lines `client number latency script seconds microseconds lag`, the time being that of the end.
    fn read(&mut self, log: &str) {
        for line in log.lines() {
            let fields: Vec<&str> = line.split(' ').collect();
            let number = |index: usize| fields.get(index).and_then(|field| field.parse::<u128>().ok());
            match (number(2), number(4), number(5)) {
                (Some(latency), Some(seconds), Some(micros)) => {
                    self.samples.push(((seconds * 1_000_000 + micros).saturating_sub(latency), latency));
                }
                // `failed`: a deadlock or a serialization failure.
                _ => self.n_failed += 1,
            }
        }
    }

    /// The latencies of the statements that were due or under way between two moments, ascending.
    pub(super) fn between(&self, from: SystemTime, to: SystemTime) -> Vec<Duration> {
        let (from, to) = (micros(from), micros(to));
        let meets = |(due, latency): &&(u128, u128)| *due <= to && due + latency >= from;
        let micros = |(_, latency): &(u128, u128)| u64::try_from(*latency).unwrap_or(u64::MAX);
        let mut latencies: Vec<Duration> =
            self.samples.iter().filter(meets).map(micros).map(Duration::from_micros).collect();
        latencies.sort_unstable();
        latencies
    }
}

fn micros(time: SystemTime) -> u128 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}
