//! `plan`: what `up` or `down` would do. Reads only; with `--out`, it writes the plan into a file.

use std::path::Path;

use migration_coordinator::{Goal, Planned, RunError, plan as plan_now, previews};
use migration_plan::{ContractSteps, Direction, Selection, UnknownApplied, and_more};
use migration_report::{Class, Diagnostic, Found, PlanReport, PreviewReport, taken, unrecorded};

use super::status::remarks::without_history;
use super::{connect, services};
use crate::context::Context;
use crate::output::{Answer, Paint, Table, Text};
use crate::saved_plan::SavedPlan;
use crate::words::OurWords;

pub(super) async fn plan(
    context: &Context,
    selections: Vec<Selection>,
    contract: ContractSteps,
    down: bool,
    out: Option<&Path>,
) -> anyhow::Result<Answer> {
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
    let planned = plan_now(&connected.deployment, &goal).await?;
    let previews = previews(&connected.deployment, planned.survey(), planned.plan()).await;
    let mut report =
        PlanReport::of(&connected.deployment, planned.plan(), &OurWords).with_previews(&previews);
    let obstructions = planned.obstructions().await?;
    report.refused = obstructions.iter().map(|error| Diagnostic::of(error, &OurWords)).collect();
    let mut text = text(&report, n_services);
    unrecorded_tables(&planned, &mut text);
    for error in &obstructions {
        match error {
            RunError::Attached { .. } | RunError::Encoding { .. } | RunError::Base { .. } => {
                text.line(format!("{error}: a run refuses to begin"));
            }
            RunError::NotAsExpected { .. } => text.line(format!("{error}: it would fail")),
            _ => {}
        }
    }
    refused(&planned, &report, &mut text);
    if let Some(file) = out {
        SavedPlan::of(&planned, &goal).await?.write(file)?;
        text.note(format!("{} wrote `{}`", context.output.paint.warn("note"), file.display()));
    }
    let class = Class::worst(report.refused.iter().map(|refused| refused.class));
    Ok(Answer::of("plan", Found { class, errors: report.refused.clone(), body: report }, text)?)
}

/// Says which tables are there without a history, that a migration takes over if they are as it expects.
fn unrecorded_tables(planned: &Planned<'_>, text: &mut Text) {
    let services = planned.plan().services();
    for facts in planned.survey().services.iter().filter(|facts| services.contains(&&facts.service)) {
        if let Some(tables) = unrecorded(planned.deployment(), facts) {
            text.line(format!("{}: {}", facts.service, without_history(facts.service.as_str(), &tables)));
        }
    }
}

/// Says what an earlier system may have left elsewhere, which names are taken, and what to do.
fn refused(planned: &Planned<'_>, report: &PlanReport, text: &mut Text) {
    if report.refused.is_empty() {
        return;
    }
    let services = planned.plan().services();
    for facts in planned.survey().services.iter().filter(|facts| services.contains(&&facts.service)) {
        for twin in &facts.twins {
            text.line(format!(
                "{}: empty here, and elsewhere there is {twin}: `up` refuses to make new tables beside it without `--new-beside`",
                facts.service
            ));
        }
        if let Some(taken) = taken(planned.deployment(), facts) {
            text.line(format!("{}: {taken}: `up` refuses to begin", facts.service));
        }
    }
    let hints = report.refused.iter().filter_map(|refused| refused.hint.as_ref());
    hints.for_each(|hint| text.note(format!("hint: {hint}")));
}

fn text(report: &PlanReport, n_services: usize) -> Text {
    let mut text = Text::default();
    if report.steps.is_empty() {
        text.line(format!("nothing to do ({} looked at)", services(n_services)));
    }
    let mut table = Table::new(&["", "SERVICE", "MIGRATION", "DOES", "PHASE", "HOW", "NOTES", "DESCRIPTION"])
        .right(&[""])
        .spared(&["DESCRIPTION", "NOTES", "HOW", "DOES"]);
    for (number, step) in (1..).zip(&report.steps) {
        let mut notes: Vec<String> = step.after.iter().map(|id| format!("after {id}")).collect();
        notes.extend(step.begun.map(|_| "stopped midway before".to_owned()));
        notes.extend(step.pulled_in_by.iter().map(|id| format!("needed by {id}")));
        notes.extend(step.ignored_soak.iter().map(|until| format!("soaks until {until}, which is ignored")));
        let how = if step.transactional { "one transaction" } else { "resumable steps" };
        table.painted(vec![
            (number.to_string(), Some(Paint::faint)),
            (step.service.clone(), None),
            (step.migration.clone(), None),
            (step.direction.to_string(), None),
            (step.phase.to_string(), None),
            (how.to_owned(), None),
            (notes.join(", "), Some(Paint::faint)),
            (step.description.clone().unwrap_or_default(), Some(Paint::faint)),
        ]);
    }
    text.table(table);
    for step in &report.steps {
        if let Some(what) = &step.loses {
            let doing = if step.direction == Direction::Apply { "applying" } else { "reverting" };
            text.line(format!("{doing} `{}:{}` loses for good: {what}", step.service, step.migration));
        }
    }
    for step in &report.steps {
        say_previews(&step.service, &step.migration, &step.previews, &mut text);
    }
    for held in &report.held_back {
        text.line(format!("`{}:{}` is held back: {}", held.service, held.migration, held.reason));
        say_previews(&held.service, &held.migration, &held.previews, &mut text);
    }
    text
}

/// Says what a migration would decide about rows.
fn say_previews(service: &str, migration: &str, previews: &[PreviewReport], text: &mut Text) {
    for PreviewReport { says, n, rows, unanswered } in previews {
        let about = format!("`{service}:{migration}`: {says}");
        let n_rows = match (n, unanswered) {
            (_, Some(why)) => why.clone(),
            (Some(0) | None, None) => "none".to_owned(),
            (Some(n), None) => n.to_string(),
        };
        text.line(format!("{about}: {n_rows}"));
        rows.iter().for_each(|row| text.line(format!("  {row}")));
        let n_all = n.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        and_more(n_all, rows.len()).into_iter().for_each(|more| text.line(format!("  {more}")));
    }
}
