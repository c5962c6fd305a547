//! What running and starting servers have in common: their command line, their `postmaster.pid`, becoming ready.

use std::ffi::OsString;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::place::{self, PORT};
use crate::{Binaries, SandboxError};

/// How long a server may take to become ready. Long, because crash recovery of a large cluster takes its time; a
/// server that fails to start is noticed at once.
const START_PATIENCE: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_millis(5);

/// `postmaster.pid` as far as it matters: <https://www.postgresql.org/docs/15/storage-file-layout.html>.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) socket_directory: PathBuf,
    pub(crate) is_ready: bool,
}

impl PidFile {
    /// Reads the file; nothing if there is none or it is not complete yet.
    pub(crate) fn read(data_directory: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(path(data_directory)).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let pid = lines.next()?.trim().parse().ok()?;
        let socket_directory = PathBuf::from(lines.nth(3)?);
        let is_ready = lines.nth(2).is_some_and(|status| status.trim_end() == "ready");
        Some(Self { pid, socket_directory, is_ready })
    }

    /// Whether a server answers on the socket. The process id alone would not tell: it may be another process by now.
    pub(crate) fn is_listening(&self) -> bool {
        UnixStream::connect(place::socket(&self.socket_directory)).is_ok()
    }

    /// Whether the process is a server on this data directory, be its socket there or not.
    pub(crate) fn is_server_of(&self, data_directory: &Path) -> bool {
        let pid = self.pid.to_string();
        if Path::new("/proc/self").exists() {
            // A server works in its data directory.
            return fs::read_link(Path::new("/proc").join(pid).join("cwd"))
                .is_ok_and(|cwd| cwd == data_directory);
        }
        let output = Command::new("ps").args(["-o", "command=", "-p", &pid]).output();
        output.is_ok_and(|output| {
            String::from_utf8_lossy(&output.stdout).contains(&*data_directory.to_string_lossy())
        })
    }
}

/// Path of `postmaster.pid`.
pub(crate) fn path(data_directory: &Path) -> PathBuf {
    data_directory.join("postmaster.pid")
}

/// The server's command line: on its socket only, then `settings`, of which later ones win.
pub(crate) fn command_line(
    binaries: &Binaries,
    data_directory: &Path,
    socket_directory: &Path,
    settings: &[(String, String)],
) -> Vec<OsString> {
    let mut line: Vec<OsString> = vec![binaries.postgres().into(), "-D".into(), data_directory.into()];
    line.extend(["-k".into(), socket_directory.into(), "-p".into(), PORT.to_string().into()]);
    line.extend(["-c".into(), "listen_addresses=".into()]);
    for (name, value) in settings {
        line.extend(["-c".into(), format!("{name}={value}").into()]);
    }
    line
}

/// Waits until the server accepts sessions; `has_exited` says that it never will.
///
/// # Errors
/// [`SandboxError::Start`] with the end of the server's log.
pub(crate) fn wait_until_ready(
    data_directory: &Path,
    log: &Path,
    mut has_exited: impl FnMut() -> bool,
) -> Result<PidFile, SandboxError> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        // Asked before the file is read: a server that exits removes the file first.
        let exited = has_exited();
        match PidFile::read(data_directory) {
            Some(pid_file) if pid_file.is_ready && !exited => return Ok(pid_file),
            _ if exited || Instant::now() > deadline => {
                let log = fs::read(log).map(|text| String::from_utf8_lossy(&text).into_owned());
                let log = tail(&log.unwrap_or_default());
                return Err(SandboxError::Start { data_directory: data_directory.to_owned(), log });
            }
            _ => thread::sleep(POLL),
        }
    }
}

/// The last lines of a log.
fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(5)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_file_is_ready_once_its_last_line_says_so() {
        let starting = "41\n/data\n1763\n5432\n/tmp/s\n\n  123  4\nstarting\n";
        let ready = starting.replace("starting", "ready   ");
        let parsed = PidFile { pid: 41, socket_directory: PathBuf::from("/tmp/s"), is_ready: false };
        assert_eq!(PidFile::parse(starting), Some(parsed.clone()));
        assert_eq!(PidFile::parse(&ready), Some(PidFile { is_ready: true, ..parsed.clone() }));
        assert_eq!(PidFile::parse("41\n/data\n1763\n5432\n/tmp/s\n"), Some(parsed));
        assert_eq!(PidFile::parse("41\n/data\n"), None);
    }
}
