//! What a deployment asks of the world outside the database: commands of the shell, whether the application is healthy, and how
//! much space is left.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use migration_coordinator::Cancellation;
use migration_report::Class;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::exit::Failure;
use crate::http;
use crate::output::{Output, Text, duration};

/// Lines of a failed command that are shown; the log has them all.
const LINES: usize = 20;
/// How long one question to the application may take at most.
const ANSWER: Duration = Duration::from_secs(5);
/// The time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that is read of an answer.
const BODY: u64 = 64 * 1024;

/// Runs a command of the shell to its end. What it prints goes into the log; if it fails, its last lines are shown too. What it
/// leaves running in the background is not waited for.
///
/// # Errors
/// It cannot be run, or does not end with 0. One that is cancelled is sent SIGTERM, with all that it has started.
pub(super) async fn command(
    output: &Output,
    log: &Path,
    command: &str,
    cancellation: &Cancellation,
) -> anyhow::Result<()> {
    let failed_log = || format!("could not open `{}`", log.display());
    let printed = OpenOptions::new().append(true).open(log).with_context(failed_log)?;
    let begin = printed.metadata().with_context(failed_log)?.len();
    let mut shell = Command::new("sh");
    // No pipe: a program that is left in the background would keep it open.
    shell.arg("-c").arg(command).stdin(Stdio::null()).process_group(0);
    shell.stderr(printed.try_clone().with_context(failed_log)?).stdout(printed);
    let mut shell = shell.spawn().context("could not run `sh`")?;
    let Some(status) = cancellation.unless_cancelled(shell.wait()).await else {
        let group = shell.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        // It fails where all of it is over.
        let _ = group.map(|group| kill_process_group(group, Signal::TERM));
        return Err(interrupted());
    };
    let status = status.context("could not wait for `sh`")?;
    if status.success() {
        return Ok(());
    }
    let lines = lines_from(log, begin).with_context(|| format!("could not read `{}`", log.display()))?;
    let mut text = Text::default();
    for line in &lines[lines.len().saturating_sub(LINES)..] {
        text.note(format!("  {}", output.paint.safe(line)));
    }
    output.say(&text);
    Err(failed(format!("`{command}` ended with {status}")))
}

/// The lines of a file from this byte on.
fn lines_from(file: &Path, begin: u64) -> io::Result<Vec<String>> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).lines().map(str::to_owned).collect())
}

/// Asks until the application is healthy: a status from 200 to 299, with this text in the body. Gives the number of questions.
///
/// # Errors
/// It is not healthy in time; what it answered last is said.
pub(super) async fn health(
    url: &str,
    body: Option<&str>,
    timeout: Duration,
    cancellation: &Cancellation,
) -> anyhow::Result<usize> {
    let begun = Instant::now();
    let mut n_asked = 0;
    loop {
        n_asked += 1;
        let (question, wanted) = (url.to_owned(), body.map(str::to_owned));
        // One that hangs does not take longer than there is time.
        let limit = timeout.saturating_sub(begun.elapsed()).clamp(PAUSE, ANSWER);
        let asked = tokio::task::spawn_blocking(move || ask(&question, wanted.as_deref(), limit));
        let asked = cancellation.unless_cancelled(asked).await.ok_or_else(interrupted)??;
        let Err(why) = asked else { return Ok(n_asked) };
        if begun.elapsed() + PAUSE > timeout {
            let message =
                format!("the application is not healthy after {}: {why}", duration(begun.elapsed()));
            return Err(failed(message));
        }
        cancellation.unless_cancelled(tokio::time::sleep(PAUSE)).await.ok_or_else(interrupted)?;
    }
}

/// Asks once.
fn ask(url: &str, wanted: Option<&str>, limit: Duration) -> Result<(), String> {
    let mut answer = http::agent(limit).get(url).call().map_err(|error| format!("`{url}`: {error}"))?;
    if !answer.status().is_success() {
        return Err(format!("`{url}` answers {}", answer.status()));
    }
    let Some(wanted) = wanted else { return Ok(()) };
    let body = answer.body_mut().with_config().limit(BODY).lossy_utf8(true).read_to_string();
    match body {
        Ok(body) if body.contains(wanted) => Ok(()),
        Ok(_) => Err(format!("`{url}` answers without `{wanted}`")),
        Err(error) => Err(format!("`{url}`: {error}")),
    }
}

/// Bytes that can still be written below a directory, which need not be there yet.
pub(super) fn free(directory: &Path) -> anyhow::Result<u64> {
    let there = directory.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/"));
    let found = rustix::fs::statvfs(there)
        .with_context(|| format!("could not ask how much space there is in `{}`", there.display()))?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Stopped by a signal.
pub(super) fn interrupted() -> anyhow::Error {
    Failure { class: Class::Interrupted, message: "interrupted".to_owned(), hint: None }.into()
}

fn failed(message: String) -> anyhow::Error {
    Failure { class: Class::Failed, message, hint: None }.into()
}
