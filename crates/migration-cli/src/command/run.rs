//! `up`, `down`, `redo`: doing, and telling what was done.

use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::time::{Duration, Instant};

use migration_coordinator::{
    AcceptedDifference, Caller, Cancellation, DoneStep, Goal, Offer, Planned, Report, RunError, RunOptions,
    Survey, plan_for, table_sizes,
};
use migration_kit::ServiceName;
use migration_kit::table_lock::Policy;
use migration_plan::{
    Direction, HeldBack, History, HoldReason, Phase, Plan, Selection, ServiceState, ServiceStatus,
    UnknownApplied, and_more, counted, statuses,
};
use migration_report::{Diagnostic, PlanReport, Roomy, RunReport, Words, timestamp, why_held_back};

use super::databases::{databases, introduce};
use super::space::say_roomy;
use super::{backup, connect, migrations, services};
use crate::arguments::{Consent, RunArguments, UpOptions};
use crate::context::Context;
use crate::database::Connected;
use crate::output::{Answer, Paint, Text, duration};
use crate::saved_plan::SavedPlan;
use crate::shell::word;
use crate::words::OurWords;

/// How long a run that was stopped looks at where it left the services. If the server does not answer, what was seen before
/// is said.
const STOPPED: Duration = Duration::from_secs(2);

pub(super) async fn up(
    context: &Context,
    selections: Vec<Selection>,
    options: &UpOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let goal = Goal::Apply {
        selections,
        contract: options.contract.steps(),
        unknown: if options.allow_ahead { UnknownApplied::AllowAhead } else { UnknownApplied::Refuse },
    };
    let run = consented(run_options(&options.run, cancellation), &options.consent);
    perform(context, ("up", options.backup), &goal, &run, None).await
}

/// With what was agreed to.
pub(super) fn consented(options: RunOptions, consent: &Consent) -> RunOptions {
    let mut options = options.with_accepted(consent.accept.clone());
    options.atomic = consent.atomic;
    options.allow_data_loss = consent.allow_data_loss;
    options.new_beside = consent.new_beside;
    options
}

pub(super) async fn down(
    context: &Context,
    selections: Vec<Selection>,
    options: &RunArguments,
    allow_data_loss: bool,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let mut options = run_options(options, cancellation);
    options.allow_data_loss = allow_data_loss;
    perform(context, ("down", false), &Goal::Revert { selections }, &options, None).await
}

pub(super) async fn redo(
    context: &Context,
    selections: Vec<Selection>,
    options: &RunArguments,
    allow_data_loss: bool,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    let mut options = run_options(options, cancellation);
    options.allow_data_loss = allow_data_loss;
    perform(context, ("redo", false), &Goal::Redo { selections }, &options, None).await
}

/// Who runs, as the journal names it.
pub(super) fn caller() -> Caller {
    Caller::new(concat!("migrate ", env!("CARGO_PKG_VERSION")))
}

pub(super) fn run_options(arguments: &RunArguments, cancellation: &Cancellation) -> RunOptions {
    RunOptions::new(caller())
        .with_wait(arguments.wait)
        .with_table_locks(Policy::default().with_patience(arguments.lock_patience))
        .with_jobs(usize::from(arguments.jobs))
        .with_cancellation(cancellation.clone())
}

/// Does what the goal asks for, after a backup if that is asked for too. With a saved plan, only if it comes to that.
pub(super) async fn perform(
    context: &Context,
    (command, is_backed_up): (&'static str, bool),
    goal: &Goal,
    options: &RunOptions,
    saved: Option<&SavedPlan>,
) -> anyhow::Result<Answer> {
    let begun = Instant::now();
    let connected = connect(context)?;
    let planning = plan_for(&connected.deployment, goal, options);
    let planned = options.cancellation.unless_cancelled(planning).await;
    // Not taken apart, as with the deployment.
    let planned = ManuallyDrop::new(planned.unwrap_or(Err(RunError::Interrupted))?);
    if let Some(saved) = saved {
        saved.check(&planned).await?;
    }
    context.output.align(width(planned.plan()));
    let paint = context.output.paint;
    // A database that could not be read is none that this run needs.
    let all = databases(&connected, planned.survey());
    let mut before = Text::default();
    all.iter().filter(|database| database.reachable).for_each(|database| {
        introduce(database, &connected, paint, &mut before);
    });
    if options.allow_data_loss {
        losses(&PlanReport::of(&connected.deployment, planned.plan(), &OurWords), paint, &mut before);
    }
    context.output.say(&before);
    if is_backed_up {
        // What is refused is refused before anybody waits for a backup of it.
        planned.check(options).await?;
        let services: Vec<ServiceName> = planned.plan().services().into_iter().cloned().collect();
        backup::before_a_run(context, &connected, &services, &options.cancellation).await?;
    }
    let report = planned.carry_out(options).await?;
    let roomy = roomy(&connected, &planned, &report).await;
    let found = RunReport::of(all.into_iter().next(), &report, roomy, &OurWords);
    let mut text = Text::default();
    if context.output.is_human() {
        // Where there was something to do, another run may have done it.
        let now = if planned.plan().is_empty() {
            None
        } else {
            let now = Survey::take(&connected.deployment);
            let limit = if options.cancellation.is_cancelled() { STOPPED } else { Duration::MAX };
            tokio::time::timeout(limit, now).await.ok()
        };
        say_roomy(&found.body.roomy, paint, &mut text);
        let later = now.as_ref().map(Survey::history);
        let found = (now.as_ref().unwrap_or(planned.survey()), later.as_ref().unwrap_or(planned.history()));
        summary(paint, &connected, found, &report, begun, &mut text);
    }
    Ok(Answer::of(command, found, text)?)
}

/// The tables that take much more space than their rows need, of services whose contract steps were applied over rows. What
/// cannot be read is left out: it is an advice.
async fn roomy(connected: &Connected, planned: &Planned<'_>, report: &Report) -> Vec<Roomy> {
    let is_contract = |done: &&DoneStep| {
        let known = connected.deployment.catalog().migration(&done.id);
        done.direction == Direction::Apply && known.is_some_and(|known| known.phase != Phase::Expand)
    };
    let has_rows = |service: &&ServiceName| {
        planned.survey().service(service).is_some_and(|before| !before.first_install)
    };
    let contracted = report.done.iter().filter(is_contract).map(|done| &done.id.service);
    let mut roomy = Vec::new();
    for service in contracted.filter(has_rows).collect::<BTreeSet<_>>() {
        let tables = table_sizes(&connected.deployment, service).await.unwrap_or_default();
        roomy.extend(Roomy::of(service, &tables));
    }
    roomy
}

/// Says what reverting loses for good, before it is lost.
pub(super) fn losses(plan: &PlanReport, paint: Paint, text: &mut Text) {
    let note = paint.warn("note");
    for step in plan.steps.iter().filter(|step| step.direction == Direction::Revert) {
        if let Some(what) = &step.loses {
            let id = format!("{}:{}", step.service, step.migration);
            text.note(format!("{note}  reverting `{id}` loses for good: {what}"));
        }
    }
}

/// Says what was left out, the first few by name.
pub(super) fn say_held_back(held_back: &[HeldBack], paint: Paint, text: &mut Text) {
    const SHOWN: usize = 3;
    let note = paint.warn("note");
    for held in held_back.iter().take(SHOWN) {
        let why = why_held_back(&held.reason, &OurWords);
        text.note(format!("{note}  `{}` is held back: {why}", held.id));
    }
    if let Some(more) = and_more(held_back.len(), SHOWN) {
        text.note(format!("{note}  {more} are held back; `plan` lists them"));
    }
}

/// Widths of the longest service name and of the longest migration name in a plan.
pub(super) fn width(plan: &Plan) -> (usize, usize) {
    plan.steps().iter().fold((0, 0), |(service, migration), step| {
        (service.max(step.id.service.as_str().len()), migration.max(step.id.name.as_str().len()))
    })
}

fn summary(
    paint: Paint,
    connected: &Connected,
    (survey, history): (&Survey, &History),
    report: &Report,
    begun: Instant,
    text: &mut Text,
) {
    for AcceptedDifference { acceptance, difference, .. } in &report.accepted {
        text.note(format!("{}  accepted for good: `{acceptance}` {difference}", paint.warn("note")));
    }
    if report.failures.is_empty() {
        say_held_back(&report.held_back, paint, text);
    }
    Diagnostic::of_failures(&report.failures, &OurWords).into_iter().for_each(|error| text.error(error));
    let statuses = statuses(connected.deployment.catalog(), history, survey.now());
    let n_unread = survey.services.iter().filter(|facts| !facts.is_history_known()).count();
    let damaged = damaged(&statuses, survey);
    for (service, absent) in &damaged {
        let tables: Vec<String> = absent.iter().map(|table| format!("`{table}`")).collect();
        text.note(format!(
            "{}  `{service}`: everything is applied, and tables of its application are not there: {}; `verify {service}` shows \
             what else is not as it was left. {}",
            paint.warn("note"),
            tables.join(", "),
            way_back(connected, service, absent)
        ));
    }
    let mut line = vec![standing(&statuses, damaged.len(), n_unread)];
    line.extend(held_back(&statuses));
    line.push(format!("{} in {}", did(report), duration(begun.elapsed())));
    let line = line.join(" · ");
    text.line(if report.failures.is_empty() { paint.strong(&line) } else { line });
}

/// What brings dropped tables back.
fn way_back(connected: &Connected, service: &ServiceName, absent: &[String]) -> String {
    let repair = OurWords.offer(&Offer::RepairSchema(service.clone()));
    let way =
        format!("`restore` brings back what a backup has; without one, run in `psql` what {repair} prints");
    match connected.deployment.migration_before(service, absent) {
        Some(before) => format!(
            "{way}; if `verify` fails then, `down {} --allow-data-loss` and `up {service}` make anew what follows from the \
             other tables",
            word(&format!("{service}@{}", before.name))
        ),
        None => way,
    }
}

/// Services that have nothing pending, and of whose entities tables are gone.
fn damaged<'s>(statuses: &[ServiceStatus], survey: &'s Survey) -> Vec<(&'s ServiceName, &'s [String])> {
    let current = statuses.iter().filter(|status| status.state == ServiceState::Current);
    let facts = current.filter_map(|status| survey.service(&status.service));
    let damaged = facts.filter(|facts| !facts.absent_tables.is_empty());
    damaged.map(|facts| (&facts.service, facts.absent_tables.as_slice())).collect()
}

/// How many services have nothing pending but what is held back and are not damaged, and how many could not be read.
fn standing(statuses: &[ServiceStatus], n_damaged: usize, n_unread: usize) -> String {
    let n_services = statuses.len();
    let up_to_date = statuses.iter().filter(|status| status.state == ServiceState::Current).count();
    let up_to_date = up_to_date - n_damaged;
    let services = services(n_services);
    if n_unread > 0 {
        format!("{up_to_date} of {services} up to date, {n_unread} could not be read")
    } else if up_to_date == n_services {
        format!("{services} up to date")
    } else {
        format!("{up_to_date} of {services} up to date")
    }
}

/// How many contract steps the services that are up to date lack, and until when, if any.
fn held_back(statuses: &[ServiceStatus]) -> Option<String> {
    let current = statuses.iter().filter(|status| status.state == ServiceState::Current);
    let held: Vec<&HeldBack> = current.flat_map(|status| &status.held_back).collect();
    let is_due = held.iter().any(|held| held.reason == HoldReason::ContractNotAsked);
    let first = held.iter().filter_map(|held| match held.reason {
        HoldReason::Soaking { until } => Some(until),
        HoldReason::ContractNotAsked | HoldReason::RequiresHeldBack { .. } => None,
    });
    let steps = match held.len() {
        0 => return None,
        n => format!("{} held back", counted(n, "contract step", "contract steps")),
    };
    let the_first = if held.len() == 1 { "" } else { "the first " };
    Some(match (is_due, first.min()) {
        (true, _) => format!("{steps}, {the_first}due now with `--contract`"),
        (false, Some(until)) => format!("{steps}, {the_first}until {}", timestamp(until)),
        (false, None) => steps,
    })
}

fn did(report: &Report) -> String {
    let count = |direction| report.done.iter().filter(|done| done.direction == direction).count();
    match (count(Direction::Apply), count(Direction::Revert)) {
        (0, 0) if report.failures.is_empty() => "nothing to do".to_owned(),
        (0, 0) => "no migration was finished".to_owned(),
        (applied, 0) => migrations(applied),
        (0, reverted) => format!("{} reverted", migrations(reverted)),
        (applied, reverted) => format!("{} reverted, {applied} applied", migrations(reverted)),
    }
}
