//! `plan`: what `up` or `down` would do. Reads only.

use migration_coordinator::{Goal, plan as plan_now};
use migration_plan::{ContractSteps, Direction, Phase, Plan, Selection, Step, UnknownApplied};
use serde::Serialize;

use super::run::HeldBackDocument;
use super::{connect, losses, services};
use crate::database::Connected;
use crate::exit::Exit;
use crate::output::{Paint, Table, timestamp};
use crate::program::Context;
use crate::words;

/// What `plan --json` prints.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    steps: Vec<StepDocument>,
    held_back: Vec<HeldBackDocument>,
}

/// One step of the plan.
#[derive(Serialize)]
struct StepDocument {
    service: String,
    migration: String,
    direction: &'static str,
    phase: &'static str,
    transactional: bool,
    after: Vec<String>,
    begun: Option<&'static str>,
    pulled_in_by: Option<String>,
    loses: Option<String>,
    ignored_soak: Option<String>,
}

pub(super) async fn plan(
    context: &Context,
    selections: Vec<Selection>,
    contract: ContractSteps,
    down: bool,
) -> anyhow::Result<Exit> {
    let connected = connect(context)?;
    let goal = if down {
        Goal::Revert { selections }
    } else {
        Goal::Apply { selections, contract, unknown: UnknownApplied::Refuse }
    };
    let n_services = match &goal {
        Goal::Apply { selections, .. } if selections.is_empty() => connected.deployment.services().count(),
        Goal::Apply { selections, .. } | Goal::Revert { selections } | Goal::Redo { selections } => {
            selections.len()
        }
    };
    let (survey, plan) = plan_now(&connected.deployment, &goal).await?;
    if context.output.is_human() {
        print(context, &connected, &plan, n_services);
        for facts in survey.services.iter().filter(|facts| plan.services().contains(&&facts.service)) {
            for twin in &facts.twins {
                context.output.line(format!(
                    "{}: empty here, and elsewhere there is {twin}: `up` refuses to make new tables beside it without `--new-beside`",
                    facts.service
                ));
            }
        }
    } else {
        context.output.document(&Document {
            schema: "migrate/v1",
            command: "plan",
            steps: plan.steps().iter().map(|step| StepDocument::of(&connected, step)).collect(),
            held_back: plan.held_back().iter().map(HeldBackDocument::of).collect(),
        })?;
    }
    Ok(Exit::Done)
}

fn print(context: &Context, connected: &Connected, plan: &Plan, n_services: usize) {
    let output = &context.output;
    if plan.is_empty() {
        output.line(format!("nothing to do ({} looked at)", services(n_services)));
    }
    let mut table = Table::new(&["", "SERVICE", "MIGRATION", "DOES", "PHASE", "HOW", "NOTES"])
        .right(&[""])
        .spared(&["NOTES", "HOW", "DOES"]);
    for (number, step) in plan.steps().iter().enumerate() {
        let step = StepDocument::of(connected, step);
        let mut notes: Vec<String> = step.after.iter().map(|id| format!("after {id}")).collect();
        notes.extend(plan.steps()[number].begun.map(|_| "stopped midway before".to_owned()));
        notes.extend(step.pulled_in_by.iter().map(|id| format!("needed by {id}")));
        notes.extend(step.ignored_soak.iter().map(|until| format!("soaks until {until}, which is ignored")));
        table.painted(vec![
            ((number + 1).to_string(), Some(Paint::faint)),
            (step.service, None),
            (step.migration, None),
            (step.direction.to_owned(), None),
            (step.phase.to_owned(), None),
            (if step.transactional { "one transaction" } else { "resumable steps" }.to_owned(), None),
            (notes.join(", "), Some(Paint::faint)),
        ]);
    }
    output.table(&table);
    for step in plan.steps() {
        if let Some(what) = losses(connected, step) {
            let doing = if step.direction == Direction::Apply { "applying" } else { "reverting" };
            output.line(format!("{doing} `{}` loses for good: {what}", step.id));
        }
    }
    for held in plan.held_back() {
        output.line(format!("`{}` is held back: {}", held.id, words::reason(&held.reason)));
    }
}

impl StepDocument {
    fn of(connected: &Connected, step: &Step) -> Self {
        Self {
            service: step.id.service.to_string(),
            migration: step.id.name.to_string(),
            direction: step.direction.as_str(),
            phase: if step.phase == Phase::Expand { "expand" } else { "contract" },
            transactional: step.transactional,
            after: step.after.iter().map(ToString::to_string).collect(),
            begun: step.begun.map(Direction::as_str),
            pulled_in_by: step.pulled_in_by.as_ref().map(ToString::to_string),
            loses: losses(connected, step).map(str::to_owned),
            ignored_soak: step.ignored_soak.map(timestamp),
        }
    }
}
