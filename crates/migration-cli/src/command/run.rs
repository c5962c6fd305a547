//! `up`, `down`, `redo`: doing, and telling what was done.

use std::time::{Duration, Instant};

use migration_coordinator::{
    Caller, Cancellation, Goal, Report, RunError, RunOptions, StepError, Survey, carry_out, plan,
};
use migration_kit::table_lock::Policy;
use migration_plan::{
    ContractSteps, Direction, HeldBack, HoldReason, Plan, Selection, ServiceState, ServiceStatus,
    UnknownApplied, statuses,
};
use serde::Serialize;

use super::databases::DatabaseDocument;
use super::{connect, losses, services};
use crate::arguments::{Format, RunArguments, UpOptions};
use crate::database::Connected;
use crate::exit::Exit;
use crate::output::{duration, error, timestamp};
use crate::program::Context;
use crate::words;

/// How long a run that was stopped looks at where it left the services. If the server does not answer, what was seen before
/// is said.
const STOPPED: Duration = Duration::from_secs(2);

/// What `--json` prints of a run.
#[derive(Serialize)]
struct Document {
    schema: &'static str,
    command: &'static str,
    ok: bool,
    exit_code: u8,
    database: Option<DatabaseDocument>,
    done: Vec<DoneDocument>,
    held_back: Vec<HeldBackDocument>,
    errors: Vec<error::Told>,
    elapsed_ms: u64,
}

/// A migration that was applied or reverted.
#[derive(Serialize)]
struct DoneDocument {
    service: String,
    migration: String,
    direction: &'static str,
    elapsed_ms: u64,
    already: bool,
}

/// A pending migration that was left out.
#[derive(Serialize)]
pub(super) struct HeldBackDocument {
    service: String,
    migration: String,
    reason: String,
    until: Option<String>,
}

pub(super) async fn up(
    context: &Context,
    selections: Vec<Selection>,
    options: &UpOptions,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let goal = Goal::Apply {
        selections,
        contract: contract_steps(options.contract, options.ignore_soak),
        unknown: if options.allow_ahead { UnknownApplied::AllowAhead } else { UnknownApplied::Refuse },
    };
    let run = run_options(&options.run, cancellation)
        .with_atomic(options.atomic)
        .with_data_loss(options.allow_data_loss)
        .with_new_beside(options.new_beside);
    perform(context, "up", &goal, &run).await
}

/// What becomes of contract steps with these options.
pub(super) fn contract_steps(contract: bool, ignore_soak: bool) -> ContractSteps {
    match (contract, ignore_soak) {
        (false, _) => ContractSteps::FirstInstall,
        (true, false) => ContractSteps::Apply,
        (true, true) => ContractSteps::IgnoreSoak,
    }
}

pub(super) async fn down(
    context: &Context,
    selections: Vec<Selection>,
    options: &RunArguments,
    allow_data_loss: bool,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let options = run_options(options, cancellation).with_data_loss(allow_data_loss);
    perform(context, "down", &Goal::Revert { selections }, &options).await
}

pub(super) async fn redo(
    context: &Context,
    selections: Vec<Selection>,
    options: &RunArguments,
    allow_data_loss: bool,
    cancellation: &Cancellation,
) -> anyhow::Result<Exit> {
    let options = run_options(options, cancellation).with_data_loss(allow_data_loss);
    perform(context, "redo", &Goal::Redo { selections }, &options).await
}

fn run_options(arguments: &RunArguments, cancellation: &Cancellation) -> RunOptions {
    RunOptions::new(Caller::new(concat!("migrate ", env!("CARGO_PKG_VERSION"))))
        .with_wait(arguments.wait)
        .with_table_locks(Policy::default().with_patience(arguments.lock_patience))
        .with_jobs(usize::from(arguments.jobs))
        .with_cancellation(cancellation.clone())
}

async fn perform(
    context: &Context,
    command: &'static str,
    goal: &Goal,
    options: &RunOptions,
) -> anyhow::Result<Exit> {
    let begun = Instant::now();
    let connected = connect(context)?;
    let planning = plan(&connected.deployment, goal);
    let planned = options.cancellation.unless_cancelled(planning).await;
    let (survey, planned) = planned.unwrap_or(Err(RunError::Interrupted))?;
    context.output.align(width(&planned));
    if context.output.is_human() {
        // A database that could not be read is none that this run needs.
        let databases = DatabaseDocument::all(&connected, &survey);
        databases.iter().filter(|database| database.is_reachable()).for_each(|d| d.print(&context.output));
        if options.allow_data_loss {
            say_losses(context, &connected, &planned);
        }
    }
    let report = carry_out(&connected.deployment, goal, &survey, &planned, options).await?;
    let exit = Exit::worst(report.failures.iter().map(Exit::of_run));
    match context.output.format {
        Format::Human => {
            // Where there was something to do, another run may have done it.
            let survey = if planned.is_empty() {
                survey
            } else {
                let now = Survey::take(&connected.deployment);
                let limit = if options.cancellation.is_cancelled() { STOPPED } else { Duration::MAX };
                tokio::time::timeout(limit, now).await.unwrap_or(survey)
            };
            summary(context, &connected, &survey, &report, begun);
        }
        Format::Json => context.output.document(&document(command, &connected, &survey, &report, exit))?,
        Format::Ndjson => {
            let errors = error::once(report.failures.iter().map(|failure| error::tell(failure)));
            errors.iter().for_each(error::event);
            error::ended(exit);
        }
    }
    Ok(exit)
}

/// Says what reverting loses for good, before it is lost.
fn say_losses(context: &Context, connected: &Connected, planned: &Plan) {
    for step in planned.steps().iter().filter(|step| step.direction == Direction::Revert) {
        if let Some(what) = losses(connected, step) {
            let note = context.output.paint.warn("note");
            context.output.note(format!("{note}  reverting `{}` loses for good: {what}", step.id));
        }
    }
}

/// Says what was left out, the first few by name.
fn say_held_back(context: &Context, held_back: &[HeldBack]) {
    const SHOWN: usize = 3;
    let note = context.output.paint.warn("note");
    for held in held_back.iter().take(SHOWN) {
        let way_out =
            if held.reason == HoldReason::ContractNotAsked { "; `--contract` applies it" } else { "" };
        context.output.note(format!(
            "{note}  `{}` is held back: {}{way_out}",
            held.id,
            words::reason(&held.reason)
        ));
    }
    if held_back.len() > SHOWN {
        let n_more = held_back.len() - SHOWN;
        context.output.note(format!("{note}  {n_more} more are held back; `plan` lists them"));
    }
}

/// Widths of the longest service name and of the longest migration name in a plan.
fn width(plan: &Plan) -> (usize, usize) {
    plan.steps().iter().fold((0, 0), |(service, migration), step| {
        (service.max(step.id.service.as_str().len()), migration.max(step.id.name.as_str().len()))
    })
}

fn summary(context: &Context, connected: &Connected, survey: &Survey, report: &Report, begun: Instant) {
    let (output, paint) = (&context.output, context.output.paint);
    if report.failures.is_empty() {
        say_held_back(context, &report.held_back);
    }
    for told in failures(report) {
        error::write(&told, output);
    }
    let statuses = statuses(connected.deployment.catalog(), &survey.history(), survey.now());
    let n_unread = survey.services.iter().filter(|facts| !facts.is_history_known()).count();
    let mut line = vec![standing(&statuses, n_unread)];
    line.extend(held_back(&statuses));
    line.push(format!("{} in {}", did(report), duration(begun.elapsed())));
    let line = line.join(" · ");
    output.line(if report.failures.is_empty() { paint.strong(&line) } else { line });
}

/// How many services have nothing pending but what is held back, and how many could not be read.
fn standing(statuses: &[ServiceStatus], n_unread: usize) -> String {
    let n_services = statuses.len();
    let up_to_date = statuses.iter().filter(|status| status.state == ServiceState::Current).count();
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
        1 => "1 contract step held back".to_owned(),
        n => format!("{n} contract steps held back"),
    };
    let the_first = if held.len() == 1 { "" } else { "the first " };
    Some(match (is_due, first.min()) {
        (true, _) => format!("{steps}, {the_first}due now with `--contract`"),
        (false, Some(until)) => format!("{steps}, {the_first}until {}", timestamp(until)),
        (false, None) => steps,
    })
}

/// What went wrong, for people: an interruption once, however many services it stopped.
fn failures(report: &Report) -> Vec<error::Told> {
    const SHOWN: usize = 5;
    let is_interruption = |failure: &&RunError| {
        matches!(failure, RunError::Interrupted | RunError::Step(StepError::Interrupted { .. }))
    };
    let (interruptions, others): (Vec<&RunError>, Vec<&RunError>) =
        report.failures.iter().partition(is_interruption);
    let mut all = error::once(others.into_iter().map(|failure| error::tell(failure)));
    let stopped: Vec<String> = interruptions
        .iter()
        .filter_map(|failure| match failure {
            RunError::Step(StepError::Interrupted { id, .. }) => Some(format!("`{id}`")),
            _ => None,
        })
        .collect();
    match (&interruptions[..], stopped.len()) {
        ([], _) => {}
        ([only], 1) => all.push(error::tell(*only)),
        (_, n) => {
            let mut told = error::tell(&RunError::Interrupted);
            if n > 0 {
                let more = if n > SHOWN { format!(" and {} more", n - SHOWN) } else { String::new() };
                let shown = &stopped[..n.min(SHOWN)];
                told.message = format!("{}; stopped: {}{more}", told.message, shown.join(", "));
            }
            all.push(told);
        }
    }
    all
}

fn did(report: &Report) -> String {
    let count = |direction| report.done.iter().filter(|done| done.direction == direction).count();
    let migrations = |n: usize| if n == 1 { "1 migration".to_owned() } else { format!("{n} migrations") };
    match (count(Direction::Apply), count(Direction::Revert)) {
        (0, 0) if report.failures.is_empty() => "nothing to do".to_owned(),
        (0, 0) => "no migration was finished".to_owned(),
        (applied, 0) => migrations(applied),
        (0, reverted) => format!("{} reverted", migrations(reverted)),
        (applied, reverted) => format!("{} reverted, {applied} applied", migrations(reverted)),
    }
}

fn document(
    command: &'static str,
    connected: &Connected,
    survey: &Survey,
    report: &Report,
    exit: Exit,
) -> Document {
    Document {
        schema: "migrate/v1",
        command,
        ok: exit == Exit::Done,
        exit_code: exit.code(),
        database: DatabaseDocument::all(connected, survey).into_iter().next(),
        done: report
            .done
            .iter()
            .map(|done| DoneDocument {
                service: done.id.service.to_string(),
                migration: done.id.name.to_string(),
                direction: done.direction.as_str(),
                elapsed_ms: milliseconds(done.elapsed),
                already: done.already,
            })
            .collect(),
        held_back: report.held_back.iter().map(HeldBackDocument::of).collect(),
        errors: error::once(report.failures.iter().map(|failure| error::tell(failure))),
        elapsed_ms: milliseconds(report.elapsed),
    }
}

impl HeldBackDocument {
    pub(super) fn of(held: &HeldBack) -> Self {
        Self {
            service: held.id.service.to_string(),
            migration: held.id.name.to_string(),
            reason: words::reason(&held.reason),
            until: match held.reason {
                HoldReason::Soaking { until } => Some(timestamp(until)),
                HoldReason::ContractNotAsked | HoldReason::RequiresHeldBack { .. } => None,
            },
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
