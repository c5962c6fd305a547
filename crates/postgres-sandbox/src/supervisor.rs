//! The shell that stands between us and a temporary server, so that nothing is left of it however we end.
//!
//! It makes the cluster, or copies that of its primary, is the server's parent, and reads from a pipe whose only writing end is ours. When we close it,
//! exit, panic or are killed, the shell reads the end of the pipe, stops the server and removes the directory. It is in
//! a process group of its own and ignores signals: Ctrl-C is for us, and the end of the pipe follows. As the server's
//! parent it never signals a process that took over the server's number.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::server::{self, PidFile};
use crate::{Binaries, SandboxError};

/// Arguments: the directory, `initdb`, `pg_basebackup`, the socket directory of the primary or nothing, then the server's
/// command line. SIGQUIT is repeated because the server does not
/// heed it in its first milliseconds.
const SCRIPT: &str = r#"
directory=$1 initdb=$2 pg_basebackup=$3 primary=$4
shift 4
trap '' HUP INT TERM
exec 3<&0 </dev/null
initialise() {
    "$initdb" --pgdata="$directory/data" --username=postgres --auth=trust --encoding=UTF8 --no-sync \
        --no-instructions "$@" 3<&-
}
copy() {
    "$pg_basebackup" --pgdata="$directory/data" --host="$primary" --port=5432 --username=postgres \
        --write-recovery-conf --checkpoint=fast --no-sync 3<&-
}
if [ -n "$primary" ]; then copy; else initialise --locale=C.UTF-8 || initialise --locale=C; fi
"$@" 3<&- &
server=$!
{
    read -r end <&3
    while :; do kill -QUIT "$server"; sleep 0.1; done
} &
watcher=$!
wait "$server"
kill -KILL "$watcher"
: >"$directory/exited"
read -r end <&3
rm -rf -- "$directory"
"#;

/// A temporary server with the shell that looks after it.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Child,
    directory: PathBuf,
}

impl Supervisor {
    /// Makes a cluster in `directory`, a standby of `primary` if that is a socket directory, starts its server and waits until
    /// it is ready.
    pub(crate) fn start(
        directory: &Path,
        binaries: &Binaries,
        account: Account,
        primary: Option<&Path>,
        settings: &[(String, String)],
    ) -> Result<Self, SandboxError> {
        let log = log(directory);
        let data = data_directory(directory);
        let output = File::create(&log).map_err(SandboxError::file("create", &log))?;
        account.own(&log)?;
        let errors = output.try_clone().map_err(SandboxError::file("open", &log))?;
        let shell = Path::new("/bin/sh");
        let server: Vec<OsString> = server::command_line(binaries, &data, directory, settings);
        let mut command = Command::new(shell);
        command.args(["-c", SCRIPT, "postgres-sandbox"]).arg(directory).arg(binaries.initdb());
        command.arg(binaries.pg_basebackup()).arg(primary.unwrap_or(Path::new(""))).args(server);
        command.stdin(Stdio::piped()).stdout(output).stderr(errors).process_group(0);
        account.apply(&mut command);
        let shell = command.spawn().map_err(SandboxError::spawn(shell))?;
        let mut supervisor = Self { shell, directory: directory.to_owned() };
        let exited = directory.join("exited");
        let shell = &mut supervisor.shell;
        let ended = || exited.exists() || !matches!(shell.try_wait(), Ok(None));
        server::wait_until_ready(&data, &log, ended)?;
        Ok(supervisor)
    }

    /// Process id of the server.
    pub(crate) fn server_pid(&self) -> Option<u32> {
        PidFile::read(&data_directory(&self.directory)).map(|file| file.pid)
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // Errors mean that the shell is gone already; then it has cleaned up, or could not.
        drop(self.shell.wait());
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// Data directory of the cluster in `directory`.
pub(crate) fn data_directory(directory: &Path) -> PathBuf {
    directory.join("data")
}

/// Log of the server in `directory`.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("server.log")
}
