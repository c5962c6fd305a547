//! The arguments of `deploy`. They are kept in its record, for `--resume`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use migration_plan::Selection;
use serde::{Deserialize, Serialize};

use super::run::{Consent, Contract, RunArguments, as_text, duration, selection};

/// What a deployment that is continued has in its record.
const RECORDED: [&str; 19] = [
    "targets",
    "wait",
    "lock_patience",
    "jobs",
    "contract",
    "ignore_soak",
    "allow_data_loss",
    "new_beside",
    "accept",
    "atomic",
    "no_backup",
    "time_limit",
    "stop_command",
    "start_command",
    "health_url",
    "health_body",
    "health_timeout",
    "on_failure",
    "dry_run",
];

/// What `deploy` understands.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct DeployArguments {
    /// As for `up`
    #[arg(value_name = "SERVICE[@TARGET]", value_parser = selection)]
    #[serde(with = "as_text")]
    pub(crate) targets: Vec<Selection>,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(flatten)]
    pub(crate) contract: Contract,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Do not back up first; then there is nothing to restore
    #[arg(long)]
    pub(crate) no_backup: bool,
    /// Stop applying after this time, and count that as a failure: `90s`, `10m`, `1h`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) time_limit: Option<Duration>,
    /// Command of the shell that stops the application before the backup
    #[arg(long, value_name = "COMMAND")]
    pub(crate) stop_command: Option<String>,
    /// Command of the shell that starts the application afterwards, the old one too if it comes back
    #[arg(long, value_name = "COMMAND")]
    pub(crate) start_command: Option<String>,
    /// Address that answers with a status from 200 to 299 once the application is healthy
    #[arg(long, value_name = "URL", value_parser = health_url)]
    pub(crate) health_url: Option<String>,
    /// Text that the answer has to contain
    #[arg(long, value_name = "TEXT", requires = "health_url")]
    pub(crate) health_body: Option<String>,
    /// How long to keep asking until the application is healthy
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) health_timeout: Duration,
    /// What becomes of a failure after the backup; without, a terminal is asked, and otherwise everything is kept
    #[arg(long, value_enum, value_name = "WAY")]
    pub(crate) on_failure: Option<OnFailure>,
    /// Look at everything and show what would be done; change nothing
    #[arg(long)]
    #[serde(skip)]
    pub(crate) dry_run: bool,
    /// Continue the deployment that was stopped or failed, with the arguments it was given
    #[arg(long, conflicts_with_all = RECORDED, conflicts_with = "forget")]
    #[serde(skip)]
    pub(crate) resume: bool,
    /// Forget that deployment; the database stays as it is
    #[arg(long, conflicts_with_all = RECORDED)]
    #[serde(skip)]
    pub(crate) forget: bool,
}

/// The way back after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// Leave everything as it is: `--resume` continues
    Keep,
    /// Revert what this deployment applied
    Revert,
    /// Restore the backups that it made; what is there now is set aside
    Restore,
}

/// Reads an address to ask. One with a password is refused: others can see the arguments of a process.
fn health_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let Some(rest) = rest else { return Err("expected `http://…` or `https://…`".to_owned()) };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.contains('@') {
        return Err("an address with a user or password is not accepted".to_owned());
    }
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::{Alone, Command};

    fn read(words: &[&str]) -> Result<DeployArguments, clap::Error> {
        let words = [&["migrate", "deploy"], words].concat();
        match Alone::try_parse_from(words)?.arguments.command {
            Some(Command::Deploy(arguments)) => Ok(*arguments),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_record_keeps_every_argument() {
        let words = "billing@+1 shop --wait 5s --jobs 2 --contract --ignore-soak --allow-data-loss --accept billing:invoices.role \
                     --time-limit 10m --stop-command stop --start-command start --health-url http://h/x --health-body ok \
                     --health-timeout 5s --on-failure restore";
        let arguments = read(&words.split_whitespace().collect::<Vec<_>>()).unwrap();
        let kept = serde_json::to_string(&arguments).unwrap();
        assert_eq!(serde_json::from_str::<DeployArguments>(&kept).unwrap(), arguments);
        assert_eq!(arguments.targets.len(), 2);
    }

    #[test]
    fn addresses_that_cannot_be_asked_are_refused() {
        for bad in ["", "localhost", "ftp://h", "http://", "http:///x", "https://user:secret@h/"] {
            assert!(read(&["--health-url", bad]).is_err(), "{bad}");
        }
        for good in ["http://127.0.0.1:8080/health?full=1", "https://h"] {
            assert!(read(&["--health-url", good]).is_ok(), "{good}");
        }
        assert!(read(&["--resume", "--contract"]).is_err() && read(&["--forget", "billing"]).is_err());
        assert!(read(&["--resume", "--json", "-q"]).is_ok() && read(&["--resume", "--forget"]).is_err());
        assert!(read(&["--health-body", "ok"]).is_err());
    }
}
