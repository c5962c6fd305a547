//! `deploy`: from looking at everything to a healthy application, and the way back where something fails.
//!
//! A deployment is a list of steps. Before each, its record says where it is; so one that was stopped or failed is continued,
//! and none is begun beside it. What each step does is said on the screen and in a log.

mod outside;
mod record;
mod steps;
mod way_back;

use std::time::Instant;

use migration_coordinator::{Cancellation, Goal};
use migration_plan::{UnknownApplied, few_words};
use migration_report::{Class, Diagnostic, Found, timestamp};
use serde::{Deserialize, Serialize};

use self::record::{GoingBack, Place, Record};
use self::steps::Deploying;
use self::way_back::WayBack;
use super::{connect, migrations, old_words};
use crate::arguments::{DeployArguments, OnFailure};
use crate::context::Context;
use crate::exit::Failure;
use crate::not_written::NotWritten;
use crate::output::{Answer, Log, Text, duration, now};
use crate::words::OurWords;

/// The steps, in their order.
const STEPS: [Step; 7] =
    [Step::Prerequisites, Step::Stop, Step::Backup, Step::Apply, Step::Verify, Step::Start, Step::Health];

/// What can become of a deployment that is not over.
const WAYS_ON: &str = "`deploy --resume` continues it; `deploy --forget` leaves everything as it is";

/// A step of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Step {
    /// Whether everything is as a run needs it.
    Prerequisites,
    /// The application is stopped.
    Stop,
    /// What will be changed is backed up.
    Backup,
    /// Migrations are applied.
    Apply,
    /// What they promise is checked.
    Verify,
    /// The application is started.
    Start,
    /// The application is asked whether it is healthy.
    Health,
}

impl Step {
    fn as_str(self) -> &'static str {
        match self {
            Self::Prerequisites => "prerequisites",
            Self::Stop => "stop",
            Self::Backup => "backup",
            Self::Apply => "apply",
            Self::Verify => "verify",
            Self::Start => "start",
            Self::Health => "health",
        }
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Done,
    Failed,
    /// It was done before, by the run that this one continues.
    Before,
    /// A dry run shows what it would do.
    Planned,
}

/// A step, and what became of it.
#[derive(Debug, Serialize)]
struct StepReport {
    step: Step,
    outcome: Outcome,
    elapsed_ms: u64,
}

/// What `deploy --json` prints.
#[derive(Debug, Default, Serialize)]
struct Document {
    dry_run: bool,
    /// When it began; a resumed one, the first time.
    begun_at: Option<String>,
    steps: Vec<StepReport>,
    /// Migrations that were applied, as `service:migration`; in a dry run, those that would be.
    migrations: Vec<String>,
    archives: Vec<String>,
    way_back: Option<WayBack>,
    /// Whether `--stop-command` stopped the application and nothing started it again.
    application_stopped: bool,
    /// Whether `deploy --resume` can continue it.
    resumable: bool,
    log: Option<String>,
}

impl Document {
    /// What the record says.
    fn of(record: &Record) -> Self {
        Self {
            begun_at: Some(record.begun_at.clone()),
            migrations: record.migrations.clone(),
            archives: record.archives.iter().map(|archive| archive.display().to_string()).collect(),
            application_stopped: record.is_stopped(),
            log: Some(record.log.display().to_string()),
            ..Self::default()
        }
    }
}

/// Why a step failed.
struct Failed {
    class: Class,
    errors: Vec<Diagnostic>,
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        let diagnostic = Diagnostic::of(error.as_ref(), &OurWords);
        Self { class: diagnostic.class, errors: vec![diagnostic] }
    }
}

pub(super) async fn deploy(
    context: &Context,
    arguments: DeployArguments,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    may_restore(context, &arguments)?;
    let directory = context.environment.deploy_directory()?;
    if arguments.dry_run {
        return dry_run(context, arguments, record::read(&directory)?.as_ref(), cancellation).await;
    }
    let place = Place::take(&directory)?;
    let left = place.record()?;
    let mut record = match (left, arguments.forget, arguments.resume) {
        (None, true, _) | (None, _, true) => {
            let hint = "`deploy` begins one";
            return Err(Failure::usage("there is no deployment that is not over", hint).into());
        }
        (Some(record), true, _) => return forget(&place, &record),
        (Some(record), _, true) => {
            if !record.done.contains(&Step::Backup) && record.going_back.is_none() {
                may_restore(context, &record.arguments)?;
            }
            record
        }
        (Some(record), _, false) => return Err(unfinished(&record).into()),
        (None, false, false) => {
            let begun_at = timestamp(now());
            let log = place.log(&begun_at);
            Record::new(begun_at, log, arguments)
        }
    };
    let log = Log::open(&record.log).map_err(NotWritten::at(&record.log))?;
    context.output.log_to(log);
    let connected = connect(context)?;
    let databases: Vec<String> = connected.deployment.databases().iter().map(ToString::to_string).collect();
    if record.databases.is_empty() {
        record.databases = databases;
    } else if record.databases != databases {
        return Err(of_another(&record, &databases).into());
    }
    let mut deploying = Deploying::new(context, cancellation, &connected, &place, record);
    let begun = Instant::now();
    let ended = match &deploying.record.going_back {
        Some(going) => Err(unfinished_way_back(&deploying.record, going)),
        None => deploying.all().await,
    };
    answer(context, deploying, ended, begun).await
}

/// Ends a deployment: it is over, or the way back is gone, or its record stays.
async fn answer(
    context: &Context,
    mut deploying: Deploying<'_>,
    ended: Result<(), Failed>,
    begun: Instant,
) -> anyhow::Result<Answer> {
    let paint = context.output.paint;
    let mut text = Text::default();
    let (class, mut errors) = match ended {
        Ok(()) => (Class::Done, Vec::new()),
        Err(Failed { class, errors }) => (class, errors),
    };
    let mut way_back = None;
    if !class.is_ok() {
        // Reported before the operator is asked what to do about it.
        context.output.say(&Text::of_errors(&errors));
        let gone = deploying.way_back(class).await;
        let new = |error: &&Diagnostic| !errors.contains(error);
        let new: Vec<Diagnostic> = gone.errors.iter().filter(new).cloned().collect();
        errors.extend(new);
        Text::of_errors(&gone.errors).parts.into_iter().for_each(|part| text.parts.push(part));
        way_back = gone.way;
    }
    let is_back = way_back.as_ref().is_some_and(WayBack::is_gone);
    let lost = way_back.as_ref().map(WayBack::lost).unwrap_or_default();
    let is_over = class.is_ok() || is_back;
    if is_over {
        deploying.place.end()?;
    }
    let record = &deploying.record;
    let (is_stopped, at) = (record.is_stopped(), record.at.as_str());
    let n = record.migrations.len();
    let elapsed = duration(begun.elapsed());
    let of_databases = way_back.as_ref().and_then(WayBack::of_databases);
    text.line(match (class.is_ok(), is_back, of_databases) {
        (true, ..) if n == 0 => paint.strong(&format!("deployed: nothing was pending · {elapsed}")),
        (true, ..) => paint.strong(&format!("deployed: {} in {elapsed}", migrations(n))),
        (false, true, None) if way_back.as_ref().is_some_and(WayBack::is_of_nothing) => format!(
            "not deployed: `{at}` failed; this deployment applied nothing, so that there is nothing to go back from · {elapsed}"
        ),
        (false, true, None) => {
            format!("not deployed: `{at}` failed, and everything is as it was before · {elapsed}")
        }
        (false, true, Some(what)) if !lost.is_empty() => format!(
            "not deployed: `{at}` failed, and {what}; what applying had lost until then is not back · {elapsed}"
        ),
        (false, true, Some(what)) => {
            format!("not deployed: `{at}` failed, and everything is as it was before: {what} · {elapsed}")
        }
        (false, false, Some(what)) if !lost.is_empty() => format!(
            "not deployed: it stopped at `{at}`; {what}, and what applying had lost until then is not back · {elapsed}"
        ),
        (false, false, Some(what)) => format!(
            "not deployed: it stopped at `{at}`; {what}, so that the databases are as they were before, and the application may not be \
             · {elapsed}"
        ),
        (false, false, None) => format!("not deployed: it stopped at `{at}` · {elapsed}"),
    });
    let note = paint.warn("note");
    for what in lost {
        text.note(format!("{note}  {what}"));
    }
    if let (false, Some(archive)) = (lost.is_empty(), record.archives.first()) {
        let archive = context.environment.relative(archive);
        let more = record.archives.len() - 1;
        let more = if more == 0 { String::new() } else { format!(" and {more} more") };
        text.note(format!("{note}  it is in the backup `{archive}`{more}: `restore FILE --allow-data-loss`"));
    }
    if is_stopped {
        text.note(format!("{note}  the application is stopped"));
    }
    if !is_over {
        text.note(format!("{note}  {WAYS_ON}"));
    }
    text.note(format!("{note}  the log is `{}`", context.environment.relative(&record.log)));
    let body = Document { way_back, resumable: !is_over, steps: deploying.steps, ..Document::of(record) };
    Ok(Answer::of("deploy", Found { class, errors, body }, text)?)
}

/// Looks at everything, and says what would be done.
async fn dry_run(
    context: &Context,
    arguments: DeployArguments,
    left: Option<&Record>,
    cancellation: &Cancellation,
) -> anyhow::Result<Answer> {
    if let Some(record) = left {
        return Err(unfinished(record).into());
    }
    let connected = connect(context)?;
    let looked = steps::look(context, &connected, &arguments, cancellation).await;
    let (class, errors, migrations, n_services) = match looked {
        Ok(looked) => (looked.class, looked.errors, looked.migrations, looked.services.len()),
        Err(error) => {
            let Failed { class, errors } = error.into();
            (class, errors, Vec::new(), 0)
        }
    };
    let mut text = Text::of_errors(&errors);
    let mut steps = Vec::new();
    if class.is_ok() {
        for step in STEPS {
            let Some(says) = steps::would(step, &arguments, &migrations, n_services) else { continue };
            text.line(format!("{:<14} {says}", step.as_str()));
            steps.push(StepReport { step, outcome: Outcome::Planned, elapsed_ms: 0 });
        }
        text.line("nothing was changed: a dry run");
    } else {
        let step = Step::Prerequisites;
        steps.push(StepReport { step, outcome: Outcome::Failed, elapsed_ms: 0 });
        text.line(format!("nothing was changed: a dry run, which would stop at `{}`", step.as_str()));
    }
    let body = Document { dry_run: true, steps, migrations, ..Document::default() };
    Ok(Answer::of("deploy", Found { class, errors, body }, text)?)
}

fn forget(place: &Place, record: &Record) -> anyhow::Result<Answer> {
    place.end()?;
    let mut text = Text::default();
    text.line(format!(
        "forgotten: the deployment of {}, which stopped at `{}`; the database is as it was left",
        record.begun_at,
        record.at.as_str()
    ));
    Ok(Answer::of("deploy", Found::whole(Document::of(record)), text)?)
}

/// The failure that a way back goes back from, which is continued.
fn unfinished_way_back(record: &Record, going: &GoingBack) -> Failed {
    let failure = Failure {
        class: going.class,
        message: format!("`{}` failed, and its way back has not ended: it is continued", record.at.as_str()),
        hint: None,
    };
    Failed { class: going.class, errors: vec![Diagnostic::of(&failure, &OurWords)] }
}

/// Another deployment has to be over first.
fn unfinished(record: &Record) -> Failure {
    let (begun_at, at) = (&record.begun_at, record.at.as_str());
    Failure {
        class: Class::Refused,
        message: format!("the deployment of {begun_at} is not over: it stopped at `{at}`"),
        hint: Some(WAYS_ON.to_owned()),
    }
}

/// It is to be continued where it was begun.
fn of_another(record: &Record, databases: &[String]) -> Failure {
    Failure {
        class: Class::Refused,
        message: format!(
            "the deployment of {} is for {}, not for {}",
            record.begun_at,
            few_words(&record.databases, 3),
            few_words(databases, 3)
        ),
        hint: Some("continue it with the address that it was begun with, or `deploy --forget` it".to_owned()),
    }
}

/// What a command backs up, only its own tool restores.
fn may_restore(context: &Context, arguments: &DeployArguments) -> Result<(), Failure> {
    let is_wanted = arguments.on_failure == Some(OnFailure::Restore) && !arguments.no_backup;
    if is_wanted && context.environment.backup_command()?.is_some() {
        return Err(Failure::usage(
            "`--on-failure restore` cannot restore what `MIGRATE_BACKUP_COMMAND` backs up",
            "`--on-failure revert` reverts what was applied; docs/physical-backups.md has the way back with the tool",
        ));
    }
    Ok(())
}

/// What is to be applied.
fn goal(context: &Context, arguments: &DeployArguments) -> anyhow::Result<Goal> {
    Ok(Goal::Apply {
        selections: old_words::to_apply(arguments.targets.clone(), &context.program)?,
        contract: arguments.contract.steps(),
        unknown: UnknownApplied::Refuse,
    })
}
