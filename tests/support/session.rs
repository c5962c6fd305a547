//! A session with the server that stays open: `psql` behind two pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use postgres_sandbox::Cluster;

/// What follows the rows of each statement.
const DONE: &str = "[done]";

/// Time after which what is waited for is not going to happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// An open session. Dropping it ends it, and rolls back what it has begun.
pub(crate) struct Session {
    psql: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    pub(crate) fn open(url: &str) -> Self {
        let mut psql = Command::new(Cluster::shared().binaries().psql())
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = psql.stdin.take().unwrap();
        let stdout = BufReader::new(psql.stdout.take().unwrap());
        Self { psql, stdin, stdout }
    }

    /// Rows of one statement, fields parted by `|`, a line each.
    #[track_caller]
    pub(crate) fn query(&mut self, sql: &str) -> String {
        write!(self.stdin, "{sql};\n\\echo {DONE}\n").unwrap();
        let mut rows = Vec::new();
        for line in self.stdout.by_ref().lines() {
            match line.unwrap() {
                line if line == DONE => return rows.join("\n"),
                line => rows.push(line),
            }
        }
        panic!("`{sql}` failed");
    }

    /// Sends statements, and does not wait for them.
    pub(crate) fn send(&mut self, sql: &str) {
        writeln!(self.stdin, "{sql};").unwrap();
    }

    /// Asks until the answer is this one.
    #[track_caller]
    pub(crate) fn until(&mut self, sql: &str, answer: &str) {
        let begun = Instant::now();
        loop {
            let found = self.query(sql);
            if found == answer {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "`{sql}` still answers `{found}`, not `{answer}`");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.psql.kill());
        drop(self.psql.wait());
    }
}
