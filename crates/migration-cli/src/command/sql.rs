//! `sql`: what `up` or `down` would send, as a script for `psql`, from a run on a server of its own.
//!
//! It connects to a live database only to leave out what is applied there, and only where an address is set.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use migration_coordinator::{Goal, ServiceFacts, Survey, plan as plan_now};
use migration_kit::{MigrationName, Service, ServiceName};
use migration_plan::{
    ApplyOptions, Catalog, ContractSteps, Direction, HeldBack, History, KnownService, Phase, Plan, Selection,
    TargetPoint, UnknownApplied,
};
use migration_rehearsal::{Before, Placing, Script, Scripts};
use migration_report::{Class, Found, HeldBackReport, why_held_back};
use serde::Serialize;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use super::{connect, migrations, services};
use crate::arguments::SqlOptions;
use crate::context::Context;
use crate::exit::Failure;
use crate::not_written::NotWritten;
use crate::output::{Answer, Text};
use crate::words::OurWords;

/// What the history of a database says of who wrote it.
const TOOL: &str = concat!("migrate sql ", env!("CARGO_PKG_VERSION"));

/// What `sql --json` prints.
#[derive(Serialize)]
struct Document {
    /// Whether what a live database has applied was left out.
    live: bool,
    scripts: Vec<ScriptDocument>,
    held_back: Vec<HeldBackReport>,
}

/// One script; they are to be run in their order.
#[derive(Serialize)]
struct ScriptDocument {
    service: String,
    schema: String,
    /// Where it was written.
    file: Option<String>,
    /// The script, where it was not written to a file.
    sql: Option<String>,
    steps: Vec<StepDocument>,
}

#[derive(Serialize)]
struct StepDocument {
    migration: String,
    direction: String,
    phase: String,
    transactional: bool,
    statements: Vec<String>,
}

/// What a script is made of: what is applied before, and what is wanted.
struct Task {
    before: Before,
    goal: Goal,
    /// Whether a live database said what is applied.
    live: bool,
}

pub(super) async fn sql(
    context: &Context,
    selections: Vec<Selection>,
    options: &SqlOptions,
) -> anyhow::Result<Answer> {
    let directory = options.out.as_deref().map(writable).transpose()?;
    let catalog = Catalog::new(context.program.services()?.iter().map(Service::known).collect())?;
    for selection in &selections {
        catalog.named(&selection.service)?;
    }
    let task = match (&options.from, &options.to) {
        (None, None) => whole(context, &catalog, selections, options).await?,
        (from, to) => part(&catalog, &selections, from.as_deref(), to.as_deref(), options.down)?,
    };
    // What happens on the server beside is nobody's news.
    let made =
        migration_rehearsal::scripts(placings(context)?, placings(context)?, &task.before, &task.goal, TOOL);
    let Scripts { scripts, held_back } = Box::pin(made.with_subscriber(NoSubscriber::new())).await?;
    let files = directory.map(|directory| write(directory, &scripts)).transpose()?;
    let mut text = Text::default();
    match &files {
        Some(files) => files.iter().for_each(|file| text.line(format!("wrote `{}`", file.display()))),
        None if scripts.is_empty() => {}
        None => text.raw(Script::joined(&scripts)),
    }
    say(&scripts, &held_back, &task, context, &mut text);
    let document = Document {
        live: task.live,
        scripts: scripts
            .iter()
            .enumerate()
            .map(|(index, script)| ScriptDocument::of(script, files.as_ref().map(|files| &files[index])))
            .collect(),
        held_back: HeldBackReport::all(&held_back, &OurWords),
    };
    Ok(Answer::of("sql", Found::whole(document), text)?)
}

/// The services, each with the schema that the environment gives it.
fn placings(context: &Context) -> anyhow::Result<Vec<Placing>> {
    let place = |service: Service| {
        let schema =
            context.environment.schema(service.name())?.unwrap_or(service.default_schema()).to_owned();
        Ok(Placing { service, schema })
    };
    context.program.services()?.into_iter().map(place).collect()
}

/// Everything that a database lacks: a live one, if an address is set, else an empty one. With `--down`, everything that it has.
async fn whole(
    context: &Context,
    catalog: &Catalog,
    selections: Vec<Selection>,
    options: &SqlOptions,
) -> anyhow::Result<Task> {
    let contract = if options.contract { ContractSteps::IgnoreSoak } else { ContractSteps::FirstInstall };
    let goal = |selections: Vec<Selection>| match options.down {
        true => Goal::Revert { selections },
        false => Goal::Apply { selections, contract, unknown: UnknownApplied::Refuse },
    };
    let mut has_address = false;
    for service in catalog.services() {
        has_address |= context.environment.url(&service.name)?.is_some();
    }
    if !has_address {
        if !options.down {
            possible(catalog, &selections)?;
        }
        let (before, selections) = if options.down {
            (Before::Reached(apply(Vec::new())), back(&selections, catalog, |_, _| true))
        } else {
            (Before::Nothing, selections)
        };
        return Ok(Task { before, goal: goal(selections), live: false });
    }
    let connected = connect(context)?;
    let survey = Survey::take(&connected.deployment).await;
    let applied = |facts: &ServiceFacts| {
        (facts.service.clone(), facts.applied.iter().map(|row| row.name.clone()).collect::<Vec<_>>())
    };
    let applied: BTreeMap<ServiceName, Vec<MigrationName>> = survey.services.iter().map(applied).collect();
    let is_applied = |service: &ServiceName, name: &MigrationName| {
        applied.get(service).is_some_and(|names| names.contains(name))
    };
    let selections = if options.down { back(&selections, catalog, is_applied) } else { selections };
    let goal = goal(selections);
    // The plan that a run would make now: it refuses what a run refuses, and names who could not be read.
    let planned = plan_now(&connected.deployment, &goal).await?;
    if let Some(error) = planned.obstructions().await?.into_iter().next() {
        return Err(error.into());
    }
    if let Some(step) = planned.plan().steps().iter().find(|step| step.begun.is_some()) {
        return Err(Failure {
            class: Class::Refused,
            message: format!("`{}` was begun and not finished: no script can continue it", step.id),
            hint: Some(format!("`up {}` continues it", step.id.service)),
        }
        .into());
    }
    Ok(Task { before: Before::Applied(applied), goal, live: true })
}

/// A part of one service's migrations, whatever a database has.
fn part(
    catalog: &Catalog,
    selections: &[Selection],
    from: Option<&str>,
    to: Option<&str>,
    down: bool,
) -> anyhow::Result<Task> {
    let [Selection { service, target: None }] = selections else {
        let hint = "write `sql SERVICE --from MIGRATION --to MIGRATION`";
        return Err(Failure::usage("`--from` and `--to` are points of one service", hint).into());
    };
    let point = |text: Option<&str>, default| -> anyhow::Result<Selection> {
        let Some(text) = text else {
            return Ok(Selection { service: service.clone(), target: Some(default) });
        };
        Ok(format!("{service}@{text}").parse::<Selection>()?)
    };
    let (start, end) =
        if down { (TargetPoint::Head, TargetPoint::Base) } else { (TargetPoint::Base, TargetPoint::Head) };
    let (from, to) = (point(from, start)?, point(to, end)?);
    for point in [&from, &to] {
        if point.target != Some(TargetPoint::Base) {
            possible(catalog, std::slice::from_ref(point))?;
        }
    }
    let before = match &from.target {
        Some(TargetPoint::Base) => Before::Nothing,
        _ => Before::Reached(apply(vec![from])),
    };
    let goal = if down { Goal::Revert { selections: vec![to] } } else { apply(vec![to]) };
    Ok(Task { before, goal, live: false })
}

/// These selections, or all services if there are none. Without a target, a service goes back to its base, or to the last of
/// these migrations that cannot be reverted.
fn back(
    selections: &[Selection],
    catalog: &Catalog,
    is_applied: impl Fn(&ServiceName, &MigrationName) -> bool,
) -> Vec<Selection> {
    let floor = |service: &KnownService| {
        let stays = service.migrations.iter().rfind(|migration| {
            migration.irreversible.is_some() && is_applied(&service.name, &migration.name)
        });
        stays.map_or(TargetPoint::Base, |stays| TargetPoint::Name(stays.name.to_string()))
    };
    let mut back = Vec::new();
    for service in catalog.services() {
        let named = selections.iter().filter(|selection| selection.service == service.name);
        if selections.is_empty() {
            back.push(Selection { service: service.name.clone(), target: Some(floor(service)) });
        }
        for selection in named {
            let target = selection.target.clone().unwrap_or_else(|| floor(service));
            back.push(Selection { service: service.name.clone(), target: Some(target) });
        }
    }
    back
}

fn apply(selections: Vec<Selection>) -> Goal {
    Goal::Apply { selections, contract: ContractSteps::IgnoreSoak, unknown: UnknownApplied::Refuse }
}

/// Whether these can be applied to an empty database: an unknown target is refused before a server is started.
fn possible(catalog: &Catalog, selections: &[Selection]) -> anyhow::Result<()> {
    let options =
        ApplyOptions { contract: ContractSteps::IgnoreSoak, unknown: UnknownApplied::Refuse, now: 0 };
    Plan::apply(catalog, &History::empty_of(catalog), selections, &options)?;
    Ok(())
}

/// The directory, made if it is missing.
fn writable(directory: &Path) -> anyhow::Result<&Path> {
    fs::create_dir_all(directory).map_err(NotWritten::at(directory))?;
    Ok(directory)
}

/// Writes each script into a file, or none at all.
fn write(directory: &Path, scripts: &[Script]) -> anyhow::Result<Vec<PathBuf>> {
    let services: BTreeSet<&ServiceName> = scripts.iter().map(|script| &script.service).collect();
    // Where a service waits for another, the names say in what order.
    let is_numbered = services.len() < scripts.len() || scripts.iter().any(|script| script.waits);
    let name = |(number, script): (usize, &Script)| {
        let number = if is_numbered { format!("{number:02}-") } else { String::new() };
        directory.join(format!("{number}{}.sql", script.service))
    };
    let files: Vec<PathBuf> = (1..).zip(scripts).map(name).collect();
    let new: Vec<PathBuf> = files.iter().map(|file| file.with_extension("sql.new")).collect();
    let written =
        scripts.iter().zip(&new).try_for_each(|(script, file)| fs::write(file, Script::joined([script])));
    let renamed =
        written.and_then(|()| new.iter().zip(&files).try_for_each(|(new, file)| fs::rename(new, file)));
    if let Err(error) = renamed {
        for file in &new {
            if let Err(error) = fs::remove_file(file)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::debug!(%error, "a temporary file was left");
            }
        }
        return Err(NotWritten::at(directory)(error).into());
    }
    Ok(files)
}

/// What is said beside the scripts.
fn say(scripts: &[Script], held_back: &[HeldBack], task: &Task, context: &Context, text: &mut Text) {
    let note = context.output.paint.warn("note");
    let n_steps: usize = scripts.iter().map(|script| script.steps.len()).sum();
    let named: BTreeSet<&ServiceName> = scripts.iter().map(|script| &script.service).collect();
    let what = match n_steps {
        0 => "nothing to do".to_owned(),
        n => format!("{} of {}", migrations(n), services(named.len())),
    };
    let on = if task.live {
        "what the database has is left out"
    } else if matches!(task.before, Before::Nothing) {
        "for an empty database"
    } else {
        "for a database that has what comes before"
    };
    text.note(format!("{note}  {what}, {on}"));
    let contract = scripts
        .iter()
        .flat_map(|script| &script.steps)
        .filter(|step| step.direction == Direction::Apply && matches!(step.phase, Phase::Contract { .. }));
    let n_contract = contract.count();
    if n_contract > 0 {
        text.note(format!(
            "{note}  contract steps among them: {n_contract}; run them where nobody runs old code"
        ));
    }
    let n_of_rows = scripts.iter().flat_map(|script| &script.steps).filter(|step| step.touches_rows).count();
    if n_of_rows > 0 {
        text.note(format!(
            "{note}  steps that read or write rows among them: {n_of_rows}; the script refuses a service that has some: use `up` or `down`"
        ));
    }
    for held in held_back {
        text.note(format!("{note}  `{}` is left out: {}", held.id, why_held_back(&held.reason, &OurWords)));
    }
}

impl ScriptDocument {
    fn of(script: &Script, file: Option<&PathBuf>) -> Self {
        Self {
            service: script.service.to_string(),
            schema: script.schema.clone(),
            file: file.map(|file| file.display().to_string()),
            sql: file.is_none().then(|| Script::joined([script])),
            steps: script
                .steps
                .iter()
                .map(|step| StepDocument {
                    migration: step.id.name.to_string(),
                    direction: step.direction.to_string(),
                    phase: step.phase.to_string(),
                    transactional: step.transactional,
                    statements: step.statements.clone(),
                })
                .collect(),
        }
    }
}
