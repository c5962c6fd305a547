//! Talking to a server through the programs beside it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use crate::{Binaries, SandboxError, place};

/// Variables by which the environment would change what the programs do.
const LIBPQ_VARIABLES: [&str; 16] = [
    "PGCHANNELBINDING",
    "PGCLIENTENCODING",
    "PGDATESTYLE",
    "PGGSSENCMODE",
    "PGHOSTADDR",
    "PGLOADBALANCEHOSTS",
    "PGMAXPROTOCOLVERSION",
    "PGMINPROTOCOLVERSION",
    "PGOPTIONS",
    "PGREQUIREAUTH",
    "PGREQUIREPEER",
    "PGSERVICE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGTARGETSESSIONATTRS",
    "PGTZ",
];

/// How to reach a running server.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) binaries: Binaries,
    pub(crate) socket_directory: PathBuf,
}

impl Client {
    pub(crate) fn url(&self, database: &str) -> String {
        place::url(&self.socket_directory, database)
    }

    /// Runs statements, each in a transaction of its own, and returns their rows: fields parted by `|`, a line each.
    pub(crate) fn psql(&self, database: &str, sql: &str) -> Result<String, SandboxError> {
        let mut command = Command::new(self.binaries.psql());
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-f", "-", "-d"])
            .arg(self.url(database));
        succeed(command, sql)
    }

    pub(crate) fn pg_dump(&self, database: &str, args: &[&str]) -> Result<String, SandboxError> {
        let mut command = Command::new(self.binaries.pg_dump());
        command.args(args).arg("-d").arg(self.url(database));
        succeed(command, "")
    }
}

/// Runs a command over `input` and returns what it printed.
///
/// # Errors
/// [`SandboxError::Failed`] with what it wrote to its standard error.
pub(crate) fn succeed(mut command: Command, input: &str) -> Result<String, SandboxError> {
    let program = PathBuf::from(command.get_program());
    for variable in LIBPQ_VARIABLES {
        command.env_remove(variable);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(SandboxError::spawn(&program))?;
    let stdin = child.stdin.take();
    let output = thread::scope(|scope| {
        scope.spawn(move || {
            // A program that stops reading says why on its standard error.
            stdin.map(|mut stdin| stdin.write_all(input.as_bytes()))
        });
        child.wait_with_output()
    });
    let Output { status, stdout, stderr } = output.map_err(SandboxError::spawn(&program))?;
    if status.success() {
        return Ok(String::from_utf8_lossy(&stdout).into_owned());
    }
    let name = Path::file_name(&program).unwrap_or_default().to_string_lossy().into_owned();
    Err(SandboxError::Failed { program: name, message: String::from_utf8_lossy(&stderr).into_owned() })
}
