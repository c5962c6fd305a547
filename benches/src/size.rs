//! How large something in a database becomes while it is worked on.

use std::fs;
use std::process::{Child, Stdio};

use anyhow::Context;

use super::{Bench, process, server};

/// A session that asks for a size again and again.
pub(super) struct SizeWatch {
    child: Child,
}

impl SizeWatch {
    /// Begins; the query gives the size in bytes.
    pub(super) fn start(bench: &Bench, url: &str, query: &str) -> anyhow::Result<Self> {
        let file = bench.cluster.socket_directory().join("watch.sql");
        fs::write(&file, format!("{query} \\watch 0.2\n"))?;
        let mut psql = server::psql(&bench.cluster, url);
        let child = psql.arg("-f").arg(file).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        Ok(Self { child })
    }

    /// The largest size that was seen, in bytes.
    pub(super) fn peak(self) -> anyhow::Result<u64> {
        process::signal(&self.child, "INT")?;
        let output = self.child.wait_with_output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines().filter_map(|line| line.trim().parse().ok()).max().context("the size was never seen")
    }
}
