//! The arguments of the commands that run migrations.

use std::time::Duration;

use clap::Args;
use migration_coordinator::Acceptance;
use migration_plan::{ContractSteps, NameError, Selection, SelectionError};
use serde::{Deserialize, Serialize};

/// The defaults of [`RunArguments`].
pub(super) const WAIT: &str = "60s";
pub(super) const LOCK_PATIENCE: &str = "10m";
const JOBS: u16 = 8;

/// What `up` understands, also where it is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(flatten)]
    pub(crate) contract: Contract,
    /// Apply even if the database has migrations that are newer than this build
    #[arg(long)]
    pub(crate) allow_ahead: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
    /// Back up each service first, as `backup` does
    #[arg(long)]
    pub(crate) backup: bool,
}

/// What becomes of contract steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct Contract {
    /// Apply contract steps too, as far as their soak time has passed
    #[arg(long)]
    pub(crate) contract: bool,
    /// Do not wait for soak times: the application is stopped, or nobody runs old code any more
    #[arg(long, requires = "contract")]
    pub(crate) ignore_soak: bool,
}

impl Contract {
    /// The same for a plan.
    pub(crate) fn steps(self) -> ContractSteps {
        match (self.contract, self.ignore_soak) {
            (false, _) => ContractSteps::FirstInstall,
            (true, false) => ContractSteps::Apply,
            (true, true) => ContractSteps::IgnoreSoak,
        }
    }
}

/// What `apply` understands: what is agreed to is said when it is done, not when it is planned.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct ApplyOptions {
    #[command(flatten)]
    pub(crate) run: RunArguments,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

/// What is agreed to when migrations are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct Consent {
    /// Allow migrations that are declared to lose data
    #[arg(long)]
    pub(crate) allow_data_loss: bool,
    /// Make the tables of services that are empty although an earlier system has left such tables elsewhere in the database
    #[arg(long)]
    pub(crate) new_beside: bool,
    /// Accept that this column, constraint or index of an adopted table is not as the migrations make it, and record it in
    /// the journal; repeatable
    #[arg(long, value_name = "SERVICE:TABLE.COLUMN", value_parser = acceptance)]
    #[serde(with = "as_text")]
    pub(crate) accept: Vec<Acceptance>,
    /// Apply everything in one transaction, or nothing; refused if a pending migration cannot run in one
    #[arg(long)]
    pub(crate) atomic: bool,
}

/// What every command understands that runs migrations.
#[derive(Debug, Clone, PartialEq, Eq, Args, Serialize, Deserialize)]
pub(crate) struct RunArguments {
    /// How long to wait for another run's migration lock: `90s`, `5m`, `0`
    #[arg(long, value_name = "DURATION", default_value = WAIT, value_parser = duration)]
    pub(crate) wait: Duration,
    /// How long to keep trying for a table lock that other transactions block
    ///
    /// A concurrent index build waits for old transactions for as long as they last.
    #[arg(long, value_name = "DURATION", default_value = LOCK_PATIENCE, value_parser = duration)]
    pub(crate) lock_patience: Duration,
    /// How many services to migrate at the same time
    #[arg(long, value_name = "N", default_value_t = JOBS, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,
}

impl Default for RunArguments {
    fn default() -> Self {
        let read = |text| duration(text).expect("the defaults are durations");
        Self { wait: read(WAIT), lock_patience: read(LOCK_PATIENCE), jobs: JOBS }
    }
}

/// Reads a service and its target; what is wrong is reported with what is right.
pub(super) fn selection(text: &str) -> Result<Selection, String> {
    text.parse().map_err(|error: SelectionError| match &error {
        SelectionError::Service { source, .. } => source.to_string(),
        _ => format!("{error}; {}", error.hint()),
    })
}

/// Reads `SERVICE:OBJECT`.
fn acceptance(text: &str) -> Result<Acceptance, String> {
    let (service, object) = text.split_once(':').unwrap_or((text, ""));
    if object.is_empty() {
        return Err("expected a service and an object: `SERVICE:TABLE.COLUMN`".to_owned());
    }
    let service = service.parse().map_err(|error: NameError| error.to_string())?;
    Ok(Acceptance { service, object: object.to_owned() })
}

/// Values in a file as they are written on a command line.
pub(super) mod as_text {
    use std::fmt::Display;

    use migration_coordinator::Acceptance;
    use migration_plan::Selection;
    use serde::de::{Deserializer, Error};
    use serde::{Deserialize, Serializer};

    /// What is read from one word.
    pub(in crate::arguments) trait Word: Display + Sized {
        fn read(word: &str) -> Result<Self, String>;
    }

    impl Word for Acceptance {
        fn read(word: &str) -> Result<Self, String> {
            super::acceptance(word)
        }
    }

    impl Word for Selection {
        fn read(word: &str) -> Result<Self, String> {
            super::selection(word)
        }
    }

    pub(in crate::arguments) fn serialize<W: Word, S: Serializer>(
        words: &[W],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(words.iter().map(ToString::to_string))
    }

    pub(in crate::arguments) fn deserialize<'de, W: Word, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<W>, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        words.iter().map(|word| W::read(word)).collect::<Result<_, _>>().map_err(D::Error::custom)
    }
}

/// The longest that is understood: no clock reaches much further.
const LONGEST: Duration = Duration::from_secs(876_000 * 3600);

/// Reads `500ms`, `90s`, `5m`, `1h` or `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 =
        digits.parse().map_err(|_| "expected a number and a unit: `500ms`, `90s`, `5m`, `1h`".to_owned())?;
    let duration = match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        "h" => Duration::from_secs(number.saturating_mul(3600)),
        "" if number == 0 => Duration::ZERO,
        "" => return Err("the unit is missing: `ms`, `s`, `m` or `h`".to_owned()),
        unit => return Err(format!("`{unit}` is not a unit: `ms`, `s`, `m` or `h`")),
    };
    if duration > LONGEST {
        return Err("that is longer than `876000h`, a hundred years".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::arguments::Alone;

    #[test]
    fn the_defaults_are_those_of_no_argument() {
        assert_eq!(Alone::parse_from(["migrate"]).arguments.up, UpOptions::default());
    }

    #[test]
    fn durations_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        assert_eq!(duration("876000h"), Ok(LONGEST));
        for bad in ["5", "", "m", "5 s", "-1s", "5d", "876001h", "18446744073709551615h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
