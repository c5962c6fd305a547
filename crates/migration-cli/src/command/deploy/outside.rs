//! What a deployment asks of the world outside the database: commands of the shell, whether the application is healthy, and how
//! much space is left.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use migration_coordinator::Cancellation;
use migration_report::Class;

use crate::exit::Failure;
use crate::output::{Output, Text, duration};

/// Lines of a failed command that are shown; the log has them all.
const LINES: usize = 20;
/// How long one question to the application may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The time between two questions.
const PAUSE: Duration = Duration::from_secs(1);
/// The most that is read of an answer.
const BODY: u64 = 64 * 1024;

/// Runs a command of the shell to its end, and logs what it prints.
///
/// # Errors
/// It cannot be run, or does not end with 0. One that is cancelled is not waited for.
pub(super) async fn command(
    output: &Output,
    command: &str,
    cancellation: &Cancellation,
) -> anyhow::Result<()> {
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdin(Stdio::null());
    let run = tokio::task::spawn_blocking(move || shell.output());
    let Some(ran) = cancellation.unless_cancelled(run).await else { return Err(interrupted()) };
    let ran = ran?.context("could not run `sh`")?;
    let printed = [ran.stdout, ran.stderr].concat();
    let printed = String::from_utf8_lossy(&printed);
    let lines: Vec<String> = printed.lines().map(|line| format!("  {}", output.paint.safe(line))).collect();
    let shown = if ran.status.success() { 0 } else { LINES };
    let mut text = Text::default();
    lines[lines.len().saturating_sub(shown)..].iter().for_each(|line| text.note(line));
    output.log_only(&lines[..lines.len().saturating_sub(shown)]);
    output.say(&text);
    if ran.status.success() {
        return Ok(());
    }
    Err(failed(format!("`{command}` ended with {}", ran.status)))
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
        let asked = tokio::task::spawn_blocking(move || ask(&question, wanted.as_deref()));
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
fn ask(url: &str, wanted: Option<&str>) -> Result<(), String> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .http_status_as_error(false)
        .proxy(None)
        .build()
        .into();
    let mut answer = agent.get(url).call().map_err(|error| format!("`{url}`: {error}"))?;
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
