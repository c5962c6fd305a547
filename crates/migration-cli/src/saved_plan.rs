//! A plan in a file: what was planned and reviewed, and what it was made from, so that nothing else is done later.

use std::fs;
use std::path::Path;

use migration_coordinator::{Fingerprint, Goal, Move, Planned, ServiceFacts};
use migration_kit::Service;
use migration_plan::{ContractSteps, Selection, UnknownApplied};
use migration_report::{Class, PlanReport, timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::arguments::Contract;
use crate::exit::Failure;
use crate::json_file;
use crate::words::OurWords;

/// What the file is called, with the version of what it means.
const SCHEMA: &str = "migrate-plan/v1";

/// A plan in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SavedPlan {
    schema: String,
    program: Maker,
    /// When it was made, by the clock of the database.
    made_at: String,
    goal: SavedGoal,
    /// The steps, as `plan --json` prints them.
    steps: Value,
    made_from: Fingerprint,
}

/// Which program made the plan: one with the same services and of the same version is the same.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Maker {
    version: String,
    services: Vec<String>,
}

/// What was asked for.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedGoal {
    down: bool,
    targets: Vec<String>,
    contract: bool,
    ignore_soak: bool,
}

impl SavedPlan {
    /// What was planned, with what it was made from.
    pub(crate) async fn of(planned: &Planned<'_>, goal: &Goal) -> anyhow::Result<Self> {
        let steps = PlanReport::of(planned.deployment(), planned.plan(), &OurWords).steps;
        Ok(Self {
            schema: SCHEMA.to_owned(),
            program: Maker::of(
                planned.survey().services.iter().map(|facts: &ServiceFacts| facts.service.as_str()),
            ),
            made_at: timestamp(planned.survey().now()),
            goal: SavedGoal::of(goal),
            steps: serde_json::to_value(steps)?,
            made_from: planned.fingerprint().await?,
        })
    }

    /// Writes it, or leaves what was there.
    pub(crate) fn write(&self, file: &Path) -> anyhow::Result<()> {
        json_file::write(file, json_file::SHARED, self)
    }

    /// Reads one that this program made.
    pub(crate) fn read(file: &Path, services: &[Service]) -> Result<Self, Failure> {
        let name = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| {
            Failure::usage(format!("`{name}` cannot be read: {error}"), "name a file that `plan --out` wrote")
        })?;
        Self::parse(&name, &text, services)
    }

    /// The plan of this text, which is that of a file of this name.
    fn parse(name: &str, text: &str, services: &[Service]) -> Result<Self, Failure> {
        let refused = |why: String| {
            Failure::usage(format!("`{name}` {why}"), "make it anew with `plan --out` of this program")
        };
        let value: Value =
            serde_json::from_str(text).map_err(|error| refused(format!("is not a saved plan: {error}")))?;
        match value.get("schema").and_then(Value::as_str) {
            Some(SCHEMA) => {}
            Some(other) => return Err(refused(format!("is `{other}`, not `{SCHEMA}`"))),
            None => return Err(refused("is not a saved plan".to_owned())),
        }
        let saved: Self = serde_json::from_value(value)
            .map_err(|error| refused(format!("is not a saved plan: {error}")))?;
        let ours = Maker::of(services.iter().map(|service| service.name().as_str()));
        if saved.program.version != ours.version {
            let (theirs, ours) = (&saved.program.version, &ours.version);
            return Err(refused(format!("was made by version {theirs}, and this is version {ours}")));
        }
        if saved.program != ours {
            return Err(refused("was made by a program with other services".to_owned()));
        }
        Ok(saved)
    }

    /// What was asked for.
    ///
    /// # Errors
    /// A target that is none.
    pub(crate) fn goal(&self) -> anyhow::Result<Goal> {
        let SavedGoal { down, targets, contract, ignore_soak } = &self.goal;
        let selections = targets.iter().map(|text| text.parse()).collect::<Result<Vec<Selection>, _>>()?;
        let contract = Contract { contract: *contract, ignore_soak: *ignore_soak }.steps();
        Ok(if *down {
            Goal::Revert { selections }
        } else {
            Goal::Apply { selections, contract, unknown: UnknownApplied::Refuse }
        })
    }

    /// Refuses what would not be done as it was reviewed.
    pub(crate) async fn check(&self, planned: &Planned<'_>) -> anyhow::Result<()> {
        let refused = |message: String| Failure {
            class: Class::Refused,
            message,
            hint: Some("nothing was changed; make the plan anew with `plan --out`, and review it".to_owned()),
        };
        let now = planned.fingerprint().await?;
        let moves = self.made_from.moves(&now);
        if !moves.is_empty() {
            let says: Vec<String> = moves.iter().map(|(service, moved)| says(service, *moved)).collect();
            return Err(
                refused(format!("the plan of {} does not fit: {}", self.made_at, says.join("; "))).into()
            );
        }
        let steps = PlanReport::of(planned.deployment(), planned.plan(), &OurWords).steps;
        if what_is_done(serde_json::to_value(steps)?) != what_is_done(self.steps.clone()) {
            return Err(refused(format!("the plan of {} would be another one now", self.made_at)).into());
        }
        Ok(())
    }
}

/// The steps without what changes nothing that they do: a soak time that is ignored ends when the clock says so, as long as what it is
/// counted from is not applied, and is over some day; what describes a migration is for its reader.
fn what_is_done(mut steps: Value) -> Value {
    for step in steps.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        for without in ["ignored_soak", "description", "previews"] {
            step.remove(without);
        }
    }
    steps
}

fn says(service: &str, moved: Move) -> String {
    match moved {
        Move::Elsewhere => format!("it was made for another database of `{service}`"),
        Move::Schema => format!("`{service}` was in another schema"),
        Move::Migrations => format!("`{service}` has other migrations now"),
        Move::History => format!("other migrations of `{service}` are applied now"),
        Move::Objects => format!("the schema of `{service}` was changed since"),
    }
}

impl Maker {
    fn of<'n>(services: impl Iterator<Item = &'n str>) -> Self {
        let mut services: Vec<String> = services.map(str::to_owned).collect();
        services.sort_unstable();
        Self { version: env!("CARGO_PKG_VERSION").to_owned(), services }
    }
}

impl SavedGoal {
    fn of(goal: &Goal) -> Self {
        let targets = |selections: &[Selection]| selections.iter().map(ToString::to_string).collect();
        match goal {
            Goal::Apply { selections, contract, .. } => Self {
                down: false,
                targets: targets(selections),
                contract: *contract != ContractSteps::FirstInstall,
                ignore_soak: *contract == ContractSteps::IgnoreSoak,
            },
            Goal::Revert { selections } | Goal::Redo { selections } => {
                Self { down: true, targets: targets(selections), contract: false, ignore_soak: false }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plan that this version would take, of a program without services.
    fn plan() -> String {
        let version = env!("CARGO_PKG_VERSION");
        format!(
            r#"{{"schema":"migrate-plan/v1","program":{{"version":"{version}","services":[]}},"made_at":"2026-01-01T00:00:00Z","goal":{{"down":false,"targets":["shop@+1"],"contract":false,"ignore_soak":false}},"steps":[],"made_from":{{"services":{{}}}}}}"#
        )
    }

    #[test]
    fn a_plan_of_this_program_is_taken_and_one_of_another_is_not() {
        assert!(SavedPlan::parse("p", &plan(), &[]).is_ok());
        for (was, is) in [
            ("migrate-plan/v1", "migrate-plan/v2"),
            ("\"services\":[]", "\"services\":[\"shop\"]"),
            ("\"steps\"", "\"more\""),
        ] {
            assert!(SavedPlan::parse("p", &plan().replacen(was, is, 1), &[]).is_err(), "{is}");
        }
        assert!(SavedPlan::parse("p", &"[".repeat(1 << 20), &[]).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_a_plan_or_is_refused(
            from in 0_usize..300, n_removed in 0_usize..40,
            added in "(\\{|\\}|\\[|\\]|\"|:|,|null|true|-?[0-9]{1,30}|\\\\u[0-9a-f]{4}|shop@|\\PC|\\p{Cc}){0,6}",
        ) {
            let mut text = plan();
            let from = from.min(text.len());
            text.replace_range(from..(from + n_removed).min(text.len()), &added);
            if let Ok(plan) = SavedPlan::parse("p", &text, &[]) {
                drop(plan.goal());
            }
        }
    }
}
