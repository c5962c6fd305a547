//! Running a program beside: the caller's runtime is never blocked, and the program ends with the caller's interest in it.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use futures_timer::Delay;
use rustix::process::{Pid, Signal, kill_process_group};

/// How often it is looked at, at first; then less often, up to [`SLOWEST`].
const FASTEST: Duration = Duration::from_millis(10);
const SLOWEST: Duration = Duration::from_millis(200);

/// The shell between us and a program that has to end with us, however we end. It reads from a pipe whose only writing end is ours: when
/// we close it, exit or are killed, it ends the program. It ends as the program did.
const GUARD: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- &
program=$!
{
    read -r end <&3
    kill "$program"
    sleep 1
    kill -KILL "$program"
} >/dev/null 2>&1 &
watcher=$!
wait "$program"
status=$?
kill -KILL "$watcher"
[ "$status" -le 128 ] || kill "-$((status - 128))" $$
exit "$status"
"#;

/// A command that runs this program and ends it with us, for [`Running::guarded`]; its arguments are still to be added.
pub(crate) fn guarded(program: &Path) -> Command {
    let mut command = Command::new("/bin/sh");
    // Ctrl-C is for us; that the pipe is closed follows.
    command.args(["-c", GUARD, "guard"]).arg(program).process_group(0);
    command
}

/// A program at work.
pub(crate) struct Running {
    child: Child,
    /// Whether a shell ends it when we close its standard input.
    is_guarded: bool,
    /// Whether what it has started ends with it.
    is_group: bool,
    says: Option<JoinHandle<String>>,
}

impl Running {
    /// Starts it, with its standard output where `command` says.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Self> {
        Self::of(command.stdin(Stdio::null()))
    }

    /// Starts one that [`guarded`] made, with its standard output where `command` says.
    pub(crate) fn guarded(command: &mut Command) -> std::io::Result<Self> {
        let mut running = Self::of(command.stdin(Stdio::piped()))?;
        running.is_guarded = true;
        Ok(running)
    }

    /// Starts it, with a text as its standard input. No file is needed, which would stay where the process is killed.
    pub(crate) fn fed(command: &mut Command, input: String) -> std::io::Result<Self> {
        let mut running = Self::of(command.stdin(Stdio::piped()))?;
        let stdin = running.child.stdin.take();
        // One that does not read it to its end says why by how it ends.
        thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
        Ok(running)
    }

    /// Starts one that leads a process group, with its standard input and output where `command` says.
    pub(crate) fn group(command: &mut Command) -> std::io::Result<Self> {
        let mut running = Self::of(command)?;
        running.is_group = true;
        Ok(running)
    }

    fn of(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.stderr(Stdio::piped()).spawn()?;
        let stderr = child.stderr.take();
        let says = thread::spawn(move || {
            let mut says = Vec::new();
            // What cannot be read is not said.
            drop(stderr.map(|mut stderr| stderr.read_to_end(&mut says)));
            String::from_utf8_lossy(&says).into_owned()
        });
        Ok(Self { child, is_guarded: false, is_group: false, says: Some(says) })
    }

    /// What it reads.
    pub(crate) fn stdin(&mut self) -> Option<std::process::ChildStdin> {
        self.child.stdin.take()
    }

    /// What it prints.
    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end, and calls `look` from time to time meanwhile; gives what it said if it failed.
    pub(crate) async fn end(mut self, mut look: impl AsyncFnMut()) -> Result<(), String> {
        let mut pause = FASTEST;
        loop {
            match self.child.try_wait() {
                Err(error) => return Err(error.to_string()),
                Ok(None) => {}
                Ok(Some(status)) => {
                    let says = self.says.take().and_then(|says| says.join().ok()).unwrap_or_default();
                    return if status.success() {
                        Ok(())
                    } else {
                        Err(last_words(status, &says, self.is_group))
                    };
                }
            }
            Delay::new(pause).await;
            pause = (pause * 2).min(SLOWEST);
            look().await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_guarded {
            drop(self.child.stdin.take());
            drop(self.child.wait());
            return;
        }
        // It has ended already, or nobody waits for what it does.
        if self.is_group && matches!(self.child.try_wait(), Ok(None)) {
            let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
            let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The errors that a program wrote, without its own name, or how it ended. A program of PostgreSQL says first what failed; a command
/// of the shell may have said what it does before.
fn last_words(status: ExitStatus, says: &str, is_group: bool) -> String {
    const MOST: usize = 4;
    let lines: Vec<&str> = says
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            ["pg_dump: ", "pg_restore: ", "error: "].iter().fold(line, |l, p| l.strip_prefix(p).unwrap_or(l))
        })
        .collect();
    match (lines.is_empty(), status.signal()) {
        (_, Some(signal)) => format!(
            "it was ended by signal {signal}{}",
            if signal == 25 { ": a limit of file sizes" } else { "" }
        ),
        (true, None) => format!("it ended with {status}"),
        (false, None) if is_group => lines[lines.len().saturating_sub(MOST)..].join("; "),
        (false, None) => lines[..lines.len().min(MOST)].join("; "),
    }
}
